"""INT8 or INT4 weights for the decoder graph of an OpenVINO bundle, by NNCF's weight compression.

The plug-in reads the weights of its products as integers and widens them in registers. What they are multiplied with it
quantizes too, for the moment, where the processor gains by that.
"""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from edgespeech_export.writers.openvino import share_weights
from edgespeech_runtime.bundle.contracts import TOKENS
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import Graph
from edgespeech_runtime.engines.openvino import TELEMETRY, openvino

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import IntegerShare
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.quantization.search.layers import SUFFIX, Kind, Layer, layer_name
from edgespeech_calib.quantization.text_decoder.probe import DECODER, FRAMES, SLOTS

ENCODER = "encoder"  # the graph whose .bin all graphs share
GROUP = 32  # columns with one scale in INT4; rows that do not divide so have smaller groups, or stay in INT8
LEAST_GROUP = 16
# NNCF stores scales in float16. Where the largest weight of a row is less than this, rounding the scale costs more than
# rounding the weights to 8 bits. A layer with such rows stays float, unless they are negligible beside its others.
LEAST_PEAK = 127 * 2.0**-17
NEGLIGIBLE = 2.0**-10  # by the largest weight of the layer
INTEGERS = frozenset({"i4", "i8", "u4", "u8"})


class OpenvinoDecoder:
    """See `backend.DecoderBackend`.

    With INT4, the table of tokens and the head stay in INT8: every token depends on them.

    Raises:
        QuantizationError: NNCF is not installed.
    """

    def __init__(self, bundle: Bundle, options: QuantizationOptions, types: Types) -> None:
        self._bundle, self._options, self._types = bundle, options, types
        self._graph = bundle.manifest.graphs[DECODER]
        self._nncf = import_nncf()
        self.layers = self._layers()

    def write(self, folder: Path, floating: frozenset[str] = frozenset()) -> dict[str, Graph]:
        """See `backend.DecoderBackend.write`; the encoder's graph, where there is one, is written first."""
        file = folder / self._graph.file
        try:
            model = self._float()
            names = {node.get_friendly_name() for node in model.get_ops()}
            model = self._compressed(model, floating)
            _name(model, names)
            if self._types.reduce_range:
                # Without VNNI, products of 8 bits may be summed in 16: activations stay float, the weights integers.
                model.set_rt_info("0", ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
            openvino.save_model(model, file, compress_to_fp16=False)
        except RuntimeError as error:
            reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
            raise QuantizationError(f"NNCF could not compress the weights of {self._graph.file}: {reason}") from error
        first = self._weights(folder).with_suffix(".xml")
        weights = share_weights([first, file] if first != file else [file])
        return {DECODER: replace(self._graph, weights=weights.name)}

    def integer_share(self, folder: Path) -> IntegerShare:
        """See `backend.DecoderBackend.integer_share`: multiply-accumulates whose weights are read as integers.

        By the graph that the plug-in runs, whose products show the types of their weights.
        """
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}  # as the runtime's
        compiled = openvino.Core().compile_model(
            _read(folder / self._graph.file, self._weights(folder)), "CPU", settings
        )
        facts = self._bundle.manifest.decoder
        attention = 0
        if facts is not None:  # scores and mix, over the encoder's frames and over the tokens
            attention = 2 * facts.layers * facts.heads * facts.head_dim * (FRAMES + SLOTS + 1)
        integer, total = 0, attention
        floating = []
        for node in compiled.get_runtime_model().get_ops():
            if node.get_rt_info()["layerType"].astype(str) != "FullyConnected":
                continue
            weight = node.input(1)
            macs = prod(weight.get_partial_shape().to_shape())
            total += macs
            if weight.get_element_type().get_type_name() in INTEGERS:
                integer += macs
            else:
                name = weight.get_source_output().get_node().get_friendly_name()
                floating.append(layer_name(name) if name.endswith(SUFFIX) else node.get_friendly_name())
        return IntegerShare(integer, total, tuple(floating))

    def _weights(self, folder: Path) -> Path:
        """The file of weights: that of the encoder's graph, if it is in the folder."""
        graphs = self._bundle.manifest.graphs
        encoder = folder / graphs[ENCODER].file if ENCODER in graphs else folder / self._graph.file
        return (encoder if encoder.exists() else folder / self._graph.file).with_suffix(".bin")

    def _float(self) -> Any:
        return _read(self._bundle.path(self._graph.file), self._bundle.path(self._graph.weights or ""))

    def _layers(self) -> tuple[Layer, ...]:
        """A head that is tied to the table is one layer with it. With INT4, none: that was asked for."""
        if self._options.decoder_weights == "int4":
            return ()
        layers: dict[str, Layer] = {}
        for reader in _readers(self._float()):
            if reader.layer is not None and not reader.is_left_out:
                before = layers.get(reader.layer)
                kind: Kind = "linear" if before or reader.node.get_type_name() == "MatMul" else "table"
                layers[reader.layer] = Layer(reader.layer, kind, "head", reader.weight.get_data().size)
        return tuple(layers.values())

    def _compressed(self, model: Any, floating: frozenset[str]) -> Any:
        nncf = self._nncf
        names = [
            reader.node.get_friendly_name()
            for reader in _readers(model)
            if reader.is_left_out or reader.layer in floating
        ]
        left_out = nncf.IgnoredScope(names=names, validate=False)
        with _quiet():
            if self._options.decoder_weights == "int8":
                return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM, ignored_scope=left_out)
            fallback = nncf.AdvancedCompressionParameters(
                group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST, min_adjusted_group_size=LEAST_GROUP
            )
            return nncf.compress_weights(
                model,
                mode=nncf.CompressWeightsMode.INT4_SYM,
                ratio=1.0,
                group_size=GROUP,
                backup_mode=nncf.BackupMode.INT8_SYM,
                ignored_scope=left_out,
                advanced_parameters=fallback,
            )


