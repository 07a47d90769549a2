"""What the commands that run on sound files share: the work to do, and the loop over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from .display.compiling import announce
from .display.output import few, number
from .display.progress import Counter
from .display.results import SUBTITLES, SUFFIXES, Form
from .display.watching import Watch
from .errors import CommandError, complain
from .interrupts import Interrupted
from .recognition import open_model, results, streams_for
from .recordings import SUFFIXES as SOUND_SUFFIXES
from .recordings import Recording, find, is_folder, targets

if TYPE_CHECKING:
    from ..tasks import AnyModel
    from .display.live import LiveText
    from .display.results import Sink
    from .recognition import Method, Result

SOME_FAILED, ALL_FAILED = 1, 2

# What the help of each command says at its end.
FAILURES = f"""A file that cannot be read is named on stderr; the others are run all the same, and the exit code is
{SOME_FAILED}, or {ALL_FAILED} where none is left. AUDIO may also be a pipe, or - for a sound file from stdin.

Sound files in a folder are those that end in {" ".join(SOUND_SUFFIXES)}; hidden ones are left out.
"""


class Receiver(Protocol):
    """Where results go; errors among them are told and counted."""

    failed: int

    def put(self, index: int, path: Path, result: "Result") -> None:
        """Take the result of the recording at `index`. Raises OSError where stdout cannot be written."""


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
    bundle: Path,
    work: Work,
    options: Mapping[str, Any],
    prepared: "Callable[[AnyModel], tuple[Method, Receiver]]",
    counter: Counter,
    on_text: Callable[[Path, str], None] | None = None,
    watches: bool = False,
) -> int:
    """Run on all recordings, put each result where it goes as soon as it is there, and return the exit code.

    `prepared` says which method of the loaded model is to be called, and where its results go; or it raises, for a
    model that cannot do what is asked. With `watches`, the method tells of long recordings on the way, and what there
    is of one that is interrupted is kept.
    """
    if not work.recordings:
        return 0
    if not options["quiet"]:
        announce()
    paths = work.paths
    reading = {name: options[name] for name in ("channel", "allow_truncated")}
    streams, checksums = streams_for(len(paths), options), options["checksums"]
    with open_model(bundle, options["device"], options["threads"], streams, checksums) as model, counter:
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
    if not sink.failed:
        return 0
    return SOME_FAILED if sink.failed < len(paths) else ALL_FAILED
