"""What the commands of all benchmarks share: options, whom to measure, facts of a run, its printing and its JSON."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from edgespeech_export.provenance import machine
from rich.console import Console
from rich.table import Table

from benchmarks.models import versions
from benchmarks.timing import Clock
from benchmarks.workload import SEED, Size

Command = TypeVar("Command", bound=Callable[..., Any])
Item = TypeVar("Item")

COLUMNS = 130  # of the table, where the output is no terminal
JSON_FILE = click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here."
)
CPU = click.option(
    "--cpu", is_flag=True, help="Seconds of the processor, not of the clock: for one thread on a busy machine."
)


def clock(cpu: bool, threads: int) -> Clock:
    """The clock of `--cpu`, or of the wall. Raises click.BadParameter for the processor's with several threads."""
    if cpu and threads > 1:
        raise click.BadParameter("is for one thread: processors of several add up", param_hint="--cpu")
    return time.process_time if cpu else time.perf_counter


def shared_options(runs: int) -> Callable[[Command], Command]:
    """Give a command --json, --runs (by default so many), --threads, --size, --only and --models."""
    options = (
        JSON_FILE,
        click.option(
            "--runs", type=click.IntRange(min=1), default=runs, show_default=True, help="Measured calls of each."
        ),
        click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="For every engine."),
        click.option(
            "--size", type=click.Choice(get_args(Size)), default="base", show_default=True, help="Of the model."
        ),
        click.option(
            "--only", multiple=True, metavar="TEXT", help="Only contenders whose title has TEXT in it; repeatable."
        ),
        click.option(
            "--models",
            "folder",
            type=click.Path(file_okay=False, path_type=Path),
            help="Keep checkpoints and exports here for the next run [default: a temporary folder].",
        ),
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def choose(everyone: Sequence[Item], title: Callable[[Item], str], only: Sequence[str]) -> list[Item]:
    """Return those whose title has one of the texts in it, or all. Raises click.BadParameter where nobody's has."""
    chosen = [each for each in everyone if not only or any(text in title(each) for text in only)]
    if not chosen:
        titles = "; ".join(map(title, everyone))
        raise click.BadParameter(f"no contender's title has {' or '.join(only)} in it; they are: {titles}")
    return chosen


def facts(benchmark: str, size: Size, runs: int, threads: int) -> dict[str, Any]:
    """What a run's JSON says of any benchmark.

    Keys: `benchmark`, `size` of the models, `seed`, `threads` of every engine, `runs` (interleaved rounds), `machine`,
    `versions` of python and the packages that take part.
    """
    return {
        "benchmark": benchmark,
        "size": size,
        "seed": SEED,
        "threads": threads,
        "runs": runs,
        "machine": machine(),
        "versions": versions(),
    }


def show(title: str, table: Table, remarks: Iterable[str], said: dict[str, Any], notes: Iterable[str]) -> None:
    """Print a table under its title, what went wrong, the machine and the versions of `said`, and notes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=COLUMNS)
    console.print(title, table, sep="\n", highlight=False)
    for line in remarks:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    versions_found = (f"{name} {version or 'absent'}" for name, version in said["versions"].items())
    for line in (said["machine"], ", ".join(versions_found), *notes):
        console.print(line, soft_wrap=True, markup=False, highlight=False, style="dim")


def write(file: Path | None, content: dict[str, Any]) -> None:
    """Write a result as JSON, where that was asked for."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
