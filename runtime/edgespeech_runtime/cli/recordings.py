"""From what was named on the command line to sound files, and to the files that results go to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import CommandError, FileThereError

SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aif", ".aiff", ".aifc", ".au", ".snd"),
    *(".caf", ".w64", ".rf64", ".voc", ".sph", ".m4a", ".m4b", ".aac", ".mp4", ".m4v", ".mov", ".3gp", ".3g2"),
    *(".webm", ".weba", ".mkv", ".mka", ".wma", ".wmv", ".asf", ".amr", ".awb", ".avi", ".mpg", ".mpeg", ".ac3", ".wv"),
)
STDIN = Path("-")


@dataclass(frozen=True)
class Recording:
    """A sound file; `inner` is its path below the folder that was named, or its bare name."""

    path: Path
    inner: Path


def find(named: Iterable[Path], recursive: bool, on_left: Callable[[Path, list[str]], None]) -> list[Recording]:
    """Files as they are named, even if they are not there; for a folder, the sound files in it by name.

    `-` is stdin. `on_left` is called with a folder and the names in it that are left out, if any.

    Raises:
        CommandError: a folder without sound files.
    """
    by_path: dict[Path, Recording] = {}
    for path in named:
        if path == STDIN or not is_folder(path):
            by_path[path] = Recording(path, Path("stdin") if path == STDIN else Path(path.name))
            continue
        recordings, left = _in_folder(path, recursive)
        if not recordings:
            more = "" if recursive else "; --recursive looks in the folders below it too"
            raise CommandError(f"{path} holds no sound files ({', '.join(SUFFIXES)}){more}")
        if left:
            on_left(path, left)
        by_path.update((recording.path, recording) for recording in recordings)
    return list(by_path.values())


def _in_folder(folder: Path, recursive: bool) -> tuple[list[Recording], list[str]]:
    """The sound files of a folder, and what else is there but for what is hidden."""
    recordings, left = [], []
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        inner = path.relative_to(folder)
        if any(part.startswith(".") for part in inner.parts) or (recursive and path.is_dir()):
            continue
        if path.suffix.lower() in SUFFIXES and path.is_file():
            recordings.append(Recording(path, inner))
        else:
            left.append(f"{inner}/" if path.is_dir() else str(inner))
    return recordings, left


def targets(
    recordings: Iterable[Recording], folder: Path | None, suffix: str, force: bool, skip: bool = False
) -> dict[Recording, Path]:
    """Where the result of each recording is to be written: in `folder`, or beside the recording.

    With `skip`, those whose results are there already are left out.

    Raises:
        FileThereError: a target is there, and is not to be replaced.
        CommandError: `folder` is a file, or two recordings have one target.
    """
    if folder is not None and folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is not a folder; --output takes a folder")
    taken: dict[Path, Path] = {}
    results: dict[Recording, Path] = {}
    for recording in recordings:
        if recording.path == STDIN and folder is None:
            raise CommandError("what comes from stdin has no folder: give --output for its result")
        base = recording.path if folder is None else folder / recording.inner
        target = base.with_name(f"{base.stem}{suffix}")
        if target in taken:
            raise CommandError(
                f"{taken[target]} and {recording.path} would both be written to {target}; run them one by one"
            )
        taken[target] = recording.path
        is_there = _is_there(target)
        if is_there and not skip and not force:
            raise FileThereError(target)
        if not (is_there and skip):
            results[recording] = target
    return results


def is_folder(path: Path) -> bool:
    """Whether a path names a folder; what cannot be looked at is none, and whoever reads it is told why."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that is closed: whoever writes there is told
        return False
