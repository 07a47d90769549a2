"""Files that are there whole or not at all, and the lock of a folder."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from edgespeech_calib.errors import CorpusError

LOCK = ".lock"
PARTIAL = ".{name}.{process}.partial"  # of a file that is being written


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside `path`, force it to the disk, and give it that name. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(PARTIAL.format(name=path.name, process=os.getpid()))
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Force names to the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(folder: Path, part: str | None) -> Iterator[None]:
    """Keep others from writing to `folder`; or, with a `part`, from writing that part of it.

    The system lets go of the lock when the process ends, however it ends. Raises CorpusError where another has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with contextlib.ExitStack() as files:
        names = [(LOCK, part is None)] + ([] if part is None else [(f"{LOCK}-{part}", True)])
        for name, is_exclusive in names:
            file = files.enter_context((folder / name).open("a"))
            try:
                fcntl.flock(file, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CorpusError(f"{folder} is being written by another run; wait for its end, or stop it") from None
            except OSError:  # a file system without locks
                continue
        yield
