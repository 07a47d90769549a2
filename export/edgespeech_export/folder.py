"""The bundle's folder: written beside its place under another name, then renamed. It exists whole or not at all."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgespeech_export.errors import ExportError, TargetExistsError

MEGABYTE = 2**20


def check_target(target: Path, force: bool, keep: Path) -> None:
    """Refuse a target that must not be written, before any work is done.

    `keep` is the checkpoint, which the target must not contain or be.

    Raises:
        TargetExistsError: something is there, and it is not to be replaced.
        ExportError: a file is there, or replacing the folder would delete the checkpoint or the working folder.
    """
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise ExportError(f"{target} is not a folder; choose a folder for the bundle")
    if not force:
        raise TargetExistsError(target)
    for name, path in (("checkpoint", keep), ("working folder", Path.cwd()), ("home folder", Path.home())):
        if path.resolve().is_relative_to(target.resolve()):
            raise ExportError(f"{target} holds the {name} {path}; choose another folder for the bundle")


def check_space(target: Path, needed: int) -> None:
    """Refuse to begin where the disk has less than `needed` bytes free.

    Raises:
        ExportError: says what is needed and what is free.
    """
    free = shutil.disk_usage(_existing(target)).free
    if free < needed:
        raise ExportError(
            f"{target} needs about {needed / MEGABYTE:.1f} MB, the disk has {free / MEGABYTE:.1f} MB free; make room"
        )


@contextlib.contextmanager
def written_whole(target: Path, force: bool) -> Iterator[Path]:
    """Give a folder to write into; it becomes `target` if the block ends well and vanishes if it does not.

    Raises:
        TargetExistsError: the target appeared meanwhile.
        ExportError: the folder cannot be written, or the disk is full.
    """
    created = _make_parents(target)
    partial: Path | None = None
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
        yield partial
        partial.chmod(0o755)
        _replace(partial, target, force)
    except OSError as error:
        if isinstance(error, ExportError):
            raise
        reason = "the disk is full; make room" if error.errno in FULL else error.strerror or str(error)
        raise ExportError(f"could not write {target}: {reason}") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        if not target.exists():
            for folder in created:
                with contextlib.suppress(OSError):  # somebody else put something there
                    folder.rmdir()


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _make_parents(target: Path) -> list[Path]:
    """Make the folders above the target; returns those that were made, innermost first."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"could not make the folder {target.parent}: {error.strerror}") from error
    return missing


def _replace(partial: Path, target: Path, force: bool) -> None:
    """Rename `partial` to `target`; a folder that is there is kept until the new one stands."""
    if not target.exists():
        partial.rename(target)
        return
    if not force:
        raise TargetExistsError(target)
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old-", dir=target.parent))
    try:
        target.rename(old / "bundle")
        try:
            partial.rename(target)
        except BaseException:
            (old / "bundle").rename(target)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path made absolute, without following a link at its end."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  (resolve would follow links)