def import_nncf() -> Any:
    """Import NNCF without the telemetry package, which would call a server.

    Raises:
        QuantizationError: it is not installed.
    """
    is_blocked = TELEMETRY not in sys.modules and "nncf" not in sys.modules
    if is_blocked:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # Python's own way to say: not importable
    try:
        nncf = import_module("nncf")
    except ImportError as error:
        raise QuantizationError(f"INT8 for OpenVINO needs NNCF ({error}): pip install nncf") from error
    finally:
        if is_blocked:
            del sys.modules[TELEMETRY]
    return nncf


def _read(xml: Path, weights: Path) -> Any:
    return openvino.Core().read_model(str(xml), str(weights))


def _name(model: Any, named: set[str]) -> None:
    """Name the nodes that are new after their neighbours; OpenVINO numbers them through the life of a process."""
    nodes = [node for node in model.get_ordered_ops() if node.get_friendly_name() not in named]
    numbered = [node for node in nodes if node.get_friendly_name().rpartition("_")[0] == node.get_type_name()]
    for node in numbered:
        if node.get_input_size():
            source = node.input_value(0).get_node().get_friendly_name()
            node.set_friendly_name(f"{source}/{node.get_type_name().lower()}")
    for node in numbered:
        if not node.get_input_size():
            takers = (
                (port.get_node().get_friendly_name(), port.get_index()) for port in node.output(0).get_target_inputs()
            )
            node.set_friendly_name("{}/input{}".format(*min(takers)))


@dataclass(frozen=True)
class _Reader:
    """A node that reads a matrix of weights.

    Attributes:
        layer: name of the layer; None where the matrix does not bear the name of a weight.
        is_left_out: whether it stays float: a look-up of other things than tokens, and what `_is_fine` says.
    """

    node: Any
    weight: Any
    layer: str | None
    is_left_out: bool


def _readers(model: Any) -> list[_Reader]:
    """Return the products and look-ups of a float graph, in its order."""
    readers = []
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        weights = [
            port.get_source_output().get_node()
            for port in node.inputs()
            if port.get_source_output().get_node().get_type_name() == "Constant"
            and len(port.get_shape() if port.get_partial_shape().is_static else ()) == 2
        ]
        if kind not in ("Gather", "MatMul") or not weights:
            continue
        is_table = kind == "Gather" and node.input_value(1).get_any_name() != TOKENS.name
        rows_axis = 0 if kind == "Gather" or node.get_attributes()["transpose_b"] else 1
        is_left_out = is_table or any(_is_fine(np.asarray(weight.data), rows_axis) for weight in weights)
        name = weights[0].get_friendly_name()
        layer = layer_name(name) if name.endswith(SUFFIX) else None
        readers.append(_Reader(node, weights[0], layer, is_left_out))
    return readers


def _is_fine(matrix: Any, rows_axis: int) -> bool:
    """Whether a row that counts is smaller than NNCF's scales can say."""
    peaks = np.abs(matrix).max(axis=1 - rows_axis)
    return bool(((peaks < LEAST_PEAK) & (peaks > NEGLIGIBLE * peaks.max(initial=0))).any())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF's progress and hints off the user's screen."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
