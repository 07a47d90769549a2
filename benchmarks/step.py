"""What a step of a bundle's text decoder is made of, with one beam and with several.

python -m benchmarks.step BUNDLE...

Each bundle is measured three times: its graph `decoder` in its engine, for so many new tokens; of ONNX bundles, the
products with the weights alone, which are what no arrangement of the graph can be faster than; and what the runtime
does outside the engine. Numbers are random, and the cache has as many slots as a short sentence needs.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from edgespeech_runtime import EncoderDecoderModel, load
from edgespeech_runtime.bundle.contracts import NEXT_LOGITS, POSITIONS, TOKENS, Decoder, Tensor, columns, contract
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.bundle.manifest import Manifest
from edgespeech_runtime.engines.graphs import Graphs
from edgespeech_runtime.generation import GenerationOptions, generate
from edgespeech_runtime.generation.cache.decoder import CachedDecoder
from onnx import TensorProto, helper
from rich.table import Table

from benchmarks import command
from benchmarks.timing import interleave, load_average

Call = Callable[[], object]
Arrays = dict[str, npt.NDArray[Any]]

DECODER = "decoder"
TOKENS_OUTSIDE = 33  # that a search writes over logits which are there already
PRODUCTS = ("MatMulNBits", "Gemm", "MatMul")
GRAPH, WEIGHTS, OUTSIDE = "graph", "products with weights alone", "outside the engine"


def arrays(tensors: Sequence[Tensor], facts: Decoder, new: int, slots: int, frames: int) -> Arrays:
    """Random numbers for inputs or outputs of the decoder's graph; tokens and positions are 0."""
    generator = np.random.default_rng(0)
    sizes = {"batch": 1, "new": new, "slots": slots, "columns": slots + new, "frames": frames}
    sizes |= {"heads": facts.heads, "head_dim": facts.head_dim, "vocabulary": facts.vocabulary_size}
    found: Arrays = {}
    for tensor in tensors:
        shape = [sizes[axis] for axis in tensor.axes]
        is_index = tensor in (TOKENS, POSITIONS)
        found[tensor.name] = np.zeros(shape, np.int64) if is_index else generator.standard_normal(shape, np.float32)
    return found


def graph_call(model: EncoderDecoderModel, new: int, slots: int, frames: int) -> Call:
    """A call of the decoder's graph as the runtime makes it."""
    facts = cast(Decoder, model.manifest.decoder)
    binding = model._graphs.bind(DECODER)
    binding.set(arrays(contract("encoder-decoder", facts)[DECODER][0], facts, new, slots, frames))
    return binding.run


