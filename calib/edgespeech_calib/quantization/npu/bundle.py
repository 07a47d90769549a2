"""Bundles for NPUs that compute in whole numbers, as Qualcomm's HTP: every node of every graph is quantized.

Graphs of fixed shapes, activations of 16 bits (or 8), weights of 8, in onnxruntime's QDQ form. There is no gate and no
layer that goes back to float: such a device has none. What it costs is a matter of `edgespeech evaluate` on the device.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import onnx
from edgespeech_export import ExportOptions, Lengths, export
from edgespeech_export.bundle import BundleWriter
from edgespeech_export.folder import absolute, check_target, written_whole
from edgespeech_export.language_model import BundledModel
from edgespeech_export.sources.reading import task_of
from edgespeech_export.sources.static import StaticShapes
from edgespeech_export.writers.weight_store import WEIGHTS_FILE, WeightStore
from edgespeech_runtime.bundle.folder import Bundle, open_bundle
from edgespeech_runtime.bundle.manifest import Graph, Manifest
from edgespeech_runtime.choices import Task

from edgespeech.checkpoint import resolve
from edgespeech.choices import BUCKETS
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization import calibration
from edgespeech_calib.quantization.npu.compiled import compile_graphs, compiled_report, compiler
from edgespeech_calib.quantization.npu.feeds import Feeds, record
from edgespeech_calib.quantization.npu.forms import float_nodes, quantize_moved_inputs, separate_tables
from edgespeech_calib.quantization.steps import Progress, silent
from edgespeech_calib.speech.sets import SpeechSet

Activations = Literal["uint8", "uint16"]
TASKS: tuple[Task, ...] = ("ctc", "encoder-decoder")  # whose graphs are known to be quantized well as a whole

# Scores that count for nothing are this far below others. With -10000 nothing of 16 bits would be left for the others.
HIDDEN = -512.0


@dataclass(frozen=True)
class NpuOptions:
    """How to make a bundle for an NPU.

    Attributes:
        buckets: seconds of audio that the graphs take.
        slots: columns of an encoder-decoder's cache; see `StaticShapes`.
        activations: "uint16" keeps what is said; "uint8" is for devices that have no more.
        samples, seed: calibration utterances, and what decides the draw.
        compile: write the graphs as Qualcomm's compiler makes them too; needs onnxruntime-qnn.
        soc_model: Qualcomm's number of the chip to compile for; None leaves the choice to the compiler.
        lengths: of recordings, by which the buckets are chosen in place of `buckets`.
    """

    buckets: tuple[float, ...] = BUCKETS
    slots: int | None = None
    activations: Activations = "uint16"
    samples: int = 32
    seed: int = 0
    compile: bool = False
    soc_model: int | None = None
    lengths: Lengths | None = None

    def __post_init__(self) -> None:
        if self.activations not in get_args(Activations):
            raise QuantizationError(
                f"activations must be one of {', '.join(get_args(Activations))}, got {self.activations!r}"
            )
        if self.samples < 1:
            raise QuantizationError(f"samples must be at least 1, got {self.samples}")
        if self.soc_model is not None and not self.compile:
            raise QuantizationError("soc_model is for what is compiled; set compile too, or leave soc_model out")


def export_npu(
    checkpoint: str | os.PathLike[str],
    bundle: str | os.PathLike[str],
    data: SpeechSet,
    options: NpuOptions = NpuOptions(),  # frozen
    *,
    target_lang: str | None = None,
    force: bool = False,
    language_model: BundledModel | Literal[False] | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Export a checkpoint in float with the proof of every export, quantize all of it, and return the manifest.

    Args:
        checkpoint: a checkpoint folder or hub id.
        bundle: the folder to write; it comes into being whole, or not at all.
        data: speech to calibrate on; it needs no transcripts.
        options: shapes and number types.
        target_lang: language of the adapter, for checkpoints with several.
        force: replace the bundle if it is there.
        language_model: see `ExportOptions`.
        progress: called with a step's name, how much of it is done, and of how much, None where that is not known.

    Raises:
        DataError: none of the speech can be used.
        QuantizationError: the checkpoint is for another task, onnxruntime refused a graph, or its compiler for the NPU
            is not installed.
        ExportError, CheckpointError, EngineError: see `edgespeech_export.export`.
    """
    target = absolute(bundle)
    folder = resolve(checkpoint, *([f"adapter.{target_lang}.*"] if target_lang else []))
    check_target(target, force, keep=folder)
    _check(folder, data, options)
    with (
        written_whole(target, force) as partial,
        tempfile.TemporaryDirectory(prefix=f".{target.name}.scratch-", dir=target.parent) as scratch_folder,
    ):
        scratch = Path(scratch_folder)
        shapes = StaticShapes(options.buckets, options.slots, HIDDEN, "products", options.lengths)
        float_options = ExportOptions(target_lang=target_lang, static=shapes, language_model=language_model)
        floating = _exported(folder, scratch / "float", float_options, progress)
        drawn = _drawn(floating, data, scratch / "excerpts", options, progress)
        progress("running the float model", 0, None)
        graphs = _quantized(floating, partial, scratch, record(floating, drawn), options, progress)
        if options.compile:
            graphs = compile_graphs(partial, graphs, options.soc_model, progress)
        return _finished(floating, partial, graphs, drawn, options)


