"""The quantized forms of layers in ONNX, which ONNX Runtime turns into integer products.

A linear layer is a product of 8-bit numbers with a float result: the bias, and whatever follows, stay float. So is a
convolution: a product over windows of its input, channels last, the windows cut from the 8-bit numbers. As an integer
`Conv` it would have to give 8-bit numbers before its activation function, which costs accuracy and is no faster. The
positional (grouped) convolution is such a `Conv` all the same: there, windows would be many times the input.

Written as quantize-dequantize pairs (static) or `MatMulInteger` (dynamic); standard operators only.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgespeech_calib.quantization.onnx.equalise import Factors, equalised
from edgespeech_calib.quantization.onnx.frames import divided, has_frames
from edgespeech_calib.quantization.onnx.network import Array, Network, Product, attributes, channel_peaks
from edgespeech_calib.quantization.onnx.ranges import Range, scale_and_zero
from edgespeech_calib.quantization.onnx.writer import PREFIX, GraphWriter
from edgespeech_calib.quantization.options import Types

SWAP = [0, 2, 1]  # channels first to channels last, and back
EQUALISED = "_equalised"  # behind the name of an activation
INTEGERS = "_int8"  # behind the name of a weight that is stored so


@dataclass(frozen=True)
class LayerRanges:
    """Range of what goes into a layer; of what comes out, where that is quantized as well."""

    source: Range
    output: Range | None = None

    def __or__(self, other: "LayerRanges") -> "LayerRanges":
        both = self.output is not None and other.output is not None
        return LayerRanges(self.source | other.source, self.output | other.output if both else None)  # type: ignore[operator]


class Forms(ABC):
    """Writes layers of one graph in their quantized form."""

    def __init__(self, writer: GraphWriter, network: Network, types: Types, factors: Factors) -> None:
        self.writer, self.network, self.types, self.factors = writer, network, types, factors
        self._sources: dict[str, str] = {}
        self._frames: dict[str, tuple[str, str]] = {}

    @abstractmethod
    def write(self, product: Product, output: str) -> None:
        """Write a layer whose result is to be called `output`."""

    def source(self, product: Product) -> str:
        """Name of what goes into a layer: with frames divided by their peaks, or channels by their factors."""
        factors, name = self.factors.get(product.name), product.source
        if has_frames(product, self.network):
            if name not in self._frames:
                self._frames[name] = divided(self.writer, product)
            return self._frames[name][0]
        if factors is None:
            return name
        if name not in self._sources:
            self._sources[name] = equalised(self.writer, self.network, product, factors, name + EQUALISED)
        return self._sources[name]

    def finish(self, product: Product, values: str, output: str) -> None:
        """Give frames their loudness back, add the bias of the product's node, put a convolution's channels first."""
        steps: list[tuple[str, list[str]]] = []
        if has_frames(product, self.network):
            peaks = self._frames[product.source][1]
            if product.kind == "convolution":
                peaks = self.writer.add("Transpose", [peaks], perm=SWAP)
            steps.append(("Mul", [peaks]))
        if product.bias is not None:
            steps.append(("Add", [product.bias]))
        if product.kind == "convolution":
            steps.append(("Transpose", []))
        for count, (operator, more) in enumerate(steps, 1):
            settings: dict[str, Any] = {"perm": SWAP} if operator == "Transpose" else {}
            values = self.writer.add(operator, [values, *more], output if count == len(steps) else "", **settings)

    def is_plain(self, product: Product) -> bool:
        """Whether nothing follows the product itself."""
        return product.kind == "linear" and product.bias is None and not has_frames(product, self.network)

    def integers(self, product: Product, values: Array, axis: int) -> tuple[str, str, str, Array]:
        """Hold a weight's integers, scales and zero points; returns their names and the scales."""
        integers, scales = quantize_weight(values, axis, self.types)
        hold, name = self.writer.constant, product.weight
        zeros = np.zeros(len(scales), integers.dtype)
        stored = hold(integers, name + INTEGERS)
        return stored, hold(scales, f"{name}_scale"), hold(zeros, f"{PREFIX}zeros_{len(zeros)}"), scales

    def matrix(self, product: Product) -> Array:
        """The weight of a product of matrices, equalised: (in, out)."""
        values, factors = self.network.matrix(product), self.factors.get(product.name)
        return values if factors is None else values * factors[:, None]

    def windows(self, frames: str, zero: str, product: Product) -> str:
        """Cut (batch, frames_in, in) into (batch, frames, taps * in), what each output frame is made from."""
        writer, settings = self.writer, attributes(product.node)
        _, channels, taps = self.network.shape(product.weight)
        pads, stride = settings.get("pads", [0, 0]), settings.get("strides", [1])[0]
        if any(pads):
            frames = writer.add("Pad", [frames, writer.integers(0, pads[0], 0, 0, pads[1], 0), zero])
        if (taps, stride) == (1, 1):
            return frames
        size = writer.add("Squeeze", [writer.add("Shape", [frames], start=1, end=2)])
        end = writer.add("Sub", [size, writer.integer(taps - 1)])
        starts = writer.add("Range", [writer.integer(0), end, writer.integer(stride)])
        indices = writer.add(
            "Add", [writer.add("Unsqueeze", [starts, writer.integers(1)]), writer.integers(*range(taps))]
        )
        cut = writer.add("Gather", [frames, indices], axis=1)  # (batch, frames, taps, in)
        return writer.add("Reshape", [cut, writer.integers(0, -1, taps * channels)])


