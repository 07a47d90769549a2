"""INT8 for the numpy engine: weights in 8 bits, which the runtime widens once, when it loads a bundle.

All arithmetic stays in float32 and no activation is rounded, so that nothing is calibrated. One archive holds the
weights of all graphs: those of an encoder-decoder's decoder are quantized here too.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from edgespeech_export.writers.numpy_int8 import find_weights, is_large, quantize_archive, quantized
from edgespeech_runtime.bundle.contracts import VALUES, Tensor
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import Graph
from edgespeech_runtime.engines.numpy import Graph as Runnable
from edgespeech_runtime.engines.numpy_operators.workers import Workers
from edgespeech_runtime.engines.numpy_program import Program, StepSpec
from edgespeech_runtime.engines.numpy_weights import INTEGERS, SCALE, Weights
from edgespeech_runtime.engines.threads import cores

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import IntegerShare, Note, Utterances, Values
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.quantization.search.layers import Kind, Layer, layer_name, stage

KINDS: dict[str, Kind] = {"Conv": "convolution", "Gather": "table", "Gemm": "linear", "MatMul": "linear"}
AUDIO_GRAPHS = ("single", "encoder")  # the graph that takes one utterance
ROUNDED = ".rounded"  # behind the names of a weight and of a step's result, for their quantized twins
AT_ONCE = 2**25  # weights that are probed in one pass, 128 MiB twice
TINY = 1e-300  # for the logarithm of nothing

Array: TypeAlias = npt.NDArray[Any]


class NumpyEncoder:
    """See `backend.EncoderBackend`.

    Raises:
        QuantizationError: an option asks for computing in integers, or the model has no weight that is large enough.
    """

    def __init__(self, bundle: Bundle, options: QuantizationOptions, types: Types) -> None:
        self._graphs = bundle.manifest.graphs
        self._programs = [bundle.path(graph.file) for graph in self._graphs.values()]
        self._main = bundle.path(next(self._graphs[name] for name in AUDIO_GRAPHS if name in self._graphs).file)
        (self._file,) = {graph.weights for graph in self._graphs.values() if graph.weights is not None}
        self._archive = bundle.path(self._file)
        self._axes: dict[str, int] = {}
        layers = []
        positional = _grouped(Program.read(self._main))
        with np.load(self._archive, allow_pickle=False) as arrays:
            for name, weight in find_weights(self._programs).items():
                values = arrays[name]
                if is_large(values):
                    self._axes[name] = weight.axis
                    kind = "positional" if name in positional else KINDS[weight.operator]
                    layers.append(Layer(layer_name(name), kind, stage(layer_name(name)), values.size))
        if not layers:
            raise QuantizationError("the model holds no weight that is large enough to be quantized")
        self._weights = dict(zip((layer.name for layer in layers), self._axes, strict=True))
        self.layers = tuple(layers)

    def calibrate(self, utterances: Utterances, note: Note) -> None:
        """Learn nothing: activations are not rounded."""

    def noise(self, utterances: Utterances) -> dict[str, float]:
        """See `backend.EncoderBackend.noise`.

        Of the weights that the main graph does not read, a decoder's, it is the ratio of the weights themselves to
        their rounding errors: what an input gives in which all features are equally loud.
        """
        program, floats = Program.read(self._main), Weights(self._archive)
        read = {program.weights.get(name) for step in program.steps for name in step.inputs}
        ratios = {}
        with np.load(self._archive, allow_pickle=False) as arrays:
            for names in self._groups([name for name in self._axes if name in read]):
                rounded = {name: restored(name, arrays[name], self._axes[name]) for name in names}
                ratios.update(_probe(program, floats, rounded, utterances))
            for name in self._axes.keys() - ratios.keys():
                values = arrays[name]
                ratios[name] = _decibels(_power(values), _power(restored(name, values, self._axes[name]) - values))
        return {layer: ratios[weight] for layer, weight in self._weights.items()}

    def damage(self, utterances: Utterances) -> dict[str, float]:
        """See `backend.EncoderBackend.damage`: not measured."""
        return {}

    def write(self, folder: Path, floating: frozenset[str]) -> dict[str, Graph]:
        """See `backend.EncoderBackend.write`: the programs as they are, over another archive."""
        for path in self._programs:
            shutil.copyfile(path, folder / path.name)
        kept = {self._weights[name] for name in floating}
        quantize_archive(self._programs, self._archive, folder / self._file, kept)
        return dict(self._graphs)

    def integer_share(self, folder: Path, values: Values) -> IntegerShare:
        """See `backend.EncoderBackend.integer_share`: no more than the archive holds integers."""
        integers = total = 0
        able = sum(layer.macs for layer in self.layers)
        with np.load(folder / self._file, allow_pickle=False) as arrays:
            for name in arrays.files:
                if not name.endswith(SCALE):
                    size = arrays[name].size
                    total += size
                    integers += size if name.endswith(INTEGERS) else 0
        return IntegerShare(integers, able, weights=integers / max(total, 1))

    def _groups(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Weights that are probed together."""
        sizes = {self._weights[layer.name]: layer.macs for layer in self.layers}
        group: list[str] = []
        for name in names:
            if group and sum(sizes[one] for one in group) + sizes[name] > AT_ONCE:
                yield group
                group = []
            group.append(name)
        if group:
            yield group


