"""Find a checkpoint folder, on disk or on a model hub, and read the JSON files in it.

It does not know what the files mean, nor read weights.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgespeech.errors import CheckpointError, MissingFileError, WeightsError
from edgespeech.fairseq_files import fairseq_files

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"
FLAX = "flax_model.msgpack"
TENSORFLOW = "tf_model.h5"
WEIGHTS = (SAFETENSORS, PICKLE, FLAX, TENSORFLOW)  # in the order in which they are looked for
ADAPTER = "adapter_config.json"  # of PEFT
POINTER = b"version https://git-lfs.github.com/spec/"
# Hub repositories hold weights twice, and MMS over a thousand adapters: only what is asked for is downloaded.
WANTED = ("*.json", "*.txt", "*.model")
WANTED_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin", "flax_model*.msgpack", "tf_model*.h5")


def resolve(checkpoint: str | os.PathLike[str], *more: str) -> Path:
    """Return the folder of a checkpoint: a folder as it is, a hub id downloaded into the hub's cache.

    A file of fairseq (`.pt`), or a folder with nothing else in it but its dictionary, is written as such a folder among
    the temporary files. `more` are patterns of files to download beside the configuration, vocabulary and weights.

    Raises:
        MissingFileError: there is no such folder, and it is no hub id either or the download failed.
        CheckpointError: the path is another file, or what is in it is no checkpoint that is known here.
    """
    path = Path(checkpoint).expanduser()
    files = fairseq_files(path)
    if len(files) > 1:
        raise CheckpointError(f"{path} holds {', '.join(file.name for file in files)}; give one of these files")
    if files:
        return _of_fairseq(files[0])
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(
            f"expected a checkpoint folder, got the file {path}; give the folder that holds config.json"
        )
    name = os.fspath(checkpoint)
    if not HUB_ID.fullmatch(name) or name.startswith("."):
        raise MissingFileError(f"no checkpoint folder at {path}; check the path")
    for pattern in WANTED_WEIGHTS:
        folder = _download(name, [*WANTED, *more, pattern])
        if any(folder.glob(pattern)):
            break
    return folder


def _of_fairseq(path: Path) -> Path:
    from edgespeech.checkpoint.fairseq import fairseq_folder  # with torch, which no other checkpoint needs here

    return fairseq_folder(path)


def _download(name: str, patterns: list[str]) -> Path:
    try:
        import huggingface_hub
    except ImportError:
        raise MissingFileError(
            f"no checkpoint folder at {name}; if it is a hub id, run: pip install 'edgespeech[hub]'"
        ) from None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises errors of many libraries; each is one line for the user
        raise MissingFileError(
            f"no checkpoint folder at {name}, and the hub gave none of that id: {first_line(error)}"
        ) from error


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
        _refuse_adapter(path.parent)
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


def _refuse_adapter(folder: Path) -> None:
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
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as stage:
            yield Path(stage)
            for file in Path(stage).iterdir():
                file.replace(folder / file.name)
    except BaseException:
        if made:
            with suppress(OSError):  # somebody else wrote into it meanwhile
                folder.rmdir()
        raise
