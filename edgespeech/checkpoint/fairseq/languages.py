"""The languages of an MMS checkpoint of fairseq: each has adapters, a head and a vocabulary in the model's file.

https://arxiv.org/abs/2305.13516
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from edgespeech.checkpoint.fairseq.dictionary import OWN
from edgespeech.checkpoint.fairseq.names import ADAPTER, renamed
from edgespeech.errors import CheckpointError

USUAL = "eng"  # the language of the model where nothing else is asked for, if it is there
NAME = re.compile(r"[\w-]+")


class Language(NamedTuple):
    """Weights of the adapters and the head under the names of the layout, and ids by token."""

    weights: dict[str, Tensor]
    tokens: dict[str, int]


def read_languages(adapters: Any, family: str, path: Path) -> dict[str, Language]:
    """Return the languages by their names, the one of the model itself first; none where there are none.

    `adapters` is what the checkpoint at `path` holds under the name adapter.

    Raises:
        CheckpointError: a language lacks a part, or its vocabulary has another size than its head.
    """
    if adapters is None:
        return {}
    if not isinstance(adapters, Mapping) or not all(isinstance(name, str) for name in adapters):
        raise CheckpointError(f"{path} must hold its adapters by language, got {type(adapters).__name__}")
    order = sorted(adapters, key=lambda name: (name != USUAL, name))
    return {name: _language(name, adapters[name], family, path) for name in order}


def _language(name: str, stored: Any, family: str, path: Path) -> Language:
    model = stored.get("model") if isinstance(stored, Mapping) else None
    state = stored.get("task_state") if isinstance(stored, Mapping) else None
    dictionary = state.get("target_dictionary") if isinstance(state, Mapping) else None
    symbols = getattr(dictionary, "symbols", None)
    if not NAME.fullmatch(name) or not isinstance(model, Mapping) or not isinstance(symbols, list):
        raise CheckpointError(f"{path}: the language {name!r} must have weights (model) and a target_dictionary")
    weights = renamed({key: value for key, value in model.items() if isinstance(value, Tensor)}, family)
    own = {key: value for key, value in weights.items() if ADAPTER in key or key.startswith("lm_head.")}
    tokens = {str(token): index for index, token in enumerate([*OWN, *symbols[len(OWN) :]])}
    head = own.get("lm_head.weight")
    if head is None or len(tokens) != len(head):
        size = "no head" if head is None else f"a head for {len(head)}"
        raise CheckpointError(f"{path}: the language {name!r} has {len(tokens)} tokens and {size}")
    return Language(own, tokens)
