"""Words that a CTC model has wrong by how long a recording is: run as a whole, and as `transcribe` runs it.

python -m benchmarks.lengths BUNDLE --data SET [--data SET] [--length 20 ...] [--json build/bench-lengths.json]

Utterances of one speaker that follow each other are joined until they are 0.8 to 1.1 times as long as asked for. The
JSON holds, for each length, how many `recordings` and `words` there are, the `seconds` of all, and in percent the words
that are wrong: `whole`, `transcribe`, and `difference` (of transcribe from whole) with its 95 % interval.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import edgespeech_runtime
import numpy as np
from edgespeech_calib import open_set, score
from edgespeech_calib.scoring.bootstrap import paired_difference
from edgespeech_calib.scoring.normalisation import normalise
from edgespeech_runtime import CtcModel
from edgespeech_runtime.live.intake import Waveform

LENGTHS = (10.0, 15.0, 20.0, 25.0, 30.0, 36.0)  # seconds
LEAST, MOST = 0.8, 1.1  # of the length asked for


class Joined(NamedTuple):
    """Samples `[n]` and what is said in them."""

    samples: Waveform
    text: str


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--data", multiple=True, required=True, metavar="SET", help="Transcribed speech, as `evaluate` takes it.")
@click.option("--length", "lengths", type=float, multiple=True, default=LENGTHS, show_default=True, help="In seconds.")
@click.option("--seconds", type=float, default=250.0, show_default=True, help="Of speech for each length.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
def main(bundle: Path, data: Sequence[str], lengths: Sequence[float], seconds: float, json_file: Path | None) -> None:
    """Measure whether a CTC bundle's windows serve recordings of each length."""
    utterances = [each for name in data for each in open_set(name).transcribed()]
    with edgespeech_runtime.load(bundle, threads=1) as model:
        if not isinstance(model, CtcModel):
            raise click.BadParameter(f"{bundle} is no CTC model", param_hint="BUNDLE")
        rate = model.manifest.audio.sampling_rate
        read = [(each.speaker or "", each.audio.read(rate), each.text or "") for each in utterances]
        result = {
            f"{length:g}": measured(model, chosen(list(joined(read, length * rate)), seconds * rate))
            for length in lengths
        }
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    click.echo(json.dumps(result, indent=2))


def joined(utterances: Iterable[tuple[str, Waveform, str]], length: float) -> Iterable[Joined]:
    """Utterances (speaker, samples, text) of one speaker, as long as they are to be, in samples."""
    waiting: list[Joined] = []
    before = ""
    for speaker, samples, text in utterances:
        size = sum(len(each.samples) for each in waiting)
        if waiting and (speaker != before or size + len(samples) > MOST * length):
            if size >= LEAST * length:
                yield _one(waiting)
            waiting = []
        if len(samples) <= MOST * length:
            waiting.append(Joined(samples, text))
        before = speaker
    if LEAST * length <= sum(len(each.samples) for each in waiting):
        yield _one(waiting)


def _one(parts: Sequence[Joined]) -> Joined:
    return Joined(np.concatenate([each.samples for each in parts]), " ".join(each.text for each in parts))


def chosen(recordings: Sequence[Joined], most: float) -> list[Joined]:
    """Some of them, drawn by chance, until there are so many samples."""
    some: list[Joined] = []
    for index in np.random.default_rng(0).permutation(len(recordings)):
        if sum(len(each.samples) for each in some) >= most:
            break
        some.append(recordings[index])
    return some


def measured(model: CtcModel, recordings: Sequence[Joined]) -> dict[str, Any]:
    """Word error rates of recordings of one length."""
    said = [normalise(each.text, "basic") for each in recordings]
    whole = [model.decode(output).text for each in recordings for output in model.runner.run([each.samples], 1)]
    usual = [model.transcribe(each.samples).text for each in recordings]
    scores = [score(said, [normalise(text, "basic") for text in texts]) for texts in (whole, usual)]
    wrong = [[one.counts.errors for one in each.utterances] for each in scores]
    totals = [one.counts.total for one in scores[0].utterances]
    difference = paired_difference(wrong[1], wrong[0], totals)
    samples = sum(len(each.samples) for each in recordings)
    return {
        "recordings": len(recordings),
        "seconds": round(samples / model.manifest.audio.sampling_rate),
        "words": sum(totals),
        "whole": round(100 * scores[0].wer, 1),
        "transcribe": round(100 * scores[1].wer, 1),
        "difference": [round(100 * x, 1) for x in (difference.value, difference.low, difference.high)],
    }


if __name__ == "__main__":
    main()
