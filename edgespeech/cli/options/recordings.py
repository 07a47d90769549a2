"""From what was named on the command line to sound files, and to the files that results go to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgespeech.cli.errors import CommandError, FileThereError

SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")


@dataclass(frozen=True)
class Recording:
    """A sound file; `inner` is its place below the folder that was named, or its bare name."""

    path: Path
    inner: Path


def find(named: Iterable[Path], recursive: bool) -> list[Recording]:
    """Files as they are named, even if they are not there; for a folder, the sound files in it by name.

    Raises:
        CommandError: a folder without sound files.
    """
    found: dict[Path, Recording] = {}
    for path in named:
        recordings = list(_in_folder(path, recursive)) if path.is_dir() else [Recording(path, Path(path.name))]
        if not recordings:
            more = "" if recursive else "; --recursive looks in the folders below it too"
            raise CommandError(f"{path} holds no sound files ({', '.join(SUFFIXES)}){more}")
        found.update((recording.path, recording) for recording in recordings)
    return list(found.values())


def _in_folder(folder: Path, recursive: bool) -> Iterator[Recording]:
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield Recording(path, inner)


def targets(recordings: Iterable[Recording], folder: Path | None, suffix: str, force: bool) -> list[Path]:
    """Where the result of each recording is to be written: in `folder`, or beside the recording.

    Raises:
        FileThereError: a target is there, and is not to be replaced.
        CommandError: `folder` is a file, or two recordings have one target.
    """
    if folder is not None and folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is not a folder; --output takes a folder")
    taken: dict[Path, Path] = {}
    for recording in recordings:
        place = recording.path if folder is None else folder / recording.inner
        target = place.with_suffix(suffix)
        if target in taken:
            raise CommandError(
                f"{taken[target]} and {recording.path} would both be written to {target}; transcribe them one by one"
            )
        if target.exists() and not (force and target.is_file()):
            raise FileThereError(target)
        taken[target] = recording.path
    return list(taken)
