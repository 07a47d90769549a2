"""Find a checkpoint folder, on disk or on a model hub, and read the JSON files in it.

It does not know what the files mean, nor read weights.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from edgespeech.errors import CheckpointError, MissingFileError

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.bin"]


def resolve(checkpoint: str | os.PathLike[str]) -> Path:
    """Return the folder of a checkpoint: a folder as it is, a hub id downloaded into the hub's cache.

    Raises:
        MissingFileError: there is no such folder, and it is no hub id either or the download failed.
        CheckpointError: the path is a file.
    """
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(
            f"expected a checkpoint folder, got the file {path}; give the folder that holds config.json"
        )
    name = os.fspath(checkpoint)
    if not HUB_ID.fullmatch(name) or name.startswith("."):
        raise MissingFileError(f"no checkpoint folder at {path}; check the path")
    return _download(name)


def _download(name: str) -> Path:
    try:
        import huggingface_hub
    except ImportError:
        raise MissingFileError(
            f"no checkpoint folder at {name}; if it is a hub id, run: pip install 'edgespeech[hub]'"
        ) from None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=WANTED))
    except Exception as error:  # the hub's client raises errors of many libraries; each is one line for the user
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise MissingFileError(
            f"no checkpoint folder at {name}, and the hub gave none of that id: {reason[0]}"
        ) from error


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        MissingFileError: there is no such file.
        CheckpointError: it is not JSON, or not an object.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path.name} is missing in {path.parent}; a checkpoint folder must hold it")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); fetch the checkpoint again") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object, got {type(value).__name__}")
    return value


def write_json(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Write a JSON object as the reference library does: sorted keys, two spaces, a last newline."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")
