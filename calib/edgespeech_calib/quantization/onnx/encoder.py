"""INT8 for the encoder graphs of ONNX bundles: calibrated on the graph for one utterance, written for all of them."""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import onnx
from edgespeech_export.writers import hub_graph
from edgespeech_export.writers.weight_store import WEIGHTS_FILE, WeightStore, store_small
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import Graph
from onnx.external_data_helper import uses_external_data

from edgespeech.choices import Ranges
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import IntegerShare, Note, Utterances, Values
from edgespeech_calib.quantization.onnx import damage as onnx_damage
from edgespeech_calib.quantization.onnx import equalise as onnx_equalise
from edgespeech_calib.quantization.onnx import measure as measure
from edgespeech_calib.quantization.onnx.forms import INTEGERS, DynamicForms, Forms, LayerRanges, StaticForms
from edgespeech_calib.quantization.onnx.fused import fused
from edgespeech_calib.quantization.onnx.fused.first import PREFIX
from edgespeech_calib.quantization.onnx.network import Network, Product, attributes
from edgespeech_calib.quantization.onnx.session import Kernel, profile
from edgespeech_calib.quantization.onnx.writer import GraphWriter
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.quantization.search.layers import Layer

MAIN = ("single", "encoder")  # the graph for utterances of one length: of CTC models, of encoder-decoders
DECODER = "decoder"
INTERCHANGE = "interchange"  # the graph for other runtimes, in standard operators
FILES = {INTERCHANGE: "model.int8.onnx"}  # as onnx-asr looks for it; the others keep their names
BEST_RANGES: Ranges = "minmax"
PROBE_SECONDS = 2.0

