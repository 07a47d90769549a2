"""How long each way of running one CTC checkpoint takes, measured side by side.

python -m benchmarks.speed --json build/bench.json
"""

from functools import partial
from pathlib import Path

import click
import torch
from rich.console import Console

from benchmarks import command
from benchmarks.contenders import Task, contenders
from benchmarks.measure import measure
from benchmarks.models import CHECKPOINT, StaleModelsError, models
from benchmarks.table import remarks, render
from benchmarks.workload import SEED, Size, waveform, write_checkpoint


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Of audio.")
@command.shared_options(runs=10)
def main(
    json_file: Path | None,
    seconds: float,
    runs: int,
    threads: int,
    size: Size,
    only: tuple[str, ...],
    folder: Path | None,
) -> None:
    """Time every way of running one wav2vec2 CTC checkpoint of random weights, interleaved, on this machine.

    Ends with 1 if some contender's logits disagree with the reference's: the speed of a wrong result is none.
    """
    torch.set_num_threads(threads)
    log = Console(stderr=True)
    try:
        with models(folder, {"size": size, "seed": SEED}, partial(write_checkpoint, size=size)) as place:
            everyone = contenders(Task(place / CHECKPOINT, place, waveform(seconds), threads))
            chosen = command.choose(everyone, lambda each: each.title, only)
            result = measure(chosen, runs, lambda step: log.print(step, style="dim"))
    except StaleModelsError as error:
        raise click.BadParameter(str(error), param_hint="--models") from error
    facts = {**command.facts("speed", size, runs, threads), "audio_seconds": seconds}
    command.show(
        f"wav2vec2 {size} with random weights, {seconds:g} s of audio, threads: {threads}, interleaved rounds: {runs}",
        render(result),
        remarks(result),
        facts,
        [
            f"load average before {result.load_before}, after {result.load_after}",
            "× eager, × plain: how many times as fast as the first torch row, and as the plain export in the same "
            "engine",
        ],
    )
    command.write(json_file, {**facts, **result.to_dict()})
    if not result.rows or not all(row.agrees for row in result.rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
