"""INT8 or INT4 weights for the decoder graph of an ONNX bundle, by ONNX Runtime's MatMulNBits.

A step's time is the time in which its weights are read. MatMulNBits reads them as integers, quantizes what they are
multiplied with to 8 bits for the moment, in blocks too, and multiplies integers. Attention, norms and sums are float.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from edgespeech_export.writers.weight_store import WEIGHTS_FILE, WeightStore
from edgespeech_runtime.bundle.contracts import TOKENS
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import Graph
from onnx import helper
from onnx.external_data_helper import uses_external_data

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import IntegerShare
from edgespeech_calib.quantization.onnx.network import Network, attributes
from edgespeech_calib.quantization.onnx.session import open_session
from edgespeech_calib.quantization.onnx.writer import GraphWriter
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.quantization.search.layers import Kind, Layer, layer_name
from edgespeech_calib.quantization.text_decoder import blocks as decoder_blocks
from edgespeech_calib.quantization.text_decoder.blocks import INT4, Blocks, Scheme
from edgespeech_calib.quantization.text_decoder.linears import Factor, Linear, factors, groups, linears
from edgespeech_calib.quantization.text_decoder.probe import DECODER, probe

DOMAIN = "com.microsoft"
INTEGER_ACTIVATIONS = 4  # the accuracy level of MatMulNBits that lets it multiply integers of 8 bits
KERNEL = "_kernel_time"  # behind the name of a node in the profile


class OnnxDecoder:
    """See `backend.DecoderBackend`.

    With INT4, the table of tokens and the head stay in INT8: every token depends on them.

    Raises:
        QuantizationError: the graph holds no layer that could be quantized.
    """

    def __init__(self, bundle: Bundle, options: QuantizationOptions, types: Types) -> None:
        self._graph = bundle.manifest.graphs[DECODER]
        self._manifest = bundle.manifest
        self._network = Network.read(bundle.path(self._graph.file))
        self._linears = linears(self._network)
        self._bytes = decoder_blocks.byte_scheme(types)
        self._scheme = INT4 if options.decoder_weights == "int4" else self._bytes
        if not self._linears:
            raise QuantizationError(f"the graph {DECODER!r} holds no layer whose weights could be quantized")
        self._tables = {node.input[0] for node in self._network.nodes if self._is_table(node)}
        self.layers = self._layers()

    def write(self, folder: Path, floating: frozenset[str] = frozenset()) -> dict[str, Graph]:
        """See `backend.DecoderBackend.write`."""
        network = self._network
        whole = [linear for linear in self._linears if linear.name not in floating]
        all_factors = factors(network, whole)
        tables = {name for name in self._tables if layer_name(name) not in floating}
        apart = frozenset({*self._tables, *self._heads()})
        joined = {group[0].output: group for group in groups(whole, apart)}
        gone = {linear.output for linear in whole} - joined.keys()
        gone |= {factor.mul.output[0] for factor in all_factors}
        writer = _DecoderWriter(network, all_factors)
        for node in network.nodes:
            output = node.output[0]
            if output in joined:
                group = joined[output]
                writer.product(group, self._bytes if group[0].weight in apart else self._scheme)
            elif node.op_type == "Gather" and node.input[0] in tables:
                writer.table(node, self._bytes)
            elif output not in gone:
                writer.keep(node)
        WeightStore(folder / WEIGHTS_FILE).save(writer.model(), folder / self._graph.file)
        return {DECODER: replace(self._graph, weights=WEIGHTS_FILE)}

    def integer_share(self, folder: Path) -> IntegerShare:
        """See `backend.DecoderBackend.integer_share`: multiply-accumulates whose weights are read as integers."""
        file = folder / self._graph.file
        written = onnx.load(file, load_external_data=False)
        inner = {node.name: attributes(node)["K"] for node in written.graph.node if node.op_type == "MatMulNBits"}
        shapes = {tensor.name: tuple(tensor.dims) for tensor in written.graph.initializer}
        for node in written.graph.node:
            if node.op_type in ("Gemm", "MatMul") and node.input[1] in shapes:
                inner[node.name] = shapes[node.input[1]][-1 if attributes(node).get("transB") else -2]
        integer = total = 0
        for name, operator, source, result in _kernels(file, probe(self._manifest)):
            if "MatMul" not in operator and "Gemm" not in operator:
                continue
            macs = prod(result) * inner.get(name, source[-1] if source else 1)
            total += macs
            integer += macs * (operator == "MatMulNBits")
        return IntegerShare(integer, total)

    def _layers(self) -> tuple[Layer, ...]:
        """Tables first; a head that is tied to one is one layer with it. With INT4, none: that was asked for."""
        if self._scheme is INT4:
            return ()
        weights: list[tuple[str, str, Kind]] = [(layer_name(name), name, "table") for name in sorted(self._tables)]
        weights += [(linear.name, linear.weight, "linear") for linear in self._linears]
        layers = {name: Layer(name, kind, "head", prod(self._network.shape(weight))) for name, weight, kind in weights}
        return tuple(layers.values())

    def _is_table(self, node: onnx.NodeProto) -> bool:
        """Whether a node looks up the tokens' embeddings; the table of positions is small and stays float."""
        if node.op_type != "Gather" or node.input[1] != TOKENS.name or node.input[0] not in self._network.initializers:
            return False
        return attributes(node).get("axis", 0) == 0 and len(self._network.shape(node.input[0])) == 2

    def _heads(self) -> list[str]:
        """The weight of the layer that gives a logit for each token, which is the last one."""
        facts, last = self._manifest.decoder, self._linears[-1]
        return [last.weight] if facts and last.rows(self._network) == facts.vocabulary_size else []