INTEGER_PRODUCTS = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    }
)
ATTENTION = "MultiHeadAttention"  # both of its products, in float
HELPING = f"node_{PREFIX}"  # products that form patches and their covariance: no layer of the model has them
FLOAT_PRODUCTS = frozenset({"Conv", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul", ATTENTION})


class OnnxEncoder:
    """See `backend.EncoderBackend`.

    Args:
        bundle: in float32, made by ONNX's writer.
        options: scheme and method of ranges.
        types: number types of the target.

    Raises:
        QuantizationError: the bundle holds nothing that could be quantized, or was exported by an older version.
    """

    def __init__(self, bundle: Bundle, options: QuantizationOptions, types: Types) -> None:
        graphs = bundle.manifest.graphs
        self._bundle, self._options, self._types = bundle, options, types
        self._main = next(name for name in MAIN if name in graphs)
        self._network = Network.read(bundle.path(graphs[self._main].file))
        self._products = self._quantizable(self._network)
        self._factors: onnx_equalise.Factors = {}
        self._ranges: dict[str, LayerRanges] | None = None
        if not self._products:
            raise QuantizationError(f"the graph {self._main!r} holds no layer that could be quantized")
        audio = bundle.manifest.audio
        samples = max(audio.shortest, round(PROBE_SECONDS * audio.sampling_rate))
        probe = np.random.default_rng(0).standard_normal((1, samples), np.float32)
        names = [*measure.observed(self._products), *(product.output for product in self._products)]
        self._shapes = measure.shapes(self._network, names, probe)
        self.layers = self._layers()

    def calibrate(self, utterances: Utterances, note: Note) -> None:
        """See `backend.EncoderBackend.calibrate`; the dynamic scheme has nothing to learn."""
        if self._options.scheme == "dynamic":
            return
        note("equalisation")
        self._factors = onnx_equalise.find(self._network, self._products, self._types, utterances)
        note("ranges of activations")
        method = self._options.ranges or BEST_RANGES
        finder = measure.RangeFinder(self._network, self._products, self._shapes, method, self._factors)
        if not finder.observe(utterances):
            raise QuantizationError("there is no utterance to calibrate on")
        self._ranges = finder.ranges()

    def noise(self, utterances: Utterances) -> dict[str, float]:
        """See `backend.EncoderBackend.noise`."""
        return measure.noise(self._network, self._products, self._forms(GraphWriter(), self._network), utterances)

    def damage(self, utterances: Utterances) -> dict[str, float]:
        """See `backend.EncoderBackend.damage`."""
        return onnx_damage.damage(self._network, self._products, self._forms(GraphWriter(), self._network), utterances)

    def write(self, folder: Path, floating: frozenset[str]) -> dict[str, Graph]:
        """See `backend.EncoderBackend.write`; the folder must not hold graphs of an earlier call."""
        graphs = self._bundle.manifest.graphs
        weights = hub_graph.weights_of(hub_graph.INT8_FILE) if hub_graph.GRAPH in graphs else WEIGHTS_FILE
        store = WeightStore(folder / weights)
        written = {}
        for name, graph in graphs.items():
            if name in (DECODER, hub_graph.GRAPH):
                continue
            file = FILES.get(name, graph.file)
            network = Network.read(self._bundle.path(graph.file))
            standard = self._quantized(network, floating)
            model = standard if name == INTERCHANGE else fused(standard, network)
            stored = _stored(model, network)
            store.save(stored, folder / file)
            written[name] = replace(graph, file=file, weights=weights)
            if name == self._main and hub_graph.GRAPH in graphs:
                written[hub_graph.GRAPH] = self._write_hub_graph(stored, written[name], store)
        return written

    def _write_hub_graph(self, model: onnx.ModelProto, single: Graph, store: WeightStore) -> Graph:
        """Write other libraries' graph: `single` as the runtime has it, and a layer behind it that stays in float."""
        folder, floating = store.path.parents[1], self._bundle.path(self._bundle.manifest.graphs[hub_graph.GRAPH].file)
        classifier = hub_graph.classifier_in(onnx.load(floating))
        model, graph = hub_graph.graph_of(model, single, hub_graph.INT8_FILE, classifier)
        store.save(model, folder / graph.file)
        hub_graph.describe(folder, graph.file, self._bundle.folder)
        return graph

    def integer_share(self, folder: Path, values: Values) -> IntegerShare:
        """See `backend.EncoderBackend.integer_share`."""
        file = folder / FILES.get(self._main, self._bundle.manifest.graphs[self._main].file)
        written = onnx.load(file, load_external_data=False)
        stored = {tensor.name for tensor in written.graph.initializer}
        layers = {product.name: product for product in self._products}
        inner = _sums(self._network) | _sums(Network(written, folder))
        integer = total = 0
        in_integers: set[str] = set()
        for kernel in profile(file, values, self._types.activation == "int8"):
            is_integer = kernel.operator in INTEGER_PRODUCTS
            if not is_integer and (kernel.operator not in FLOAT_PRODUCTS or kernel.node.startswith(HELPING)):
                continue
            macs = _macs(kernel, layers, self._network, inner)
            total += macs
            if is_integer:
                integer += macs
                in_integers.add(kernel.node)
        quantized = dict.fromkeys(p.name for p in self._products if p.weight + INTEGERS in stored)
        return IntegerShare(integer, total, tuple(name for name in quantized if name not in in_integers))

    def _quantizable(self, network: Network) -> tuple[Product, ...]:
        """The layers that the scheme has a form for."""
        dynamic = self._options.scheme == "dynamic"
        return tuple(product for product in network.products if not (dynamic and product.kind == "positional"))

    def _layers(self) -> tuple[Layer, ...]:
        layers: dict[str, Layer] = {}
        for product in self._products:
            macs = measure.macs(product, self._network, self._shapes[product.output])
            before = layers[product.name].macs if product.name in layers else 0
            layers[product.name] = Layer(product.name, product.kind, product.stage, before + macs)
        return tuple(layers.values())

    def _forms(self, writer: GraphWriter, network: Network) -> Forms:
        if self._options.scheme == "dynamic":
            return DynamicForms(writer, network, self._types, self._factors)
        if self._ranges is None:
            raise QuantizationError("ranges are not known before calibration")
        return StaticForms(writer, network, self._types, self._factors, self._ranges)

    def _quantized(self, network: Network, floating: frozenset[str]) -> onnx.ModelProto:
        """The graph with its layers quantized, in standard operators."""
        writer = GraphWriter()
        forms = self._forms(writer, network)
        names = {layer.name for layer in self.layers}
        products = {product.output: product for product in self._quantizable(network)}
        for node in network.nodes:
            product = products.get(node.output[0])
            if product is None or product.name in floating:
                writer.keep(_apart(node, network, writer))
                continue
            if product.name not in names:
                raise QuantizationError(
                    f"the layer {product.name} is not in the graph {self._main!r}; export the float bundle again"
                )
            forms.write(product, product.output)
        return writer.model(network)


def _stored(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    """The graph with all weights in it, those in float in half the bytes."""
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            tensor.CopyFrom(network.tensor(tensor.name))
    store_small(model, network.initializers)
    onnx.checker.check_model(model)
    return model


def _apart(node: onnx.NodeProto, network: Network, writer: GraphWriter) -> onnx.NodeProto:
    """The node; of a bias before GELU, one whose bias is a row instead of a vector.

    ONNX Runtime would make one operator of a vector and GELU, which takes twice as long as the two.
    """
    before_gelu = {consumer.op_type for consumer in network.consumers[node.output[0]]} == {"Gelu"}
    if node.op_type != "Add" or not before_gelu:
        return node
    vectors = [name for name in node.input if name in network.initializers and len(network.shape(name)) == 1]
    if len(vectors) != 1:
        return node
    row = writer.constant(network.constant(vectors[0])[None], f"{vectors[0]}_row")
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    for index, name in enumerate(node.input):
        changed.input[index] = row if name == vectors[0] else name
    return changed


def _sums(network: Network) -> dict[str, int]:
    """How many products each number of a result sums up, by the name of the node, where a weight tells it."""
    macs = {}
    for node in network.nodes:
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in network.initializers:
            shape = network.shape(node.input[1])
            rows = shape[-1] if attributes(node).get("transB", 0) else shape[-2]
            macs[node.name] = prod(shape[1:]) if node.op_type == "Conv" else rows
    return macs


def _macs(kernel: Kernel, layers: dict[str, Product], network: Network, inner: dict[str, int]) -> int:
    """Multiply-accumulates of a kernel; profiles leave out the shapes of weights that were packed."""
    product = layers.get(kernel.node)
    if product is not None:
        return measure.macs(product, network, kernel.output)
    if kernel.node in inner:
        return prod(kernel.output) * inner[kernel.node]
    if kernel.operator == ATTENTION:  # of query, key and value (batch, frames, channels)
        return 2 * prod(kernel.output) * kernel.inputs[1][1]
    return prod(kernel.output) * (kernel.inputs[0][-1] if kernel.inputs and kernel.inputs[0] else 1)
