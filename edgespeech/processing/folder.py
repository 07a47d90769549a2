"""Files of a checkpoint folder that say how its processors are set. Reading them is here; understanding them is not."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgespeech.checkpoint import read_json, resolve
from edgespeech.checkpoint.resolving import HubOptions
from edgespeech.errors import ProcessingError

PREPROCESSOR_CONFIG = "preprocessor_config.json"
PROCESSOR_CONFIG = "processor_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS_MAP = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"
VOCABULARY = "vocab.json"
MERGES = "merges.txt"
WORD_PIECES = "vocab.txt"
SENTENCE_PIECES = "sentencepiece.bpe.model"
TOKENIZER_FILE = "tokenizer.json"

# Options of `from_pretrained` that say where to fetch from, not how a processor is set.
HUB_OPTIONS = {"cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token"}
NOT_DONE = {
    "proxies": "set HTTPS_PROXY in the environment",
    "trust_remote_code": "code that comes with a checkpoint is never run",
}


def locate(checkpoint: str | os.PathLike[str], options: Mapping[str, Any]) -> Path:
    """Return the folder of a checkpoint, or its `subfolder` where the options name one.

    For hub ids, `revision`, `token`, `cache_dir`, `local_files_only` and `force_download` say from where.

    Raises:
        MissingFileError: there is no such folder.
        ProcessingError: an option that asks for something that is not done here.
    """
    for name, reason in NOT_DONE.items():
        if options.get(name):
            raise ProcessingError(f"{name}={options[name]!r} is not possible: {reason}; leave it out")
    hub, _ = HubOptions.parted(options)
    return resolve(checkpoint, hub=hub) / (options.get("subfolder") or "")


def read_optional(path: Path) -> dict[str, Any]:
    """Read a JSON object, or an empty one if there is no such file."""
    return read_json(path) if path.is_file() else {}
