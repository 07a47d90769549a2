"""The export from end to end: checkpoint, graphs, proof, bundle."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edgespeech_runtime.bundle.manifest import Manifest, WordEdges
from edgespeech_runtime.choices import EngineName, FloatPrecision, Task
from edgespeech_runtime.engines.devices import open_engine

from edgespeech.checkpoint import resolve
from edgespeech.engines import ENGINES, imported
from edgespeech_export.bundle import BundleWriter
from edgespeech_export.errors import ExportError, PrecisionError
from edgespeech_export.folder import absolute, check_space, check_target, written_whole
from edgespeech_export.language_model import BundledModel, of_checkpoint
from edgespeech_export.proof.proof import Reference, difference
from edgespeech_export.provenance import operators, provenance, speed
from edgespeech_export.sources.reading import Layers, read
from edgespeech_export.sources.source import Source
from edgespeech_export.sources.static import StaticShapes, with_static_shapes
from edgespeech_export.word_edges import Recordings, measured
from edgespeech_export.writers.weight_store import round_weights
from edgespeech_export.writers.written import Writer, Written

# Of the largest logit: what 11 bits may add up to over a network; beyond it are weights too small for float16.
ROUNDING = 5e-3
SPARE = 4 * 2**20  # bytes of a bundle beside its weights, generously


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        engine: which engine's files to write.
        precision: how weights are stored; both precisions compute in float32 on the CPU.
        target_lang: language of the adapter, for checkpoints with several.
        force: replace the bundle if it is there.
        static: fix the shapes of all graphs, as NPUs want them; None leaves them free.
        layers: hidden states of the encoder to export in place of its head: "last", "all" or their numbers, 0 for what
            goes into the first layer; None for the head, and for the last hidden state where there is no head.
        language_model: the n-gram model that a CTC bundle carries; None is the checkpoint's own, if it has one, and
            False is none.
        edges_from: recordings of speech, with texts or without, by which a CTC bundle's `word_edges` are measured; None
            are some that come with edgespeech. Bundles of fixed shapes have no `word_edges`.
    """

    engine: EngineName = "onnx"
    precision: FloatPrecision = "float32"
    target_lang: str | None = None
    force: bool = False
    static: StaticShapes | None = None
    layers: Layers | None = None
    language_model: BundledModel | Literal[False] | None = None
    edges_from: Recordings | None = None

    def __post_init__(self) -> None:
        for name, choices in (("engine", get_args(EngineName)), ("precision", get_args(FloatPrecision))):
            if getattr(self, name) not in choices:
                raise ExportError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if not (self.layers in (None, "last", "all") or isinstance(self.layers, tuple)):
            raise ExportError(f"layers must be 'last', 'all' or a tuple of numbers, got {self.layers!r}")


def export(
    checkpoint: str | os.PathLike[str],
    bundle: str | os.PathLike[str],
    options: ExportOptions | None = None,
    progress: Callable[[str], object] = lambda step: None,
) -> Manifest:
    """Export a checkpoint to a bundle, prove the bundle with the runtime, and return its manifest.

    Args:
        checkpoint: a checkpoint folder or hub id.
        bundle: the folder to write; it comes into being whole, or not at all.
        options: engine, precision and the like; the defaults are `ExportOptions()`.
        progress: called with the name of each step when it begins.

    Raises:
        CheckpointError: the checkpoint cannot be read as what it claims to be.
        TargetExistsError: the bundle's folder exists and is not to be replaced.
        ProofError: the bundle does not compute what the checkpoint computes.
        PrecisionError: float16 cannot hold the weights.
        ExportError: the disk is full, or a tool refused the graph.
        EnginePackageError: the engine is not installed.
    """
    options = options or ExportOptions()
    target = absolute(bundle)
    folder = resolve(checkpoint, *([f"adapter.{options.target_lang}.*"] if options.target_lang else []))
    check_target(target, options.force, keep=folder)
    open_engine(options.engine, "cpu", None)  # the proof will need it; better to say now that it is not installed
    progress("reading the checkpoint")
    source = read(folder, options.target_lang, options.layers)
    if options.static is not None:
        source = with_static_shapes(source, options.static)
    language_model = _language_model(source, options.language_model)
    _check_recordings(source, options)
    check_space(target, _needed(source, options) + (language_model.path.stat().st_size if language_model else 0))
    progress("computing what the checkpoint says, in float64")
    reference, rounding = _reference(source, options.precision)
    with written_whole(target, options.force) as partial:
        source.write_files(partial)
        write: Writer = imported(ENGINES[options.engine].writer)
        written, writer = write(source, partial, options.precision, progress), BundleWriter(partial)
        manifest = writer.create(
            task=source.task,
            engine=options.engine,
            precision=options.precision,
            audio=source.audio,
            graphs={name: entry.graph for name, entry in written.items()},
            frames=source.frames,
            context=source.context,
            golden=writer.write_golden(reference.golden(), reference.allowed_on_devices),
            language_model=language_model.write(partial) if language_model else None,
            provenance={**provenance(folder, options.engine), **source.origins},
            **source.facts,
        )
        size = source.bytes
        source.release()
        progress("proving the bundle against the checkpoint")
        parity = {**reference.prove(partial), **rounding}
        edges, facts = _word_edges(partial, source.task, options, progress)
        report = {"parity": parity, **facts, **_report(partial, size, written)}
        return writer.update(manifest, word_edges=edges, report=report)


