"""`edgespeech merge`: the shards of a run over a corpus to one file, or to subtitles."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from edgespeech_runtime.cli.display.output import number, say, table, to_json

from edgespeech.cli.errors import CommandError

if TYPE_CHECKING:
    from edgespeech_calib.corpus.merging import Totals

FORMS = ("jsonl", "tsv", "srt", "npz")


@click.command(short_help="Join the rows of a corpus: one file, or subtitles; totals.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="jsonl",
    show_default=True,
    help="JSON lines, a table, SubRip subtitles, or the arrays of embeddings and features.",
)
@click.option(
    "--output",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The file, or for subtitles the folder.  [default: merged.jsonl, merged.tsv, merged.npz or srt in DIR]",
)
@click.option("--allow-incomplete", is_flag=True, help="Join what there is of a run that has not come to its end.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the totals as JSON.")
def merge(folder: Path, form: Any, output: Path | None, allow_incomplete: bool, force: bool, as_json: bool) -> None:
    """Join the shards that `edgespeech transcribe --manifest` wrote to DIR, in the order of the manifest.

    One file has all rows, as JSON lines or as a table (.tsv); or each sound file gets subtitles, which have all its
    parts where the manifest names parts; or one archive of NumPy (.npz) has the arrays of models that give some: `ids`
    and `embeddings` in the same order, or each line's features under its number. Totals go to stdout: hours of sound,
    failures, the real-time factor, which is seconds of work of one worker for a second of sound, and words per minute.
    """
    from edgespeech_calib.corpus import merging
    from edgespeech_calib.corpus.output import Output

    run = Output(folder)
    totals = merging.totals(run, allow_incomplete)
    target = output or folder / ("srt" if form == "srt" else f"merged.{form}")
    if target.exists() and not force:
        raise CommandError(f"{target} exists; name another with --output, or replace it with --force")
    if target.is_dir() and form != "srt":
        raise CommandError(f"{target} is a folder; --output names a file for this format")
    if target.is_file() and form == "srt":
        raise CommandError(f"{target} is a file; --output names a folder for subtitles")
    files = merging.merge(run, form, target)
    facts = {"output": str(target), "files": files, **as_dict(totals)}
    for line in [to_json(facts)] if as_json else [f"{target}: {number(files, 'file')}", *table(rows(totals))]:
        say(line)


def as_dict(totals: "Totals") -> dict[str, Any]:
    """The totals for JSON."""
    summary = totals.summary
    return {
        "shards": totals.shards,
        "of_shards": totals.of_shards,
        "rows": summary.rows,
        "failures": summary.failed,
        "hours": summary.audio_seconds / 3600,
        "words": summary.words,
        "real_time_factor": totals.real_time_factor,
        "words_per_minute": totals.words_per_minute,
    }


def rows(totals: "Totals") -> list[tuple[str, str]]:
    """The totals to read."""
    summary, factor, pace = totals.summary, totals.real_time_factor, totals.words_per_minute
    shards = str(totals.shards) if totals.shards == totals.of_shards else f"{totals.shards} of {totals.of_shards}"
    return [
        ("rows", f"{summary.rows} in {shards} shard{'' if shards == '1' else 's'}"),
        ("failures", str(summary.failed)),
        ("sound", f"{summary.audio_seconds / 3600:.2f} h"),
        (
            "real-time factor",
            "unknown" if not factor else f"{factor:.4f}, {1 / factor:.0f} x real time, for each worker",
        ),
        ("words per minute", "unknown" if pace is None else f"{pace:.0f}"),
    ]
