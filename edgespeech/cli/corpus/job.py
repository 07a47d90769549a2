"""From the options of a command to the job that every worker gets. The model is not loaded here."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgespeech_runtime.cli.kinds import KINDS, Kind
from edgespeech_runtime.cli.recognition import MANY, streams_for

from edgespeech.cli.corpus.options import LOCAL, OF_TEXTS, flag, is_given
from edgespeech.cli.errors import CommandError

if TYPE_CHECKING:
    from edgespeech_calib.corpus.job import Job


def threads_of(options: Mapping[str, Any]) -> int | None:
    """Threads of each worker: as many as were asked for, or else an equal part of the processors."""
    if options["threads"] is not None:
        return int(options["threads"])
    workers, address = options["workers"], options["ray"]
    if address is not None and (workers is None or address != LOCAL):
        return 1
    return None if workers in (None, 1) and address is None else max(1, (os.cpu_count() or 1) // workers)


def job_of(bundle: Path, options: Mapping[str, Any]) -> "Job":
    """The job.

    Raises BundleError, and CommandError for options that this kind of model cannot honour; what depends on the model
    itself is found by the workers.
    """
    from edgespeech_calib.corpus.job import Job
    from edgespeech_calib.corpus.rows import ANSWERS
    from edgespeech_runtime.bundle.folder import open_bundle

    opened = open_bundle(bundle)
    kind = KINDS[opened.manifest.task]
    if kind.method not in ANSWERS:
        raise CommandError(
            f"{bundle} is {kind.name}, whose answers have no rows; run it in Python, recording by recording"
        )
    device = options["device"]
    devices, threads = (device,) if isinstance(device, str) else tuple(device), threads_of(options)
    asked = {"streams": options.get("streams"), "device": devices, "threads": threads}
    return Job(
        bundle=str(bundle.expanduser().resolve()),
        method=kind.method,
        arguments=_arguments(kind, bundle, options),
        batch_size=options["batch_size"],
        devices=devices,
        threads=threads,
        streams=streams_for(MANY, asked),
        checksums=options.get("checksums", "always"),
        channel=options.get("channel"),
        allow_truncated=bool(options.get("allow_truncated")),
    )


def _arguments(kind: Kind, bundle: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the model's method; files by their absolute paths, since a worker may be anywhere."""
    refused = {**dict.fromkeys(kind.lacks, kind.reason), **dict.fromkeys(kind.refuses, kind.objection)}
    if kind.command != "transcribe":
        refused = dict.fromkeys(OF_TEXTS, "it writes no text")
    for name, reason in refused.items():
        if is_given(options, name):
            raise CommandError(f"{flag(name)} is not for {bundle}, which is {kind.name}: {reason}; leave it out")
    arguments = kind.search(options)
    if options.get("timestamps") is not None:
        arguments["timestamps"] = options["timestamps"]
    if options.get("vad") is not None:
        arguments["vad"] = options["vad"]
    if options.get("run_silence"):
        if not kind.aligns:
            raise CommandError(f"--run-silence is not for {bundle}, which cuts long audio in silence; leave it out")
        arguments["skip_silence"] = False
    return {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in arguments.items()}
