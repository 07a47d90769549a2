"""Options of runs over a corpus, and which others go with them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from edgespeech.cli.errors import CommandError

LOCAL = "local"  # the address of a Ray of this machine's own
CommandT = TypeVar("CommandT", bound=Callable[..., Any])

HELP = """A corpus is run with --manifest in place of AUDIO: JSON lines as NeMo writes them, cuts of Lhotse, TSV or CSV
with a column path, or a folder, as LibriSpeech's or simply of sound files. Rows are written to --output-dir, in shards
of JSON lines; the same command goes on where the last one stopped. The model may be of any task. --workers and --ray
run many models at a time; in a SLURM job array, each task writes its part of the shards. `edgespeech merge` joins them.
"""

MANIFEST = click.option(
    "--manifest", metavar="FILE", type=click.Path(path_type=Path), help="Run all recordings of a corpus."
)
SHARDS = click.option(
    "--shards", metavar="N", type=click.IntRange(min=1), help="Files of rows.  [default: one for each 100 recordings]"
)
OUTPUT = click.option(
    "--output-dir", metavar="DIR", type=click.Path(path_type=Path), help="Where the rows of a corpus go."
)
WORKERS = click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes with a model each, which share the processors.  [default: 1; with --ray, all processors]",
)
RAY = click.option(
    "--ray",
    metavar="[ADDRESS]",
    is_flag=False,
    flag_value=LOCAL,
    help="Run the workers over Ray, on the cluster at ADDRESS, or on this machine.",
)
OF_CORPORA = ("output_dir", "shards", "workers", "ray")
# Of `transcribe`, what is about single files and about what is printed.
OF_FILES = ("output", "force", "skip_existing", "recursive", "stream", "as_json", "srt", "vtt", "times_from")
# Of `transcribe`, what only models that transcribe have.
OF_TEXTS = (
    *("timestamps", "vad", "run_silence", "num_beams", "language", "max_new_tokens"),
    *("beams", "lm", "no_lm", "hotword", "n_best", "alpha", "beta"),
)


def over_corpora(command: CommandT) -> CommandT:
    """Give a command the options of runs over a corpus."""
    for option in reversed((MANIFEST, OUTPUT, SHARDS, WORKERS, RAY)):
        command = option(command)
    return command


def over_workers(command: CommandT) -> CommandT:
    """Give a command those of where to run, for a set that it names by another option."""
    for option in reversed((OUTPUT, WORKERS, RAY)):
        command = option(command)
    return command


def is_given(options: Mapping[str, Any], name: str) -> bool:
    """Whether an option was given."""
    value = options.get(name)
    return value is not None and value is not False and value != ()  # a number may be 0


def flag(name: str) -> str:
    """An option as it is written."""
    return "--json" if name == "as_json" else f"--{name.replace('_', '-')}"


def check(audio: tuple[Path, ...], options: Mapping[str, Any]) -> None:
    """Raise CommandError for options of `transcribe` that do not go together, UsageError for no recordings."""
    if options["manifest"] is None:
        for name in OF_CORPORA:
            if is_given(options, name):
                raise CommandError(f"{flag(name)} is for a corpus: give a --manifest, or leave it out")
        if not audio:
            context = click.get_current_context()
            raise click.UsageError("Missing argument 'AUDIO...', or --manifest for a corpus", context)
        return
    if audio:
        raise CommandError(f"--manifest and {audio[0]} exclude each other: the manifest names the recordings")
    for name in OF_FILES:
        if is_given(options, name):
            raise CommandError(f"--manifest and {flag(name)} exclude each other; `edgespeech merge` makes other forms")
    if options["output_dir"] is None:
        raise CommandError("--manifest needs --output-dir, the folder for the rows")