class StaticForms(Forms):
    """Quantize-dequantize pairs over ranges that calibration found."""

    def __init__(
        self,
        writer: GraphWriter,
        network: Network,
        types: Types,
        factors: Factors,
        ranges: Mapping[str, LayerRanges],
    ) -> None:
        super().__init__(writer, network, types, factors)
        self.ranges = ranges
        self._quantized: dict[tuple[str, Range], str] = {}

    def write(self, product: Product, output: str) -> None:
        """See `Forms.write`."""
        if product.kind == "positional":
            self._positional(product, output)
            return
        writer, limits = self.writer, self.ranges[product.name].source
        values = self.quantized(self.source(product), limits)
        if product.kind == "convolution":
            _, zero = self.parameters(limits)
            values = self.windows(writer.add("Transpose", [values], perm=SWAP), zero, product)
        factors = [self.dequantized(values, limits), self.weight(product, self.matrix(product), 1)[0]]
        if self.is_plain(product):
            writer.add("MatMul", factors, output, name=product.name)
            return
        self.finish(product, writer.add("MatMul", factors, name=product.name), output)

    def quantized(self, source: str, limits: Range) -> str:
        """Quantize an activation, once for all layers that read it with one range."""
        key = (source, limits)
        if key not in self._quantized:
            self._quantized[key] = self.writer.add("QuantizeLinear", [source, *self.parameters(limits)])
        return self._quantized[key]

    def parameters(self, limits: Range) -> tuple[str, str]:
        """Scale and zero point of an activation, as constants."""
        scale, zero = scale_and_zero(limits, self.types)
        return self.writer.scalar(scale), self.writer.scalar(zero)

    def dequantized(self, integers: str, limits: Range, output: str = "") -> str:
        """Say what integers stand for."""
        return self.writer.add("DequantizeLinear", [integers, *self.parameters(limits)], output)

    def weight(self, product: Product, values: Array, axis: int) -> tuple[str, Array]:
        """Hold a quantized weight; returns the name of what it stands for, and its scales."""
        *names, scales = self.integers(product, values, axis)
        return self.writer.add("DequantizeLinear", names, axis=axis), scales

    def _positional(self, product: Product, output: str) -> None:
        writer, ranges = self.writer, self.ranges[product.name]
        if ranges.output is None:
            raise ValueError(f"{product.name} has no range of its output")
        source = self.dequantized(self.quantized(self.source(product), ranges.source), ranges.source)
        weight, scales = self.weight(product, self.network.constant(product.weight), 0)
        inputs = [source, weight]
        if product.bias is not None:
            step, _ = scale_and_zero(ranges.source, self.types)
            inputs.append(self._integer_bias(product.bias, scales * step))
        result = writer.add("Conv", inputs, name=product.name, **attributes(product.node))
        self.dequantized(writer.add("QuantizeLinear", [result, *self.parameters(ranges.output)]), ranges.output, output)

    def _integer_bias(self, name: str, scales: Array) -> str:
        """A bias in the unit of the sums, as an integer convolution adds it."""
        steps = self.network.constant(name).astype(np.float64) / scales
        integers = np.rint(steps).clip(-(2**31), 2**31 - 1).astype(np.int32)
        hold = self.writer.constant
        names = [hold(integers, f"{name}_int32"), hold(scales.astype(np.float32), f"{name}_scale")]
        return self.writer.add("DequantizeLinear", names, axis=0)


class DynamicForms(Forms):
    """Integer products over ranges that each input shows; of a padded batch, all utterances together."""

    def __init__(self, writer: GraphWriter, network: Network, types: Types, factors: Factors) -> None:
        super().__init__(writer, network, types, factors)
        self._quantized: dict[str, tuple[str, str, str]] = {}

    def write(self, product: Product, output: str) -> None:
        """See `Forms.write`; a positional convolution has no such form."""
        writer = self.writer
        values, scale, zero = self._quantize(self.source(product))
        if product.kind == "convolution":
            values = self.windows(writer.add("Transpose", [values], perm=SWAP), zero, product)
        stored, scales, zeros, _ = self.integers(product, self.matrix(product), 1)
        sums = writer.add("MatMulInteger", [values, stored, zero, zeros], name=product.name)
        result = writer.add("Cast", [sums], to=1)  # float32
        unit = writer.add("Mul", [scale, scales])
        if self.is_plain(product):
            writer.add("Mul", [result, unit], output)
            return
        self.finish(product, writer.add("Mul", [result, unit]), output)

    def _quantize(self, source: str) -> tuple[str, str, str]:
        if source not in self._quantized:
            values = self.writer.add("DynamicQuantizeLinear", [source])
            node = self.writer.nodes[-1]
            node.output.extend([f"{values}_scale", f"{values}_zero"])
            self._quantized[source] = (values, f"{values}_scale", f"{values}_zero")
        return self._quantized[source]


def quantize_weight(values: Array, axis: int, types: Types) -> tuple[Array, Array]:
    """Quantize a weight symmetrically with one scale for each channel along `axis`; returns integers and scales."""
    limit = 63 if types.reduce_range else 127
    scales = (channel_peaks(values, axis) / np.float32(limit)).astype(np.float32)
    scales[scales < np.finfo(np.float32).tiny] = 1.0  # a channel of zeros
    along = [1] * values.ndim
    along[axis] = -1
    integers: Array = np.rint(values / scales.reshape(along)).clip(-limit, limit).astype(np.int8)
    return integers, scales
