"""Checkpoints that compute in float what they did before, and which naive INT8 ruins.

Somewhere inside, a few channels are made very large, and what takes them in undoes it: one step of a range that holds
all channels is then too coarse for the others. Trained checkpoints have such channels too, if not as many.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgespeech.encoder.features import ConvLayer, FeatureExtractor, TimeGroupNorm
from edgespeech.encoder.transformer import TransformerLayer

Logits = npt.NDArray[np.float32]
Values = npt.NDArray[np.float32]  # (1, samples), normalised
EVERY = 5  # one channel in so many stands out
QUIET = 0.1  # power of what the first convolution gives for white noise, in which a norm's epsilon of 1e-5 counts


@torch.no_grad()
def outliers_before_group_norm(model: nn.Module, largest: float = 1e4) -> None:
    """Scale the first convolution's channels by 1 to `largest`, evenly in the logarithm: the norm takes it out.

    Channels as good as silent stay: there the norm's epsilon counts, and the output would change.
    """
    first = _conv_layers(model)[0]
    if not isinstance(first.layer_norm, TimeGroupNorm):
        raise TypeError("the first convolution has no group norm")
    weight = first.conv.weight
    factors = torch.logspace(0, np.log10(largest), len(weight), dtype=weight.dtype)[torch.randperm(len(weight))]
    factors[weight.square().sum((1, 2)) < QUIET] = 1
    _scale(first.conv, factors)


@torch.no_grad()
def outliers_in_convolutions(model: nn.Module, factor: float = 1e3, index: int = 1) -> None:
    """Scale some channels that convolution `index` gives; the next one takes them in scaled back."""
    first, second = _conv_layers(model)[index : index + 2]
    _require_relu(first.activation)
    if first.layer_norm is not None:
        raise ValueError("a norm would take it out")
    factors = _factors(len(first.conv.weight), factor)
    _scale(first.conv, factors)
    second.conv.weight.div_(factors[None, :, None])


@torch.no_grad()
def outliers_in_layer_norms(model: nn.Module, factor: float = 1e3, index: int = 1) -> None:
    """Scale some channels of the layer norm after convolution `index`; the next one takes them in scaled back."""
    first, second = _conv_layers(model)[index : index + 2]
    _require_relu(first.activation)
    if not isinstance(first.layer_norm, nn.LayerNorm):
        raise TypeError("there is no layer norm")
    factors = _factors(len(first.conv.weight), factor)
    _scale(first.layer_norm, factors)
    second.conv.weight.div_(factors[None, :, None])


@torch.no_grad()
def outliers_in_attention(model: nn.Module, factor: float = 1e3) -> None:
    """Scale some channels of the values in every layer; attention mixes frames only, and `out_proj` scales back."""
    for layer in _of(model, TransformerLayer):
        factors = _factors(len(layer.attention.v_proj.weight), factor)
        _scale(layer.attention.v_proj, factors)
        layer.attention.out_proj.weight.div_(factors)


@torch.no_grad()
def outliers_in_feed_forward(model: nn.Module, factor: float = 1e3) -> None:
    """Scale some inner channels of the feed-forward block of every layer; `output_dense` scales back."""
    for layer in _of(model, TransformerLayer):
        block = layer.feed_forward
        _require_relu(block.intermediate_act_fn)
        factors = _factors(len(block.intermediate_dense.weight), factor)
        _scale(block.intermediate_dense, factors)
        block.output_dense.weight.div_(factors)


# By name: what is done, and the options of a checkpoint to which it can be done.
BREAKS: dict[str, tuple[Callable[[nn.Module], None], dict[str, Any]]] = {
    "group-norm": (outliers_before_group_norm, {}),
    "convolutions": (outliers_in_convolutions, {"feat_extract_activation": "relu"}),
    "attention": (outliers_in_attention, {}),
    "feed-forward": (outliers_in_feed_forward, {"hidden_act": "relu"}),
    "layer-norms": (
        outliers_in_layer_norms,
        {"feat_extract_norm": "layer", "feat_extract_activation": "relu", "do_stable_layer_norm": True},
    ),
}


def snr(found: Logits, reference: Logits) -> float:
    """Signal-to-noise ratio of logits in dB."""
    noise = np.square(found.astype(np.float64) - reference).sum()
    return float(10 * np.log10(np.square(reference.astype(np.float64)).sum() / noise))


def quantize_naively(graph: Path, target: Path, utterances: list[Values]) -> Callable[[Values], Logits]:
    """Quantize an ONNX graph by onnxruntime's `quantize_static` as it comes, and return what runs it."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    name = onnxruntime.InferenceSession(graph).get_inputs()[0].name

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(utterances)

        def get_next(self) -> dict[str, Values] | None:
            return next(({name: values} for values in self.left), None)

    quantize_static(graph, target, Reader())
    session = onnxruntime.InferenceSession(target)
    return lambda values: session.run(None, {name: values})[0]


def _of(model: nn.Module, kind: type[nn.Module]) -> Iterator[Any]:
    return (module for module in model.modules() if isinstance(module, kind))


def _conv_layers(model: nn.Module) -> list[ConvLayer]:
    return list(next(_of(model, FeatureExtractor)).conv_layers)


def _factors(channels: int, factor: float) -> Tensor:
    factors = torch.ones(channels)
    factors[::EVERY] = factor
    return factors


def _scale(module: nn.Module, factors: Tensor) -> None:
    """Scale the channels that a module gives."""
    weight = module.weight
    weight.mul_(factors.view(-1, *[1] * (weight.ndim - 1)))
    if module.bias is not None:
        module.bias.mul_(factors)


def _require_relu(function: nn.Module) -> None:
    probe = torch.tensor([-2.0, 3.0])
    if not torch.equal(function(probe), probe.relu()):
        raise ValueError("only ReLU lets a scale pass")