def _check_recordings(source: Source, options: ExportOptions) -> None:
    if options.edges_from is not None and (source.task != "ctc" or options.static is not None):
        raise ExportError("recordings for edges of words are for CTC checkpoints and free shapes; leave them out")


def _word_edges(
    folder: Path, task: Task, options: ExportOptions, progress: Callable[[str], object]
) -> tuple[WordEdges | None, dict[str, object]]:
    """What the tokens of a CTC bundle are off by from the edges of words, and what the report says of it."""
    if task != "ctc" or options.static is not None:
        return None, {}
    progress("measuring where words begin and end")
    edges, facts = measured(folder, options.edges_from)
    return edges, {"word_edges": facts} if facts else {}


def _language_model(source: Source, chosen: BundledModel | Literal[False] | None) -> BundledModel | None:
    """The language model that was chosen, or the checkpoint's own, checked against the vocabulary.

    Raises:
        ExportError: it is damaged, has no word of the vocabulary, or the checkpoint is for another task.
    """
    if source.task != "ctc":
        if chosen:
            raise ExportError(f"a language model is for CTC checkpoints; this one is for {source.task}")
        return None
    model = of_checkpoint(source.folder) if chosen is None else chosen or None
    if model is not None:
        try:
            model.check(source.facts["vocabulary"])
        except ExportError as error:
            raise ExportError(f"{error}; --no-lm leaves it out" if chosen is None else str(error)) from None
    return model


def _reference(source: Source, precision: FloatPrecision) -> tuple[Reference, dict[str, object]]:
    """Run the model that the graphs will hold; of float16 that is the checkpoint rounded, and what that does is said.

    Rounding the model itself, before anything is made of it, keeps the two apart: what the user asked for, and what an
    engine adds, which is judged as in float32.

    Raises:
        PrecisionError: float16 cannot hold the weights.
    """
    reference = source.reference()
    if precision == "float32":
        return reference, {}
    round_weights(source.model)
    rounded = reference.again(source.model)
    rounding = difference(reference.exact, rounded.exact)
    if not rounding <= ROUNDING * reference.largest:  # NaN is no pass
        raise PrecisionError(
            f"weights in float16 change what the checkpoint computes by {rounding:.2g}, "
            f"where its largest logit is {reference.largest:.2g}; use float32"
        )
    return rounded, {"rounding": rounding}


def _report(folder: Path, size: int, written: dict[str, Written]) -> dict[str, object]:
    return {
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        "checkpoint_bytes_float32": size,
        "operators": {name: operators(entry.model) for name, entry in written.items()},
        "speed": speed(folder),
    }


def _needed(source: Source, options: ExportOptions) -> int:
    """Bytes on disk at the peak."""
    stored = source.bytes // (2 if options.precision == "float16" else 1)
    return max(stored, ENGINES[options.engine].disk_peak * source.bytes) + SPARE