def restored(name: str, values: Array, axis: int) -> Array:
    """Return a weight as the runtime widens it."""
    parts = quantized(name, values, axis)
    return np.asarray(parts[name + INTEGERS].astype(np.float32) * parts[name + SCALE], np.float32)


def _probe(program: Program, floats: Weights, rounded: dict[str, Array], utterances: Utterances) -> dict[str, float]:
    """Signal to noise in the outputs of the steps that read these weights, each from the float model's own input."""
    twins, pairs = [], []
    weights = dict(program.weights)
    for step in program.steps:
        twins.append(step)
        read = [name for name in step.inputs if weights.get(name) in rounded]
        if read:
            (name,), (output,) = read, step.outputs
            weights[name + ROUNDED] = weights[name]
            inputs = tuple(other + ROUNDED if other == name else other for other in step.inputs)
            twins.append(StepSpec(step.name, step.op, inputs, (output + ROUNDED,), step.attributes))
            pairs.append((weights[name], output))
    outputs = [Tensor(name, "float32", ()) for _, output in pairs for name in (output, output + ROUNDED)]
    probing = replace(program, weights=weights, steps=tuple(twins), outputs=tuple(outputs))
    wanted = probing.wanted()
    constants = {name: constant.array() for name, constant in program.constants.items()}
    constants.update(floats.get({name: dtype for name, dtype in wanted.items() if not name.endswith(ROUNDED)}))
    for name, (key, _, arrange) in wanted.items():
        if name.endswith(ROUNDED):
            constants[name] = np.ascontiguousarray(arrange(rounded[key]))
    graph = Runnable(program.name, probing, constants, floats, Workers(cores()))
    signal, noise = dict.fromkeys(rounded, 0.0), dict.fromkeys(rounded, 0.0)
    for values in utterances():
        tensors = graph.run({VALUES.name: values})
        for weight, output in pairs:
            signal[weight] += _power(tensors[output])
            noise[weight] += _power(tensors[output + ROUNDED] - tensors[output])
    return {weight: _decibels(signal[weight], noise[weight]) for weight in rounded}


def _grouped(program: Program) -> set[str]:
    """Weights, by their names in the archive, of convolutions in groups."""
    steps = [step for step in program.steps if step.op == "Conv" and step.attributes.get("group", 1) > 1]
    return {program.weights[step.inputs[1]] for step in steps}


def _power(values: Array) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _decibels(signal: float, noise: float) -> float:
    return 10 * math.log10(max(signal, TINY) / noise) if noise else math.inf