def weights_call(file: Path, new: int, threads: int) -> Call:
    """A call of all products with weights that a graph holds, each over rows of its own."""
    model = onnx.load(file)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes, widths = [], dict[str, int]()
    for node in model.graph.node:
        if node.op_type in PRODUCTS and node.input[1] in weights:
            settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            dims = weights[node.input[1]].dims
            width = int(settings.get("K", dims[1 if settings.get("transB") else 0]))
            widths[f"rows_{width}"] = width
            node.input[0] = f"rows_{width}"
            nodes.append(node)
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "weights",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [new, width]) for name, width in widths.items()],
        [onnx.ValueInfoProto(name=node.output[0]) for node in nodes],
        [tensor for name, tensor in weights.items() if name in read],
    )
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(alone.SerializeToString(), options, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    rows = {name: generator.standard_normal((new, width), np.float32) for name, width in widths.items()}
    return lambda: session.run(None, rows)


class Canned:
    """In place of graphs: what a decoder would give is there before."""

    def __init__(self, manifest: Manifest, slots: int, frames: int) -> None:
        self.facts = cast(Decoder, manifest.decoder)
        self._outputs = {
            new: arrays(contract("encoder-decoder", self.facts)[DECODER][1], self.facts, new, slots, frames)
            for new in range(1, 17)
        }
        for outputs in self._outputs.values():
            outputs[NEXT_LOGITS.name] *= 3
        self._inputs: Mapping[str, Any] = {}

    def can_stay(self, name: str) -> bool:
        """Nothing stays on a device."""
        return False

    def bind(self, name: str, staying: Sequence[str] = ()) -> "Canned":
        """It is its own binding."""
        self._inputs = {}
        return self

    def set(self, inputs: Mapping[str, Any]) -> None:
        """Keep inputs, of which the number of new tokens matters."""
        self._inputs = {**self._inputs, **inputs}

    def run(self) -> Arrays:
        """Outputs for so many new tokens."""
        return self._outputs[self._inputs[TOKENS.name].shape[1]]


def outside_call(canned: Canned, beams: int, tokens: int, frames: int) -> Call:
    """A search for so many tokens, with nothing to compute in an engine."""
    cross = arrays(columns("cross", "frames", canned.facts.layers), canned.facts, 1, 1, frames)
    options = GenerationOptions(num_beams=beams, max_new_tokens=tokens, eos_token_id=None)
    prompt = np.zeros((1, 1), np.int64)
    return lambda: generate(CachedDecoder(canned.facts, cast(Graphs, canned), cross, [frames]), prompt, options)


def calls(bundle: Path, beams: int, slots: int, frames: int, threads: int) -> dict[tuple[str, int], list[Call]]:
    """What is measured of a bundle, by what it is and the number of beams; of two calls, the longer and the shorter."""
    model = load(bundle, threads=threads, self_check="never")
    if not isinstance(model, EncoderDecoderModel) or model.manifest.static is not None:
        raise click.BadParameter(f"{bundle} is no encoder-decoder of free shapes", param_hint="BUNDLES")
    manifest = open_bundle(bundle).manifest
    canned, found = Canned(manifest, slots, frames), dict[tuple[str, int], list[Call]]()
    for count in (1, beams):
        found[GRAPH, count] = [graph_call(model, count, slots, frames)]
        if manifest.engine == "onnx":
            found[WEIGHTS, count] = [weights_call(bundle / manifest.graphs[DECODER].file, count, threads)]
        found[OUTSIDE, count] = [outside_call(canned, count, tokens, frames) for tokens in (TOKENS_OUTSIDE, 1)]
    return found


def measured(
    bundle: Path, beams: int, slots: int, frames: int, threads: int, runs: int, clock: Callable[[], float]
) -> list[dict[str, Any]]:
    """Milliseconds of the best calls, with one beam and with several."""
    parts = calls(bundle, beams, slots, frames, threads)
    named = {
        f"{part}, {count}, {index}": call for (part, count), both in parts.items() for index, call in enumerate(both)
    }
    for call in named.values():
        call()
    timings = interleave(named, runs, clock=clock)
    rows: list[dict[str, Any]] = []
    for part in dict.fromkeys(part for part, _ in parts):
        best: dict[int, float] = {}
        for count in (1, beams):
            whole, *one = (timings[f"{part}, {count}, {i}"].minimum for i in range(len(parts[part, count])))
            best[count] = 1e3 * ((whole - one[0]) / (TOKENS_OUTSIDE - 1) if one else whole)
        rows.append({"bundle": bundle.name, "part": part, "one": best[1], "several": best[beams]})
    whole_step = {key: sum(row[key] for row in rows if row["part"] != WEIGHTS) for key in ("one", "several")}
    return [*rows, {"bundle": bundle.name, "part": "step", **whole_step}]


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--beams", type=click.IntRange(2, 16), default=5, show_default=True, help="Beside one.")
@click.option("--slots", type=click.IntRange(min=1), default=64, show_default=True, help="Columns of the cache.")
@click.option("--frames", type=click.IntRange(min=2), default=250, show_default=True, help="Of the encoder.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="For every engine.")
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True, help="Measured calls of each.")
@command.CPU
@command.JSON_FILE
def main(
    bundles: tuple[Path, ...],
    beams: int,
    slots: int,
    frames: int,
    threads: int,
    runs: int,
    cpu: bool,
    json_file: Path | None,
) -> None:
    """Time a step of the text decoders of BUNDLES by its parts."""
    clock = command.clock(cpu, threads)
    rows = [row for bundle in bundles for row in measured(bundle, beams, slots, frames, threads, runs, clock)]
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("bundle")
    table.add_column("part")
    for heading in ("1 beam, ms", f"{beams} beams, ms", "times"):
        table.add_column(heading, justify="right")
    for row in rows:
        ratio = f"{row['several'] / row['one']:.2f}"
        table.add_row(row["bundle"], row["part"], f"{row['one']:.3f}", f"{row['several']:.3f}", ratio)
    facts = command.facts("step", "base", runs, threads) | {"slots": slots, "frames": frames, "beams": beams}
    facts |= {"load": load_average(), "rows": rows}
    kind = "processor time" if cpu else "time"
    title = f"a step over {slots} slots and {frames} frames, threads: {threads}, {kind}, the best of {runs} calls"
    command.show(title, table, [], facts, [f"load average {facts['load']}"])
    command.write(json_file, facts)


if __name__ == "__main__":
    main()
