"""The files of a checkpoint folder: JSON is read and written, what only stands for a file is refused.

It does not know what the files mean, nor read weights.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgespeech.errors import CheckpointError, MissingFileError, WeightsError

SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
FLAX = "flax_model.msgpack"
TENSORFLOW = "tf_model.h5"
WEIGHTS = (SAFETENSORS, PICKLE, FLAX, TENSORFLOW)  # in the order in which they are looked for
ADAPTER = "adapter_config.json"  # of PEFT
POINTER = b"version https://git-lfs.github.com/spec/"


def first_line(error: Exception) -> str:
    """Return the first line of another library's error, or its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        MissingFileError: there is no such file.
        CheckpointError: it is not JSON, or not an object.
    """
    path = Path(path)
    if not path.is_file():
        refuse_adapter(path.parent)
        raise MissingFileError(f"{path.name} is missing in {path.parent}; a checkpoint folder must hold it")
    refuse_pointer(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); fetch the checkpoint again") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object, got {type(value).__name__}")
    return value


def refuse_pointer(path: Path) -> None:
    """Check that a file is the file itself.

    Raises:
        WeightsError: it is what Git keeps in its place.
    """
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise WeightsError(
                f"{path} is a Git LFS pointer, which stands for the file; run: git -C {path.parent} lfs pull"
            )


def refuse_adapter(folder: Path) -> None:
    """Check that a folder in which something is missing is none of PEFT's.

    Raises:
        MissingFileError: it is; the message says what to do.
    """
    if not (folder / ADAPTER).is_file():
        return
    try:
        base = json.loads((folder / ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError):
        base = None
    raise MissingFileError(
        f"{folder} holds an adapter of PEFT for {base or 'another model'}, not a whole model; merge the two "
        "(merge_and_unload), save the result, and give that folder"
    )


def write_json(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Write a JSON object as the reference library does: sorted keys, two spaces, a last newline."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    path = Path(path)
    with staged(path.parent) as stage:
        (stage / path.name).write_text(text + "\n", encoding="utf-8")


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder whose files move into `folder`, which is made where needed, once all are written.

    If writing them fails, `folder` stays as it was.

    Raises:
        CheckpointError: `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"cannot write a checkpoint to {folder}: it is a file; give a folder")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as stage:
            yield Path(stage)
            for file in Path(stage).iterdir():
                file.replace(folder / file.name)
    except BaseException:
        if is_new:
            with suppress(OSError):  # somebody else wrote into it meanwhile
                folder.rmdir()
        raise
