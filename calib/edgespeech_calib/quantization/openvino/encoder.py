"""INT8 for the encoder graphs of OpenVINO bundles: learnt on the graph for one utterance, written for all of them."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from edgespeech_export.writers.hub_graph import GRAPH
from edgespeech_export.writers.openvino import SharedWeights, store_constants
from edgespeech_export.writers.weight_store import rounded
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import Graph
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import IntegerShare, Note, Utterances, Values
from edgespeech_calib.quantization.openvino import damage as openvino_damage
from edgespeech_calib.quantization.openvino import long as openvino_long
from edgespeech_calib.quantization.openvino import noise as openvino_noise
from edgespeech_calib.quantization.openvino import ranges as openvino_ranges
from edgespeech_calib.quantization.openvino.attention import write_attention
from edgespeech_calib.quantization.openvino.forms import Learnt, quantize
from edgespeech_calib.quantization.openvino.network import (
    ATTENTION,
    MOVES,
    SETTINGS,
    Model,
    Node,
    layers,
    products,
    read,
    work,
)
from edgespeech_calib.quantization.openvino.stack import write_convolutions, write_padding, write_stack
from edgespeech_calib.quantization.options import QuantizationOptions, Types

MAIN = ("single", "encoder")  # the graph for utterances of one length: of CTC models, of encoder-decoders
DECODER = "decoder"
PROBE_SECONDS = 2.0
SHORT_UTTERANCES = 8  # that are run beside long audio for the ranges in attention
INTEGERS = ("i8", "u8")
KERNELS = (
    "Convolution",
    "FullyConnected",
    "GroupConvolution",
    "MatMul",
    "Subgraph",
)  # how kernels of products are called
DEQUANTIZATION = "/Dequantization"  # behind the name of a product that became one with the scales of its factors


class OpenvinoEncoder:
    """See `backend.EncoderBackend`.

    Args:
        bundle: in float32, made by OpenVINO's writer.
        options: scheme and method of ranges.
        types: number types of the target.

    Raises:
        QuantizationError: an option that there is for other engines alone, or nothing that could be quantized.
    """

    def __init__(self, bundle: Bundle, options: QuantizationOptions, types: Types) -> None:
        if options.scheme != "static":
            raise QuantizationError(f"scheme {options.scheme!r} is for ONNX alone; OpenVINO takes 'static'")
        if options.ranges not in (None, "minmax"):
            raise QuantizationError(f"ranges {options.ranges!r} are for ONNX alone; OpenVINO takes 'minmax'")
        graphs = bundle.manifest.graphs
        self._bundle, self._options, self._types = bundle, options, types
        self._main = next(name for name in MAIN if name in graphs)
        self._learnt: dict[str, Learnt] | None = None
        audio = bundle.manifest.audio
        self._long: list[Values] = []
        self.layers = layers(self._form(self._main), max(audio.shortest, round(PROBE_SECONDS * audio.sampling_rate)))
        if not self.layers:
            raise QuantizationError(
                f"the graph {self._main!r} holds no layer that could be quantized; export the float bundle again"
            )

    def calibrate(self, utterances: Utterances, note: Note) -> None:
        """See `backend.EncoderBackend.calibrate`."""
        note("ranges of activations")
        learnt = openvino_ranges.learn(self._form(self._main), utterances)
        self._long = openvino_long.long_audio(utterances, self._bundle.manifest.audio.hop)
        both = [*self._long, *islice(utterances(), SHORT_UTTERANCES)]
        learnt |= openvino_long.learn(self._form(self._main), both)
        note("mean errors of rounding")
        self._learnt = openvino_ranges.correct(self._form(self._main), learnt, self._types, utterances)

    def noise(self, utterances: Utterances) -> dict[str, float]:
        """See `backend.EncoderBackend.noise`."""
        learnt = self._require_learnt()
        ratios = openvino_noise.noise(self._form(self._main), learnt, self._types, utterances)
        mixes = {name: layer for name, layer in learnt.items() if layer.peaks is not None}
        if mixes:  # what they lose shows on long audio
            on_long = openvino_noise.noise(self._form(self._main), mixes, self._types, lambda: iter(self._long[:1]))
            ratios.update({name: min(ratios[name], ratio) for name, ratio in on_long.items()})
        return ratios

    def damage(self, utterances: Utterances) -> dict[str, float]:
        """See `backend.EncoderBackend.damage`."""
        return openvino_damage.damage(self._form(self._main), self._require_learnt(), self._types, utterances)

    def write(self, folder: Path, floating: frozenset[str]) -> dict[str, Graph]:
        """See `backend.EncoderBackend.write`."""
        learnt, written, weights = self._require_learnt(), {}, SharedWeights()
        for name, graph in self._bundle.manifest.graphs.items():
            if name in (DECODER, GRAPH):  # that of the hub, which an x-vector has, stays with the float bundle
                continue
            model = self._form(name)
            quantize(model, learnt, floating, self._types)
            store_constants(model, rounded)
            xml = folder / graph.file
            openvino.save_model(model, xml, compress_to_fp16=False)
            written[name] = replace(graph, weights=weights.add(xml).name)
        return written

    def integer_share(self, folder: Path, values: Values) -> IntegerShare:
        """See `backend.EncoderBackend.integer_share`."""
        graph = self._bundle.manifest.graphs[self._main]
        xml = folder / graph.file
        model = read(xml, folder / str(graph.weights))
        integers = _in_integers(model, values)
        counted = list(work(model, values.shape[1]))
        stored = {p.node.friendly_name: p.name for p in products(model) if _is_quantized(p.node, p.ports[0])}
        return IntegerShare(
            integer_macs=sum(macs for name, macs in counted if name in integers),
            total_macs=sum(macs for _, macs in counted),
            floating=tuple(dict.fromkeys(layer for node, layer in stored.items() if node not in integers)),
        )

    def _require_learnt(self) -> dict[str, Learnt]:
        if self._learnt is None:
            raise QuantizationError("ranges are not known before calibration")
        return self._learnt

    def _float(self, name: str) -> Model:
        graph = self._bundle.manifest.graphs[name]
        return read(self._bundle.path(graph.file), self._bundle.path(str(graph.weights)))

    def _form(self, name: str) -> Model:
        """A float graph in the form that is quantized."""
        model = self._float(name)
        if not write_stack(model, self._bundle.manifest.frames):
            write_convolutions(model, self._bundle.manifest.frames)
        write_padding(model)
        write_attention(model)
        return model


def _in_integers(model: Model, values: Values) -> set[str]:
    """Names of the products that the engine computes in integers, by its own account, with the runtime's settings."""
    compiled = openvino.Core().compile_model(model, "CPU", {**SETTINGS, "PERF_COUNT": True})
    compiled.create_infer_request().infer({0: values})
    fused = {node.friendly_name for node in model.get_ordered_ops() if node.get_type_name() == ATTENTION}
    layers: set[str] = set()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info: Any = node.get_rt_info()
        kind, precision = str(info["layerType"].value), str(info["runtimePrecision"].value).lower()
        if kind.startswith(KERNELS) and precision in INTEGERS:
            names = [name.partition(DEQUANTIZATION) for name in str(info["originalLayersNames"].value).split(",")]
            # A subgraph holds products in integers and in float; scales are behind the former alone.
            layers.update(name for name, scaled, _ in names if scaled or kind != "Subgraph" or name in fused)
    return layers


def _is_quantized(node: Node, port: int) -> bool:
    """Whether an activation passes `FakeQuantize` before a product."""
    before = node.input_value(port).get_node()
    while before.get_type_name() in MOVES:
        before = before.input_value(0).get_node()
    return bool(before.get_type_name() == "FakeQuantize")