class _DecoderWriter:
    """Writes the decoder's graph anew."""

    def __init__(self, network: Network, factors: Sequence[Factor]) -> None:
        self._network, self._writer = network, GraphWriter()
        self._factors = factors
        self._aliases = {str(factor.mul.output[0]): factor.source for factor in factors}

    def keep(self, node: onnx.NodeProto) -> None:
        """Append a node as it is, but for the factors that it no longer waits for."""
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        for index, name in enumerate(node.input):
            kept.input[index] = self._aliases.get(name, name)
        self._writer.keep(kept)

    def product(self, group: Sequence[Linear], scheme: Scheme) -> None:
        """Append linear layers that read the same as one product."""
        network, name = self._network, group[0].weight
        matrices, biases = zip(*map(self._folded, group), strict=True)
        blocks = decoder_blocks.quantize(np.concatenate(matrices), scheme)
        bias = self._writer.constant(np.concatenate(biases), f"{name}_biases") if any(x.bias for x in group) else ""
        outputs = [linear.output for linear in group]
        source = self._aliases.get(group[0].source, group[0].source)
        integers, scales, zeros = self._constants(blocks, name, blocks.integers)
        inputs = [source, integers, scales, zeros, "", bias]
        while not inputs[-1]:
            inputs.pop()
        joined = outputs[0] if len(group) == 1 else f"{outputs[0]}_joined"
        self._writer.add(
            "MatMulNBits",
            inputs,
            joined,
            layer(group),
            domain=DOMAIN,
            N=len(blocks.scales),
            K=blocks.columns,
            bits=blocks.bits,
            block_size=blocks.size,
            accuracy_level=INTEGER_ACTIVATIONS,
        )
        if len(group) > 1:
            sizes = self._writer.integers(*(linear.rows(network) for linear in group))
            self._writer.keep(helper.make_node("Split", [joined, sizes], outputs, f"{joined}_split", axis=-1))

    def table(self, node: onnx.NodeProto, scheme: Scheme) -> None:
        """Append the look-up of tokens in a table; a head that is tied to it has the same bytes."""
        name, (output,) = node.input[0], node.output
        blocks = decoder_blocks.quantize(self._network.constant(name), scheme)
        data = blocks.integers.reshape(len(blocks.integers), -1)
        integers, scales, zeros = self._constants(blocks, f"{name}_table", data)
        inputs = [integers, node.input[1], scales, *([zeros] if zeros else [])]
        padded = f"{output}_padded" if blocks.is_padded else output
        settings = {"bits": blocks.bits, "block_size": blocks.size, "gather_axis": 0, "quantize_axis": 1}
        self._writer.add("GatherBlockQuantized", inputs, padded, f"{name}_rows", domain=DOMAIN, **settings)
        if blocks.is_padded:
            bounds = [self._writer.integers(bound) for bound in (0, blocks.columns, -1)]
            self._writer.add("Slice", [padded, *bounds], output, f"{output}_columns")

    def model(self) -> onnx.ModelProto:
        """Return the graph with all weights in it."""
        model = self._writer.model(self._network)
        for tensor in model.graph.initializer:
            if uses_external_data(tensor):
                tensor.CopyFrom(self._network.tensor(tensor.name))
        if DOMAIN not in {opset.domain for opset in model.opset_import}:
            model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        onnx.checker.check_model(model)
        return model

    def _folded(self, linear: Linear) -> tuple[Any, Any]:
        """Return the weight (out, in) and the bias with the factors in them."""
        matrix = linear.matrix(self._network)
        bias = np.zeros(len(matrix), np.float32) if linear.bias is None else self._network.constant(linear.bias)
        for factor in self._factors:
            if factor.linear == linear.output:
                scale = np.ones(len(matrix), np.float32)
                scale[factor.rows] = factor.value
                matrix, bias = matrix * scale[:, None], bias * scale
        return matrix, bias

    def _constants(self, blocks: Blocks, name: str, integers: decoder_blocks.Bytes) -> tuple[str, str, str]:
        zeros = "" if blocks.zeros is None else self._writer.constant(blocks.zeros, f"{name}_zeros")
        return (
            self._writer.constant(integers, f"{name}_int{blocks.bits}"),
            self._writer.constant(blocks.scales, f"{name}_scales"),
            zeros,
        )


def layer(group: Sequence[Linear]) -> str:
    """Name of a product: of the layers in it."""
    return "+".join(linear.name for linear in group)


def _kernels(file: Path, inputs: Any) -> list[tuple[str, str, tuple[int, ...], tuple[int, ...]]]:
    """Run a graph under the profiler: name, operator, and shapes of the first input and output of nodes."""
    with tempfile.TemporaryDirectory(prefix="edgespeech-profile-") as folder:
        session = open_session(file, Path(folder) / "profile")
        session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            facts = event["args"]
            shapes = [_first(facts.get(key)) for key in ("input_type_shape", "output_type_shape")]
            kernels.append((event["name"].removesuffix(KERNEL), facts["op_name"], *shapes))
    return kernels


def _first(entries: Any) -> tuple[int, ...]:
    """Of [{"float": [1, 49, 768]}, ...]."""
    return tuple(next(iter(entries[0].values()), ())) if entries else ()
