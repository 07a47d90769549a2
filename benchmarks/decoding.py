"""How long each way of running a speech encoder-decoder takes for a token, measured side by side.

python -m benchmarks.decoding --json build/bench-decoding.json

The JSON holds the keys of `command.facts`, `frames` of the encoder, `tokens` and `beams` generated, and in `decoders`
one `pace.Result` per decoder, whose `rows` are `pace.Row`s.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click
import torch
from rich.console import Console

import edgespeech
from benchmarks import command
from benchmarks.decoders import Family, audio_seconds, reading, write_checkpoint
from benchmarks.generators import Contender, Task, contenders
from benchmarks.models import CHECKPOINT, StaleModelsError, models
from benchmarks.pace import Result, measure
from benchmarks.pace_table import notes, remarks, render
from benchmarks.trial import Progress
from benchmarks.workload import SEED, Size, waveform

FAMILIES: tuple[Family, ...] = get_args(Family)
EVERYONE = [contender for family in FAMILIES for contender in contenders(family)]


@dataclass(frozen=True)
class Settings:
    """What was asked for, by the names of the options."""

    frames: int
    tokens: int
    beams: int
    runs: int
    threads: int
    size: Size


@click.command()
@click.option("--frames", type=click.IntRange(min=2), default=500, show_default=True, help="Of the encoder.")
@click.option("--tokens", type=click.IntRange(2, 500), default=64, show_default=True, help="Forced, of each sequence.")
@click.option("--beams", type=click.IntRange(min=2), default=4, show_default=True, help="Beside greedy search.")
@command.shared_options(runs=7)
def main(json_file: Path | None, only: tuple[str, ...], folder: Path | None, **options: Any) -> None:
    """Time every way of generating with decoders of random weights, BERT-base-, GPT-2- and BART-base-sized.

    Weights are in float32, and in bundles of ours in INT8 and INT4 too. One utterance, greedy search and beams,
    interleaved, on this machine. Ends with 1 if some contender with float32 weights says other tokens than the
    reference: the speed of a wrong result is none.
    """
    settings = Settings(**options)
    torch.set_num_threads(settings.threads)
    log = Console(stderr=True)
    chosen = command.choose(EVERYONE, lambda each: each.title, only)
    results = []
    try:
        for family in FAMILIES:
            if those := [each for each in chosen if each.model == family]:
                place = folder and folder / family
                results.append(_measured(those, settings, place, lambda step: log.print(step, style="dim")))
    except StaleModelsError as error:
        raise click.BadParameter(str(error), param_hint="--models") from error
    facts = command.facts("decoding", settings.size, settings.runs, settings.threads)
    facts |= {"frames": settings.frames, "tokens": settings.tokens, "beams": [1, settings.beams]}
    title = (
        f"decoders of {settings.size} size with random weights, {settings.frames} encoder frames, "
        f"{settings.tokens} tokens, threads: {settings.threads}, interleaved rounds: {settings.runs}"
    )
    command.show(title, render(results), remarks(results), facts, notes(results))
    command.write(json_file, {**facts, "decoders": [result.to_dict() for result in results]})
    if not all(result.rows and all(row.is_right for row in result.rows) for result in results):
        raise SystemExit(1)


def _measured(those: Sequence[Contender], settings: Settings, folder: Path | None, progress: Progress) -> Result:
    """Measure the contenders for one decoder; where `folder` is None, nothing of it is left."""
    family = those[0].model
    progress(f"{family}: checkpoint")
    made_by = {"family": family, "size": settings.size, "seed": SEED}
    with models(folder, made_by, partial(write_checkpoint, family=family, size=settings.size)) as place:
        checkpoint = place / CHECKPOINT
        read = reading(edgespeech.SpeechEncoderDecoderModel.from_pretrained(checkpoint).decoder, settings.frames)
        task = Task(checkpoint, place, waveform(audio_seconds(settings.frames)), settings.threads)
        result = measure(those, task, read, settings.tokens, (1, settings.beams), settings.runs, progress)
    gc.collect()  # models hold themselves in circles, and the next decoder needs their memory
    return result


if __name__ == "__main__":
    main()