def _check(folder: Path, data: SpeechSet, options: NpuOptions) -> None:
    """Refuse what cannot end well before any long work. Raises QuantizationError and DataError."""
    if (task := task_of(folder)) not in TASKS:
        raise QuantizationError(
            f"{folder} is for {task}; INT8 for NPUs is made of models for {' and '.join(TASKS)}, others can have "
            "fixed shapes in float (--static)"
        )
    calibration.require_sound(data, options.samples, options.seed)
    if options.compile:
        compiler()


def _exported(checkpoint: Path, folder: Path, options: ExportOptions, progress: Progress) -> Bundle:
    """The float bundle with fixed shapes in the form that quantizes well, proven as every export is."""
    progress("exporting in float", 0, None)
    export(checkpoint, folder, options, progress=lambda step: progress(f"float32: {step}", 0, None))
    return open_bundle(folder)


def _drawn(
    floating: Bundle, data: SpeechSet, folder: Path, options: NpuOptions, progress: Progress
) -> calibration.Calibration:
    folder.mkdir()
    return calibration.draw(
        data,
        floating.manifest.audio,
        folder,
        samples=options.samples,
        seed=options.seed,
        count=lambda done, total: progress("reading calibration speech", done, total),
    )


def _quantized(
    floating: Bundle,
    partial: Path,
    scratch: Path,
    feeds: dict[str, Feeds],
    options: NpuOptions,
    progress: Progress,
) -> dict[str, Graph]:
    """Write all graphs over one file of weights."""
    store, graphs = WeightStore(partial / WEIGHTS_FILE), {}
    for done, (name, graph) in enumerate(floating.manifest.graphs.items()):
        progress("quantizing", done, len(floating.manifest.graphs))
        quantize_graph(floating.path(graph.file), scratch / "quantized.onnx", feeds[name], options.activations)
        store.save(onnx.load(scratch / "quantized.onnx"), partial / f"{name}.onnx")
        graphs[name] = Graph(f"{name}.onnx", WEIGHTS_FILE, graph.inputs, graph.outputs)
    return graphs


def quantize_graph(source: Path, target: Path, feeds: Feeds, activations: Activations) -> None:
    """Write a graph with all its nodes between QuantizeLinear and DequantizeLinear, by ranges from `feeds`.

    Raises:
        QuantizationError: there is nothing to take ranges from, or onnxruntime refused the graph.
    """
    from onnxruntime.quantization import QuantType, quantize
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

    if not feeds:
        raise QuantizationError(f"the calibration speech never came to the graph {source.stem}; give more of it")
    kinds = {"uint8": QuantType.QUInt8, "uint16": QuantType.QUInt16}
    model = onnx.load(source)
    separate_tables(model.graph)
    prepared = target.with_name("prepared.onnx")
    onnx.save(model, prepared)
    try:
        with _quiet():
            config = get_qnn_qdq_config(
                str(prepared), _reader(feeds), activation_type=kinds[activations], weight_type=QuantType.QUInt8
            )
            quantize(str(prepared), str(target), config)
    except (ValueError, RuntimeError, TypeError) as error:
        raise QuantizationError(f"onnxruntime could not quantize {source.name} for an NPU: {error}") from error
    model = onnx.load(target)
    quantize_moved_inputs(model.graph)
    onnx.save(model, target)


def _reader(feeds: Feeds) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # a class of onnxruntime, which has no types
        def __init__(self) -> None:
            self.feeds = iter(feeds)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.feeds, None)

    return Reader()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep onnxruntime's advice to other users off the screen."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _float_nodes(folder: Path, graphs: dict[str, Graph]) -> dict[str, list[str]]:
    """Nodes that are left to the CPU because they are not quantized, by graph; graphs without any are left out."""
    by_graph = {
        name: float_nodes(onnx.load(folder / graph.file, load_external_data=False).graph)
        for name, graph in graphs.items()
    }
    return {name: nodes for name, nodes in by_graph.items() if nodes}


def _finished(
    floating: Bundle,
    partial: Path,
    graphs: dict[str, Graph],
    drawn: calibration.Calibration,
    options: NpuOptions,
) -> Manifest:
    """Copy what is not a graph, measure the golden difference on the CPU, and write the manifest."""
    writer = BundleWriter(partial)
    manifest = writer.derive(floating, graphs)
    return writer.update(
        manifest,
        golden=writer.golden_measured_here(manifest),
        report={
            "bytes": manifest.bytes,
            "quantization": {
                "scheme": "static",
                "ranges": "minmax",
                "target": "npu",
                "activations": options.activations,
                "weights": "uint8",
                "float_nodes": _float_nodes(partial, graphs),
            },
            **({"compiled": compiled_report(partial, graphs)} if options.compile else {}),
        },
        provenance={**floating.manifest.provenance, "calibration": drawn.provenance()},
    )
