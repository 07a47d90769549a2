"""How long each way of running one CTC checkpoint takes, measured side by side.

python -m benchmarks.speed --json build/bench.json
"""

import json
from pathlib import Path
from typing import Any, get_args

import click
import torch
from edgespeech_export.provenance import machine
from rich.console import Console

from benchmarks.contenders import Task, contenders
from benchmarks.measure import Result, measure
from benchmarks.models import StaleModelsError, models, versions
from benchmarks.table import remarks, render
from benchmarks.workload import SEED, Size, waveform

COLUMNS = 100  # of the table, where the output is no terminal


@click.command()
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Of audio.")
@click.option("--runs", type=click.IntRange(min=1), default=10, show_default=True, help="Measured calls of each.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="For every engine.")
@click.option("--size", type=click.Choice(get_args(Size)), default="base", show_default=True, help="Of the model.")
@click.option("--only", multiple=True, metavar="TEXT", help="Only contenders whose title has TEXT in it; repeatable.")
@click.option(
    "--models",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the checkpoint and the exports here for the next run [default: a temporary folder].",
)
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
        with models(folder, size) as place:
            everyone = contenders(Task(place / "checkpoint", place, waveform(seconds), threads))
            chosen = [each for each in everyone if not only or any(text in each.title for text in only)]
            if not chosen:
                titles = "; ".join(each.title for each in everyone)
                raise click.BadParameter(f"no contender's title has {' or '.join(only)} in it; they are: {titles}")
            result = measure(chosen, runs, lambda step: log.print(step, style="dim"))
    except StaleModelsError as error:
        raise click.BadParameter(str(error), param_hint="--models") from error
    facts: dict[str, Any] = {
        "benchmark": "speed",
        "size": size,
        "seed": SEED,
        "audio_seconds": seconds,
        "threads": threads,
        "runs": runs,
        "machine": machine(),
        "versions": versions(),
    }
    _print(facts, result)
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({**facts, **result.to_dict()}, indent=1) + "\n", encoding="utf-8")
    if not result.rows or not all(row.agrees for row in result.rows):
        raise SystemExit(1)


def _print(facts: dict[str, Any], result: Result) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=COLUMNS)
    versions_found = (f"{name} {version or 'absent'}" for name, version in facts["versions"].items())
    title = (
        f"wav2vec2 {facts['size']} with random weights, {facts['audio_seconds']:g} s of audio, "
        f"threads: {facts['threads']}, interleaved rounds: {facts['runs']}"
    )
    notes = [
        facts["machine"],
        ", ".join(versions_found),
        f"load average before {result.load_before}, after {result.load_after}",
        "× eager, × plain: how many times as fast as the first torch row, and as the plain export in the same engine",
    ]
    console.print(title, render(result), sep="\n", highlight=False)
    for line in remarks(result):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    for line in notes:
        console.print(line, soft_wrap=True, markup=False, highlight=False, style="dim")


if __name__ == "__main__":
    main()
