"""What the commands that run on sound files share: their options, the work to do, and the loop over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from edgespeech_runtime.choices import BATCH_SIZE

from edgespeech.cli.commands.recognition import open_model, results
from edgespeech.cli.display.compiling import announce
from edgespeech.cli.display.output import few, number
from edgespeech.cli.display.progress import Counter
from edgespeech.cli.display.results import SUBTITLES, SUFFIXES, Form
from edgespeech.cli.display.watching import Watch
from edgespeech.cli.errors import CommandError, complain
from edgespeech.cli.interrupts import Interrupted
from edgespeech.cli.options.recordings import SUFFIXES as SOUND_SUFFIXES
from edgespeech.cli.options.recordings import Recording, find, is_folder, targets

if TYPE_CHECKING:
    from edgespeech_runtime.tasks import AnyModel

    from edgespeech.cli.commands.features import ArraySink
    from edgespeech.cli.commands.recognition import Method
    from edgespeech.cli.display.live import LiveText
    from edgespeech.cli.display.results import Sink

SOME_FAILED, ALL_FAILED = 1, 2
DOING = {"transcribe": "transcribing", "classify": "classifying", "features": "computing features"}
CommandT = TypeVar("CommandT", bound=Callable[..., Any])

# What the help of each says at its end.
FAILURES = f"""A file that cannot be read is named on stderr; the others are run all the same, and the exit code is
{SOME_FAILED}, or {ALL_FAILED} where none is left. AUDIO may also be a pipe, or - for a sound file from stdin.

Sound files in a folder are those that end in {" ".join(SOUND_SUFFIXES)}; hidden ones are left out.
"""

ARGUMENTS = (
    click.argument("bundle", type=click.Path(path_type=Path)),
    click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path)),
)
OPTIONS = (
    click.option(
        "--output", type=click.Path(path_type=Path), help="Write a file for each sound file into this folder."
    ),
    click.option("--force", is_flag=True, help="Replace files that are there."),
    click.option("--skip-existing", is_flag=True, help="Leave out sound files whose results are there, to resume."),
    click.option("--recursive", is_flag=True, help="Take the sound files in the folders below a folder too."),
    click.option(
        "--channel", type=click.IntRange(min=1), help="Take one channel, 1 is the first, not the mean of all."
    ),
    click.option("--allow-truncated", is_flag=True, help="Take what is there of files that are cut off."),
    click.option(
        "--device",
        multiple=True,
        default=("cpu",),
        show_default="cpu",
        help="Where to run: cpu, gpu, npu, auto or an exact name; give it again for what to try next.",
    ),
    click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine; its own choice if not given."),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=BATCH_SIZE,
        show_default=True,
        help="Files that run together.",
    ),
    click.option("--quiet", is_flag=True, help="Show no progress."),
)


def audio_options(command: CommandT) -> CommandT:
    """Give a command the arguments and options of all that run on sound files; its own stand before them."""
    for option in reversed((*ARGUMENTS, *OPTIONS)):
        command = option(command)
    return command


@dataclass(frozen=True)
class Work:
    """The recordings to run on, whether there are several, and the files that the results go to (None: stdout)."""

    recordings: Sequence[Recording]
    several: bool
    files: Sequence[Path] | None

    @property
    def paths(self) -> list[Path]:
        """Where the recordings lie."""
        return [recording.path for recording in self.recordings]


def planned(audio: Sequence[Path], form: Form, options: Mapping[str, Any]) -> Work:
    """What the command line names.

    Raises:
        CommandError: a folder without sound files, two recordings with one target, results to be skipped on stdout.
        FileThereError: a file is in the way of a result.
    """
    recordings = find(audio, options["recursive"], left_out if not options["quiet"] else lambda folder, names: None)
    several = len(recordings) > 1 or any(map(is_folder, audio))
    skip, is_written = options["skip_existing"], options["output"] is not None or (several and form in SUBTITLES)
    if skip and options["force"]:
        raise CommandError(
            "--skip-existing and --force exclude each other: keep the files that are there, or replace them"
        )
    if not is_written:
        if skip:
            raise CommandError("--skip-existing is for results in files: give --output with a folder for them")
        return Work(recordings, several, None)
    files = targets(recordings, options["output"], SUFFIXES[form], options["force"], skip)
    if len(files) < len(recordings) and not options["quiet"]:
        complain(f"{number(len(recordings) - len(files), 'result')} of {len(recordings)} are there already")
    return Work(list(files), several, list(files.values()))


def left_out(folder: Path, names: Sequence[str]) -> None:
    """Say what of a folder is not taken."""
    complain(f"{folder}: left out, since their names are not those of sound files: {few(names)}")


def listen(
    ctx: click.Context,
    bundle: Path,
    work: Work,
    options: Mapping[str, Any],
    prepared: "Callable[[AnyModel], tuple[Method, Sink | ArraySink | LiveText]]",
    on_text: Callable[[Path, str], None] | None = None,
    watches: bool = False,
) -> None:
    """Run on all recordings, put each result where it goes as soon as it is there, and end with the exit code.

    `prepared` says which method of the loaded model is to be called, and where its results go; or it raises, for a
    model that cannot do what is asked. With `watches`, the method tells of long recordings on the way, and what there
    is of one that is interrupted is kept.
    """
    if not work.recordings:
        return
    if not options["quiet"]:
        announce()
    paths = work.paths
    reading = {name: options[name] for name in ("channel", "allow_truncated")}
    with (
        open_model(bundle, options["device"], options["threads"]) as model,
        Counter(len(paths), options["quiet"] or on_text is not None, DOING[ctx.command.name or ""]) as counter,
    ):
        method, sink = prepared(model)
        watch = Watch(counter, cast("Sink | LiveText", sink)) if watches else None
        begin = None if watch is None else watch.begin
        try:
            for index, result in results(model, paths, method, options["batch_size"], on_text, reading, begin):
                with counter.one_more():
                    sink.put(index, paths[index], result)
                if watch is not None:
                    watch.end()
        except Interrupted as stop:
            if watch is not None:
                stop.outcome = watch.keep()
            raise
    if sink.failed:
        ctx.exit(SOME_FAILED if sink.failed < len(paths) else ALL_FAILED)
