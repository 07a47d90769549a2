"""Convolutions block by block: product, activation function and rounding of a thousand frames before the next ones.

In the conv stack a layer gives tens of megabytes for ten seconds of audio, and each pass over them waits for memory.
A block stays in the processor's cache from the product until only its integers are left. It is ONNX's `Scan` over
blocks of equal size; frames that fill up the last one are computed and dropped.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgespeech_calib.quantization.onnx.equalise import NORM
from edgespeech_calib.quantization.onnx.fused import first
from edgespeech_calib.quantization.onnx.fused.layout import is_quantization, renamed
from edgespeech_calib.quantization.onnx.fused.products import PRODUCT
from edgespeech_calib.quantization.onnx.network import Network, attributes
from edgespeech_calib.quantization.onnx.writer import GraphWriter

ROWS = 1024  # the most frames of a block: of 512 channels in float32 two megabytes, which threads share


@dataclass(frozen=True)
class Chain:
    """A product of the conv stack and what follows it for each frame alone, the last node rounding to integers."""

    nodes: tuple[onnx.NodeProto, ...]
    windows: onnx.NodeProto | None  # the Gather that cuts what goes in from an activation; None for the first one

    @property
    def output(self) -> str:
        """What the last node gives, (batch, frames, channels)."""
        return str(self.nodes[-1].output[0])


@dataclass(frozen=True)
class Sizes:
    """Names of scalars: frames of an utterance, frames of a block, frames of all blocks."""

    frames: str
    rows: str
    padded: str


def rewrite(network: Network, writer: GraphWriter) -> None:
    """Write each chain as a scan over blocks."""
    chains = {chain.output: chain for node in network.nodes if (chain := _chain(node, network)) is not None}
    inner = {str(node.output[0]) for chain in chains.values() for node in chain.nodes[:-1]}
    cuts = {str(chain.windows.output[0]): chain for chain in chains.values() if chain.windows is not None}
    sizes: dict[str, Sizes] = {}  # by the name of what a chain gives
    whole: dict[str, tuple[str, str]] = {}  # of an activation, that of all its blocks, and the number of its frames
    for node in network.nodes:
        output, source = node.output[0], node.input[0] if node.input else ""
        if output in inner:
            continue
        if output in cuts:
            sizes[cuts[output].output] = _cut(node, network, writer, {name: pair[0] for name, pair in whole.items()})
        elif output in chains:
            whole[output] = _scan(chains[output], sizes.get(output), network, writer)
        elif source in whole and node.op_type == "Shape" and attributes(node) == {"start": 1, "end": 2}:
            writer.add("Unsqueeze", [whole[source][1], writer.integers(0)], output, node.name)
        elif source in whole and node.op_type == "Gather" and attributes(node).get("axis", 0) == 1:
            writer.keep(renamed(node, {source: whole[source][0]}))
        else:
            writer.keep(node)


def _chain(node: onnx.NodeProto, network: Network) -> Chain | None:
    """The chain that begins with a node, if one does."""
    windows = None
    if node.op_type == PRODUCT:
        windows = _windows(node, network)
        if windows is None:
            return None
    elif node.op_type != "MatMul" or not node.input[0].startswith(first.PREFIX):
        return None
    nodes = [node]
    while not is_quantization(nodes[-1], network):
        consumers = network.consumers[nodes[-1].output[0]]
        if len(consumers) != 1 or not _is_of_frames(consumers[0], network):
            return None
        nodes.append(consumers[0])
    return Chain(tuple(nodes), windows)


def _windows(product: onnx.NodeProto, network: Network) -> onnx.NodeProto | None:
    """The node that cuts what goes into a product of a convolution; None for other products."""
    reshape = network.producers.get(product.input[0])
    gather = network.producers.get(reshape.input[0]) if reshape is not None and reshape.op_type == "Reshape" else None
    return gather if gather is not None and gather.op_type == "Gather" and _starts(gather, network) else None


def _is_of_frames(node: onnx.NodeProto, network: Network) -> bool:
    """Whether a node works on each frame alone."""
    if node.op_type == NORM:
        return attributes(node).get("axis", -1) == -1 and all(name in network.initializers for name in node.input[1:])
    return node.op_type in ("Gelu", "Relu") or is_quantization(node, network)


def _starts(gather: onnx.NodeProto, network: Network) -> str | None:
    """The name of the integers that say where windows begin, to which those of the taps are added; None for others."""
    indices = network.producers.get(gather.input[1])
    column = network.producers.get(indices.input[0]) if indices is not None and indices.op_type == "Add" else None
    return str(column.input[0]) if column is not None and column.op_type == "Unsqueeze" else None


def _sizes(frames: str, writer: GraphWriter) -> Sizes:
    """Split so many frames into blocks of equal size."""
    one, most = writer.integer(1), writer.integer(ROWS)

    def quotient(number: str, divisor: str) -> str:
        """Rounded up."""
        return writer.add("Div", [writer.add("Add", [number, writer.add("Sub", [divisor, one])]), divisor])

    count = quotient(frames, most)
    rows = quotient(frames, count)
    return Sizes(frames, rows, writer.add("Mul", [count, rows]))


def _cut(gather: onnx.NodeProto, network: Network, writer: GraphWriter, whole: dict[str, str]) -> Sizes:
    """Cut windows for whole blocks: behind the last window comes the last one again."""
    starts = str(_starts(gather, network))
    sizes = _sizes(writer.add("Squeeze", [writer.add("Shape", [starts])]), writer)
    order = writer.add("Range", [writer.integer(0), sizes.padded, writer.integer(1)])
    last = writer.add("Sub", [sizes.frames, writer.integer(1)])
    padded = writer.add("Gather", [starts, writer.add("Min", [order, last])])
    indices = network.producers[gather.input[1]]
    column = writer.add("Unsqueeze", [padded, writer.integers(1)])
    cut = writer.add("Add", [column, indices.input[1]])
    source = gather.input[0]
    writer.add("Gather", [whole.get(source, source), cut], gather.output[0], gather.name, axis=1)
    return sizes


def _scan(chain: Chain, sizes: Sizes | None, network: Network, writer: GraphWriter) -> tuple[str, str]:
    """Run a chain over blocks; returns the name of what it gives for all blocks, and that of the number of frames."""
    product, output = chain.nodes[0], chain.output
    source, inputs = product.input[0], {}
    if sizes is None:
        sizes = _sizes(writer.add("Squeeze", [writer.add("Shape", [source], start=1, end=2)]), writer)
        source = _padded(source, sizes, writer)
    width = writer.add("Shape", [source], start=2, end=3)
    inputs[product.input[0]] = _reshaped(source, sizes.rows, width, writer)
    if product.input[1] not in network.initializers:  # weights of each utterance
        inputs[product.input[1]] = _repeated(product.input[1], inputs[product.input[0]], writer)
    rounded = writer.add("Scan", list(inputs.values()), num_scan_inputs=len(inputs), body=_body(chain, inputs, network))
    channels = writer.add("Shape", [rounded], start=2, end=3)
    whole = _reshaped(rounded, sizes.padded, channels, writer)
    first, end, axis = (
        writer.integers(0),
        writer.add("Unsqueeze", [sizes.frames, writer.integers(0)]),
        writer.integers(1),
    )
    writer.add("Slice", [whole, first, end, axis], output)
    return whole, sizes.frames


def _padded(source: str, sizes: Sizes, writer: GraphWriter) -> str:
    """Fill up (batch, frames, width) with frames of zeros."""
    missing = writer.add("Unsqueeze", [writer.add("Sub", [sizes.padded, sizes.frames]), writer.integers(0)])
    pads = writer.add("Concat", [writer.integers(0, 0, 0, 0), missing, writer.integers(0)], axis=0)
    return writer.add("Pad", [source, pads])


def _reshaped(source: str, rows: str, width: str, writer: GraphWriter) -> str:
    """As (..., rows, width), the first axis holding what remains."""
    shape = [writer.integers(-1), writer.add("Unsqueeze", [rows, writer.integers(0)]), width]
    return writer.add("Reshape", [source, writer.add("Concat", shape, axis=0)])


def _repeated(weights: str, blocks: str, writer: GraphWriter) -> str:
    """Weights (batch, in, out) for each block of the utterances: (blocks, in, out)."""
    batch, sizes = (writer.add("Shape", [name], start=0, end=1) for name in (weights, blocks))
    each = writer.add("Div", [sizes, batch])
    shape = writer.add("Concat", [writer.integers(1), each, writer.integers(1, 1)], axis=0)
    wide = writer.add("Expand", [writer.add("Unsqueeze", [weights, writer.integers(1)]), shape])
    inner = writer.add("Shape", [weights], start=1, end=3)
    return writer.add("Reshape", [wide, writer.add("Concat", [writer.integers(-1), inner], axis=0)])


def _body(chain: Chain, inputs: dict[str, str], network: Network) -> onnx.GraphProto:
    """The nodes of a chain for one block; constants are those of the graph around."""
    names = {name: f"{name}_block" for name in inputs}
    names |= {str(node.output[0]): f"{node.output[0]}_block" for node in chain.nodes}
    nodes = []
    for node in chain.nodes:
        inner = renamed(node, names)
        inner = inner if inner is not node else onnx.NodeProto.FromString(node.SerializeToString())
        inner.output[0] = names[inner.output[0]]
        nodes.append(inner)
    is_integer = chain.nodes[0].op_type == PRODUCT
    integer = helper.np_dtype_to_tensor_dtype(network.constant(chain.nodes[-1].input[2]).dtype)
    source = integer_type(chain, network) if is_integer else TensorProto.FLOAT
    kinds = dict.fromkeys(inputs, TensorProto.FLOAT) | {str(chain.nodes[0].input[0]): source}
    given = [helper.make_tensor_value_info(names[name], kinds[name], (None, None)) for name in inputs]
    result = helper.make_tensor_value_info(names[chain.output], integer, (None, None))
    return helper.make_graph(nodes, f"{chain.output}_of_a_block", given, [result])


def integer_type(chain: Chain, network: Network) -> int:
    """The type of the integers that go into a chain's product: that of their zero point."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(network.constant(chain.nodes[0].input[4]).dtype)))
