"""Files of a checkpoint folder that say how its processors are set. Reading them is here; understanding them is not."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgespeech.checkpoint import read_json, resolve
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


def locate(checkpoint: str | os.PathLike[str], options: Mapping[str, Any]) -> Path:
    """Return the folder of a checkpoint, or its `subfolder` where the options name one.

    Raises:
        MissingFileError: there is no such folder.
        ProcessingError: the options ask for a revision of a hub checkpoint other than its newest.
    """
    revision = options.get("revision")
    if revision not in (None, "main") and not Path(checkpoint).is_dir():
        raise ProcessingError(f"revision {revision!r} of {checkpoint}: download that revision and give its folder")
    return resolve(checkpoint) / (options.get("subfolder") or "")


def read_optional(path: Path) -> dict[str, Any]:
    """Read a JSON object, or an empty one if there is no such file."""
    return read_json(path) if path.is_file() else {}
