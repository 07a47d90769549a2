"""The export from end to end: checkpoint, graphs, proof, bundle."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from edgespeech_runtime.bundle import sha256
from edgespeech_runtime.devices import open_engine
from edgespeech_runtime.manifest import MANIFEST_FILE, EngineName, File, FloatPrecision, Golden, Manifest

from edgespeech.checkpoint import resolve
from edgespeech_export import proof
from edgespeech_export.errors import ExportError
from edgespeech_export.folder import absolute, check_space, check_target, written_whole
from edgespeech_export.provenance import operators, provenance, speed
from edgespeech_export.reading import read
from edgespeech_export.source import Source
from edgespeech_export.static_source import StaticShapes, with_static_shapes
from edgespeech_export.writers import WRITERS, Written

GOLDEN_FILE = "golden.npz"
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
    """

    engine: EngineName = "onnx"
    precision: FloatPrecision = "float32"
    target_lang: str | None = None
    force: bool = False
    static: StaticShapes | None = None

    def __post_init__(self) -> None:
        for name, choices in (("engine", get_args(EngineName)), ("precision", get_args(FloatPrecision))):
            if getattr(self, name) not in choices:
                raise ExportError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")


def export(
    checkpoint: str | os.PathLike[str],
    bundle: str | os.PathLike[str],
    options: ExportOptions | None = None,
    progress: Callable[[str], None] = lambda step: None,
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
        ExportError: the disk is full, or a tool refused the graph.
        EnginePackageError: the engine is not installed.
    """
    options = options or ExportOptions()
    target = absolute(bundle)
    folder = resolve(checkpoint, *([f"adapter.{options.target_lang}.*"] if options.target_lang else []))
    check_target(target, options.force, keep=folder)
    open_engine(options.engine, "cpu", None)  # the proof will need it; better to hear now that it is not installed
    progress("reading the checkpoint")
    source = read(folder, options.target_lang)
    if options.static is not None:
        source = with_static_shapes(source, options.static)
    check_space(target, _needed(source, options))
    with written_whole(target, options.force) as partial:
        written = WRITERS[options.engine](source, partial, options.precision, progress)
        source.write_files(partial)
        golden = _write_golden(source, partial, options.precision)
        manifest = Manifest(
            task=source.task,
            engine=options.engine,
            precision=options.precision,
            audio=source.audio,
            graphs={name: entry.graph for name, entry in written.items()},
            files=_listing(partial),
            frames=source.frames,
            golden=golden,
            provenance={**provenance(folder, options.engine), **source.origins},
            **source.facts,
        )
        _write(manifest, partial)
        progress("proving the bundle against the checkpoint")
        manifest = replace(manifest, report=_report(partial, source, options.precision, written))
        _write(manifest, partial)
    return manifest


def _report(folder: Path, source: Source, precision: FloatPrecision, written: dict[str, Written]) -> dict[str, object]:
    return {
        "parity": source.prove(folder, precision),
        "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "checkpoint_bytes_float32": source.bytes,
        "operators": {name: operators(entry.model) for name, entry in written.items()},
        "speed": speed(folder),
    }


def _write_golden(source: Source, folder: Path, precision: FloatPrecision) -> Golden:
    """Write a short input and the reference model's output for it."""
    arrays, largest = source.golden()
    np.savez_compressed(folder / GOLDEN_FILE, allow_pickle=False, **arrays)
    return Golden(GOLDEN_FILE, proof.tolerance(precision, largest))


def _listing(folder: Path) -> dict[str, File]:
    return {path.name: File(path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}


def _write(manifest: Manifest, folder: Path) -> None:
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")


def _needed(source: Source, options: ExportOptions) -> int:
    """Bytes on disk at the peak: for OpenVINO, two graphs before they share weights and the ONNX file of one."""
    if options.engine == "openvino":
        return 3 * source.bytes + SPARE
    return source.bytes // (2 if options.precision == "float16" else 1) + SPARE
