"""Files per second over many short recordings: a plain loop over onnxruntime, and `transcribe` with several streams.

python -m benchmarks.throughput BUNDLE FOLDER --json build/throughput.json

All read the same files, and none of their texts is thrown away: those of edgespeech must agree with each other, but for
roundings. Times are wall-clock, of interleaved rounds.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from edgespeech_export.provenance import machine
from edgespeech_runtime import load, read_audio
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.cli.recordings import SUFFIXES
from edgespeech_runtime.engines.onnx import onnxruntime
from edgespeech_runtime.tasks.ctc import CtcModel
from rich.table import Table

from benchmarks.command import JSON_FILE, show, write
from benchmarks.models import versions
from benchmarks.timing import interleave, load_average

PLAIN = "plain loop over onnxruntime"
MOST_CHANGED = 0.01  # of the texts: a batch is rounded unlike a single file


def plain_loop(bundle: Path, files: Sequence[Path], threads: int, rate: int) -> Callable[[], list[Any]]:
    """What anybody would write: read, normalise and run one file after the other, and take each frame's best token."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(bundle / "single.onnx"), options, providers=["CPUExecutionProvider"])

    def one(file: Path) -> npt.NDArray[np.int64]:
        values = normalize(read_audio(file, rate))[None]
        best: npt.NDArray[np.int64] = session.run(["logits"], {"input_values": values})[0][0].argmax(-1)
        return best

    return lambda: [one(file) for file in files]


def opened(bundle: Path, threads: int, streams: int) -> CtcModel:
    """The bundle, which must be of a CTC model."""
    model = load(bundle, threads=threads, streams=streams)
    if not isinstance(model, CtcModel):
        raise click.BadParameter("expected the bundle of a CTC model for ONNX Runtime", param_hint="BUNDLE")
    return model


@click.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--files", "count", type=click.IntRange(min=1), default=1000, show_default=True, help="To transcribe.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="In all, of everyone.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Interleaved rounds.")
@JSON_FILE
def main(bundle: Path, folder: Path, count: int, threads: int, runs: int, json_file: Path | None) -> None:
    """Time ways of transcribing the first sound files of FOLDER, sorted by name, with a CTC BUNDLE of ONNX Runtime."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)[:count]
    if not files:
        raise click.BadParameter(f"{folder} has no sound files in it", param_hint="FOLDER")
    pairs = [each for each in product(sorted({1, threads}), sorted({1, threads})) if each[1] <= each[0]]
    models = {pair: opened(bundle, *pair) for pair in pairs}
    rate = models[pairs[0]].manifest.audio.sampling_rate
    seconds = sum(len(read_audio(file, rate)) for file in files) / rate
    texts: dict[tuple[int, int], list[str]] = {}

    def transcribe(pair: tuple[int, int]) -> None:
        texts[pair] = [transcript.text for transcript in models[pair].transcribe(list(files))]

    title = "threads={}, streams={}".format
    calls: dict[str, Callable[[], object]] = {PLAIN: plain_loop(bundle, files, threads, rate)}
    calls |= {title(*pair): partial(transcribe, pair) for pair in pairs}
    timings = interleave(calls, runs)
    reference = texts[pairs[0]]
    changed = max(sum(one != other for one, other in zip(reference, each, strict=True)) for each in texts.values())
    table = Table("", "seconds", "files a second", "× plain loop", "real-time factor")
    rows = []
    for name, timing in timings.items():
        ratio = timings[PLAIN].median / timing.median
        rows.append({"title": name, "seconds": list(timing.seconds), "files_per_second": len(files) / timing.median})
        cells = (f"{timing.median:.1f}", f"{len(files) / timing.median:.1f}", f"{ratio:.2f}")
        table.add_row(name, *cells, f"{timing.median / seconds:.4f}")
    facts = {"benchmark": "throughput", "files": len(files), "audio_seconds": seconds, "threads": threads, "runs": runs}
    facts |= {"machine": machine(), "versions": versions(), "load": load_average(), "changed_texts": changed}
    notes = [f"texts that differ between the ways: at most {changed} of {len(files)}; load average {load_average()}"]
    show(
        f"{len(files)} files, {seconds / len(files):.1f} s each in the mean, {threads} threads", table, [], facts, notes
    )
    write(json_file, {**facts, "results": rows})
    if changed > MOST_CHANGED * len(files):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
