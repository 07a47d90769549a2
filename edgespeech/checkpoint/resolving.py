"""Find a checkpoint folder: on disk, on a model hub, or in a file of fairseq, of which one is written."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgespeech.checkpoint.folder import first_line
from edgespeech.errors import CheckpointError, MissingFileError
from edgespeech.fairseq_files import fairseq_files

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
# Hub repositories hold weights twice, and MMS over a thousand adapters: only what is asked for is downloaded.
WANTED = ("*.json", "*.txt", "*.model", "language_model/*")
WANTED_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin", "flax_model*.msgpack", "tf_model*.h5")


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """From where on the hub a checkpoint comes: which version, by whose token, into which cache.

    With `local_files_only` nothing is downloaded, with `force_download` all of it again.
    """

    revision: str | None = None
    token: str | bool | None = None
    cache_dir: str | os.PathLike[str] | None = None
    local_files_only: bool = False
    force_download: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """What the caller said, for the hub's client."""
        usual = {entry.name: entry.default for entry in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    @classmethod
    def parted(cls, options: Mapping[str, Any]) -> tuple["HubOptions", dict[str, Any]]:
        """Part these options from others."""
        own = {entry.name for entry in fields(cls)}
        rest = {name: value for name, value in options.items() if name not in own}
        return cls(**{name: value for name, value in options.items() if name in own}), rest


def resolve(checkpoint: str | os.PathLike[str], *more: str, hub: HubOptions | None = None) -> Path:
    """Return the folder of a checkpoint: a folder as it is, a hub id downloaded into the hub's cache.

    A file of fairseq (`.pt`), or a folder with nothing else in it but its dictionary, is written as such a folder among
    the temporary files. `more` are patterns of files to download beside the configuration, vocabulary and weights;
    `hub` says from where.

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
    options = hub or HubOptions()
    for pattern in WANTED_WEIGHTS:
        folder = _download(name, [*WANTED, *more, pattern], options)
        if any(folder.glob(pattern)):
            break
    return folder


def _of_fairseq(path: Path) -> Path:
    from edgespeech.checkpoint.fairseq import fairseq_folder  # with torch, which no other checkpoint needs here

    return fairseq_folder(path)


def _download(name: str, patterns: list[str], hub: HubOptions) -> Path:
    try:
        import huggingface_hub
    except ImportError:
        raise MissingFileError(
            f"no checkpoint folder at {name}; if it is a hub id, run: pip install 'edgespeech[hub]'"
        ) from None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns, **hub.given))
    except Exception as error:  # the hub's client raises errors of many libraries; each is one line for the user
        raise MissingFileError(
            f"no checkpoint folder at {name}, and the hub gave none of that id: {first_line(error)}"
        ) from error
