"""Activation functions by the names that configuration files use."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.errors import ConfigError


class Activation(nn.Module):
    """A function without weights as a module, so that it prints and exports like one."""

    def __init__(self, function: Callable[[Tensor], Tensor], name: str) -> None:
        super().__init__()
        self.function = function
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function to each element."""
        return self.function(x)

    def extra_repr(self) -> str:
        """Show the name in the module's printed form."""
        return self.name


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its tanh approximation, https://arxiv.org/abs/1606.08415."""
    return F.gelu(x, approximate="tanh")


def quick_gelu(x: Tensor) -> Tensor:
    """GELU by its sigmoid approximation, https://arxiv.org/abs/1606.08415."""
    return x * torch.sigmoid(1.702 * x)


def clipped_gelu(x: Tensor) -> Tensor:
    """GELU limited to [-10, 10], https://arxiv.org/abs/2004.09602."""
    return F.gelu(x).clamp(-10.0, 10.0)


def accurate_gelu(x: Tensor) -> Tensor:
    """GELU by the tanh approximation, as MEGA computes it, https://arxiv.org/abs/2209.10655."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def laplace(x: Tensor) -> Tensor:
    """Distribution function of a normal with mean sqrt(1/2), deviation sqrt(1/(4 pi)), https://arxiv.org/abs/2209.10655."""
    mean, deviation = 0.707107, 0.282095
    return 0.5 * (1.0 + torch.erf((x - mean) / (deviation * math.sqrt(2.0))))


def squared_relu(x: Tensor) -> Tensor:
    """max(x, 0)^2, https://arxiv.org/abs/2109.08668."""
    return F.relu(x).square()


def sqrt_softplus(x: Tensor) -> Tensor:
    """The square root of softplus."""
    return F.softplus(x).sqrt()


def identity(x: Tensor) -> Tensor:
    """No activation."""
    return x


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_10": clipped_gelu,
    "gelu_accurate": accurate_gelu,
    "gelu_fast": gelu_tanh,
    "gelu_new": gelu_tanh,
    "gelu_python": F.gelu,
    "gelu_python_tanh": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "hardswish": F.hardswish,
    "laplace": laplace,
    "leaky_relu": F.leaky_relu,
    "linear": identity,
    "mish": F.mish,
    "quick_gelu": quick_gelu,
    "relu": F.relu,
    "relu2": squared_relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sqrtsoftplus": sqrt_softplus,
    "swish": F.silu,
    "tanh": torch.tanh,
}
NAMES = frozenset(FUNCTIONS) | {"prelu"}


def activation(name: str) -> nn.Module:
    """Return the activation of that name as a module.

    Raises:
        ConfigError: nothing is known by that name.
    """
    if name == "prelu":
        return nn.PReLU()
    if name not in FUNCTIONS:
        raise ConfigError(f"unknown activation {name!r}; known: {', '.join(sorted(NAMES))}")
    return Activation(FUNCTIONS[name], name)
