"""The part of `edgespeech demo` that makes INT8 of a float32 bundle, and sets one against the other."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgespeech.cli.alignment import align
from edgespeech.cli.int8 import quantization_rows
from edgespeech.cli.interrupts import Interrupted
from edgespeech.cli.kinds import transcribing
from edgespeech.cli.output import say, size, table
from edgespeech.cli.progress import Stages

if TYPE_CHECKING:
    from edgespeech_calib import SpeechSet
    from edgespeech_calib.quantization import Quantized

SAID = ("in INT8", "decoder", "layers in float", "gate")  # rows of an INT8 export that the demo shows
HEADINGS = ("", "size", "real-time factor", "words wrong")


@dataclass
class Tally:
    """What is added up over recordings: seconds of computing and of audio, words that are right and that are wrong."""

    seconds: float = 0.0
    audio: float = 0.0
    words: int = 0
    wrong: int = 0


def quantize(source: Path, target: Path, calibration: Path, quiet: bool, force: bool) -> None:
    """Make an INT8 bundle of a float32 bundle with progress on stderr, then say how it differs and what each does.

    Raises what `edgespeech_calib.open_set` and `quantize` raise, and Interrupted.
    """
    try:
        with Stages(quiet) as stages:
            from edgespeech_calib import open_set
            from edgespeech_calib import quantization as int8

            data = open_set(calibration)
            found = int8.quantize(source, target, data, force=force, progress=stages)
    except Interrupted as stop:
        stop.outcome = "; no INT8 bundle was written"
        raise
    rows = [(label, value) for label, value in quantization_rows(found.manifest.report) if label in SAID]
    for line in table(rows, indent="     "):
        say(line)
    say()
    for line in comparison(found, measure({"float32": source, "int8": target}, data)):
        say(line)
    say(f"     on the {len(data)} recordings that calibrated it, synthetic and few: other speech, other errors")


def measure(bundles: Mapping[str, Path], data: "SpeechSet") -> dict[str, Tally]:
    """Transcribe all recordings of a labelled set with each bundle in turn; one at a time is open to time it."""
    import edgespeech_runtime

    tallies = {}
    for name, bundle in bundles.items():
        tally = tallies[name] = Tally()
        with transcribing(edgespeech_runtime.load(bundle), bundle) as model:
            rate = model.manifest.audio.sampling_rate
            model.transcribe(data.utterances[0].audio.read(rate))  # the first run pays for what is done once
            for utterance in data:
                waveform, expected = utterance.audio.read(rate), (utterance.text or "").split()
                began = time.perf_counter()
                found = model.transcribe(waveform).text.split()
                tally.seconds += time.perf_counter() - began
                tally.audio += len(waveform) / rate
                tally.words += len(expected)
                tally.wrong += words_wrong(expected, found)
    return tallies


def words_wrong(expected: list[str], found: list[str]) -> int:
    """Words that were left out, put in or mistaken."""
    return sum(a is None or b is None or expected[a] != found[b] for a, b in align(expected, found))


def comparison(found: "Quantized", tallies: Mapping[str, Tally]) -> Iterator[str]:
    """Lines of a table: what each bundle takes, how fast it is, and what it gets wrong."""
    sizes = {"float32": found.float_bytes, "int8": found.bytes}
    rows = [HEADINGS]
    rows += [
        (name, size(sizes[name]), f"{tally.seconds / tally.audio:.4f}", f"{tally.wrong} of {tally.words}")
        for name, tally in tallies.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield f"     {name:<{widths[0]}}  " + "  ".join(aligned)
