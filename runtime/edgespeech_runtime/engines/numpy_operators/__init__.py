"""The operators of the numpy engine by the names that graphs call them by, which are ONNX's.

Each is one function: inputs in order (None for one that is left out), attributes as keywords, one array or a tuple of
them as the result. They change no input, unless they are given it as `out` too.
To add one: the function in the module of its kind, and a line in the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any, Literal

import numpy as np

from . import activations, elementwise, linear, normalisation, reductions, shapes
from .arrays import Array

__all__ = ["OPERATORS", "Array", "Operator"]


@dataclass(frozen=True)
class Operator:
    """A function and what the engine must know of it.

    Attributes:
        in_place: which input may be given as `out` as well: none, the first, or any of the result's shape.
        is_view: the result may lie in the memory of the first input.
        arranges: inputs, by their place, that must be weights and are passed through a function once; that takes
            those attributes of the operator that it has.
    """

    function: Callable[..., Any]
    in_place: Literal["none", "first", "any"] = "none"
    is_view: bool = False
    arranges: Mapping[int, Callable[..., Array]] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """Attributes and their defaults; Parameter.empty where one must be given."""
        if isinstance(self.function, np.ufunc):
            return {}
        return {name: default for name, default in keywords(self.function).items() if name not in ("out", "workers")}


def keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a function that are given by name alone, with their defaults."""
    parameters = signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is Parameter.KEYWORD_ONLY}


def _elementwise(function: Callable[..., Any]) -> Operator:
    return Operator(function, in_place="any")


def _mapped(function: Callable[..., Any]) -> Operator:
    return Operator(function, in_place="first")


def _viewed(function: Callable[..., Any]) -> Operator:
    return Operator(function, is_view=True)


def _reduced(function: Callable[..., Any]) -> Operator:
    return Operator(reductions.reduced(function), is_view=True)  # with no axes, it may be its input


OPERATORS: dict[str, Operator] = {
    "Abs": _elementwise(np.abs),
    "Add": _elementwise(np.add),
    "And": Operator(np.logical_and),
    "ArgMax": Operator(reductions.argmax),
    "BatchNormalization": Operator(normalisation.batch_normalization),
    "Cast": _viewed(elementwise.cast),
    "Ceil": _elementwise(np.ceil),
    "Clip": _mapped(elementwise.clip),
    "Concat": Operator(shapes.concat),
    "ConstantOfShape": Operator(shapes.constant_of_shape),
    "Conv": Operator(linear.conv, arranges={1: linear.arranged}),
    "Cos": _elementwise(np.cos),
    "CumSum": Operator(reductions.cumulative_sum),
    "Div": _elementwise(elementwise.div),
    "Equal": Operator(np.equal),
    "Erf": _mapped(activations.erf),
    "Exp": _elementwise(np.exp),
    "Expand": _viewed(shapes.expand),
    "Flatten": _viewed(shapes.flatten),
    "Floor": _elementwise(np.floor),
    "Gather": Operator(shapes.gather),
    "GatherElements": Operator(shapes.gather_elements),
    "GatherND": Operator(shapes.gather_nd),
    "Gelu": _mapped(activations.gelu),
    "Gemm": Operator(linear.gemm),
    "Greater": Operator(np.greater),
    "GreaterOrEqual": Operator(np.greater_equal),
    "HardSigmoid": Operator(activations.hard_sigmoid),
    "HardSwish": Operator(activations.hard_swish),
    "Identity": _viewed(shapes.identity),
    "InstanceNormalization": _mapped(normalisation.instance_normalization),
    "LayerNormalization": _mapped(normalisation.layer_normalization),
    "LeakyRelu": Operator(activations.leaky_relu),
    "Less": Operator(np.less),
    "LessOrEqual": Operator(np.less_equal),
    "Log": _elementwise(np.log),
    "LogSoftmax": _mapped(activations.log_softmax),
    "MatMul": Operator(linear.matmul),
    "Max": _viewed(elementwise.largest),
    "Min": _viewed(elementwise.smallest),
    "Mish": Operator(activations.mish),
    "Mod": Operator(elementwise.mod),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Not": Operator(np.logical_not),
    "Or": Operator(np.logical_or),
    "PRelu": Operator(activations.prelu),
    "Pad": _viewed(shapes.pad),
    "Pow": _elementwise(elementwise.power),
    "Range": Operator(shapes.arange),
    "Reciprocal": _elementwise(np.reciprocal),
    "ReduceL2": _reduced(reductions.root_of_squares),
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceSumSquare": _reduced(reductions.sum_of_squares),
    "Relu": _mapped(activations.relu),
    "Reshape": _viewed(shapes.reshape),
    "Round": _elementwise(np.rint),
    "Shape": Operator(shapes.shape),
    "Sigmoid": _mapped(activations.sigmoid),
    "Sign": _elementwise(np.sign),
    "Sin": _elementwise(np.sin),
    "Slice": _viewed(shapes.slice_),
    "Softmax": _mapped(activations.softmax),
    "Softplus": _mapped(activations.softplus),
    "Split": _viewed(shapes.split),
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _viewed(shapes.squeeze),
    "Sub": _elementwise(np.subtract),
    "Tanh": _elementwise(np.tanh),
    "Tile": Operator(shapes.tile),
    "Transpose": _viewed(shapes.transpose),
    "Trilu": Operator(shapes.triangle),
    "Unsqueeze": _viewed(shapes.unsqueeze),
    "Where": Operator(elementwise.where),
    "Xor": Operator(np.logical_xor),
}
