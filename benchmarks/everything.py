"""All benchmarks that the README speaks of, one after the other: one table, one JSON, one picture.

python -m benchmarks.everything build/bench --json build/bench.json --picture docs/bench.svg

FOLDER holds what `edgespeech demo --output FOLDER` exports. Each part is a process of its own, whose own table goes to
a file in FOLDER, and what it compares was measured in one run of it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from edgespeech_export.provenance import machine
from rich.console import Console
from rich.table import Table

from benchmarks import command
from benchmarks.everything_picture import picture
from benchmarks.models import versions
from benchmarks.speech import ROOT, SHIPPED
from benchmarks.timing import load_average

SPOKEN = ROOT.parent / "shared" / "speech" / "speechocean762"  # sentences of 3 s
Said = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        title: what was measured.
        value: in the unit of the part.
        times: how many times as good as the first of the part, None where nothing is compared.
        more: what else to know, in few words.
    """

    title: str
    value: float
    times: float | None = None
    more: str = ""


@dataclass(frozen=True)
class Part:
    """A benchmark: what it is called, its unit, its module with arguments, and the figures in its JSON."""

    name: str
    unit: str
    arguments: tuple[str, ...]
    figures: Callable[[Said], Iterator[Figure]]


def encoder(said: Said) -> Iterator[Figure]:
    """Of `benchmarks.speed`."""
    for row in said["rows"]:
        noise = "" if row["snr_db"] is None or row["tolerance"] is not None else f"{row['snr_db']:.0f} dB"
        title = f"{row['engine']}, {row['name']}"
        yield Figure(title, 1000 * row["median_seconds"], row["speedup_eager"], noise)


def decoders(said: Said) -> Iterator[Figure]:
    """Of `benchmarks.decoding`."""
    for result in said["decoders"]:
        for row in result["rows"]:
            beams = "greedy" if row["beams"] == 1 else f"{row['beams']} beams"
            title = f"{row['model']}, {row['engine']}, {row['name']}, {beams}"
            share = f"{100 * row['bandwidth_share']:.0f} % of bandwidth"
            yield Figure(title, row["ms_per_token"], row["speedup"], share)


def dictation(said: Said) -> Iterator[Figure]:
    """Of `benchmarks.dictation`, beside Whisper in float32 where it took part."""
    rows = said["rows"]
    first = next((row for row in rows if "whisper" in row["title"]), rows[0])["times_real_time"]
    for row in rows:
        pace = row["times_real_time"]
        yield Figure(row["title"], pace, pace / first, f"{row['wer']:.1f} % of words wrong")


def files(said: Said) -> Iterator[Figure]:
    """Of `benchmarks.throughput`."""
    first = said["results"][0]["files_per_second"]
    for row in said["results"]:
        yield Figure(row["title"], row["files_per_second"], row["files_per_second"] / first)


def commands(said: Said) -> Iterator[Figure]:
    """Of `benchmarks.whole_commands`."""
    for row in said["rows"]:
        weights = "" if row["weights"] is None else f", {row['megabytes'] / row['weights']:.1f} x the weights"
        yield Figure(row["title"], row["seconds"], None, f"{row['megabytes']:.0f} MB{weights}")


def parts(folder: Path) -> list[Part]:
    """All benchmarks, on the bundles of the folder."""
    bundles = {name: str(folder / name) for name in ("ctc-en", "ctc-en-int8", "dictation-en", "dictation-en-int8")}
    spoken, count = (SPOKEN, "300") if SPOKEN.is_dir() else (Path(SHIPPED).with_suffix(""), "30")
    both = (bundles["dictation-en"], bundles["dictation-en-int8"])
    return [
        Part("whole commands", "s", ("whole_commands", *bundles.values()), commands),
        Part("encoder, wav2vec2-base, 10 s of audio", "ms", ("speed", "--runs", "5"), encoder),
        Part("text decoders of base size", "ms a token", ("decoding", "--runs", "3"), decoders),
        Part("dictation", "x real time", ("dictation", *both), dictation),
        Part(
            "many short files, ctc-en",
            "files a second",
            ("throughput", bundles["ctc-en"], str(spoken), "--files", count),
            files,
        ),
    ]


def run(part: Part, folder: Path) -> tuple[Said, list[Figure]]:
    """Run one benchmark. Raises click.ClickException where it gives no result."""
    name = part.arguments[0]
    result, log = folder / f"{name}.json", folder / f"{name}.txt"
    result.unlink(missing_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        module, *arguments = part.arguments
        line = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--json", str(result)]
        code = subprocess.run(line, stdout=stream, stderr=subprocess.STDOUT).returncode
    if not result.is_file():
        raise click.ClickException(f"benchmarks.{module} ended with {code} and gave no result: see {log}")
    said: Said = json.loads(result.read_text(encoding="utf-8"))
    return said, list(part.figures(said))


def table_of(chosen: Sequence[Part], figures: Sequence[Sequence[Figure]]) -> Table:
    """All figures, a section for each part."""
    table = Table("", "", "x the first", "")
    for part, rows in zip(chosen, figures, strict=True):
        table.add_section()
        table.add_row(f"[bold]{part.name}[/bold]", f"[bold]{part.unit}[/bold]", "", "")
        for row in rows:
            times = "" if row.times is None else f"{row.times:.2f}"
            table.add_row(row.title, f"{row.value:.3g}", times, row.more)
    return table


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", multiple=True, metavar="TEXT", help="Only parts whose name has TEXT in it; repeatable.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all results here.")
@click.option(
    "--picture", "svg", type=click.Path(dir_okay=False, path_type=Path), help="Draw what is compared, as SVG."
)
def main(folder: Path, only: tuple[str, ...], json_file: Path | None, svg: Path | None) -> None:
    """Run all benchmarks with the bundles in FOLDER, and print one table."""
    log, begun, before = Console(stderr=True), time.monotonic(), load_average()
    chosen = command.choose(parts(folder), lambda part: part.name, only)
    results, figures = [], []
    for part in chosen:
        log.print(part.name, style="dim")
        said, rows = run(part, folder)
        results.append(said)
        figures.append(rows)
    facts = {
        "benchmark": "everything",
        "machine": machine(),
        "versions": versions(),
        "minutes": (time.monotonic() - begun) / 60,
    }
    notes = [f"{facts['minutes']:.1f} minutes; load average before {before}, after {load_average()}"]
    command.show("edgespeech beside others", table_of(chosen, figures), [], facts, notes)
    by_part = {part.name: [asdict(figure) for figure in rows] for part, rows in zip(chosen, figures, strict=True)}
    command.write(json_file, {**facts, "figures": by_part, "results": results})
    if svg is not None:
        compared = {
            f"{part.name}": rows for part, rows in zip(chosen, figures, strict=True) if rows[0].times is not None
        }
        bars = {name: [(row.title, row.times or 0.0) for row in rows] for name, rows in compared.items()}
        svg.write_text(picture(bars, str(facts["machine"])), encoding="utf-8")


if __name__ == "__main__":
    main()
