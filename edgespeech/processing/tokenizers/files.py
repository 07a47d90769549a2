"""The files of a tokenizer: settings, special and added tokens, in the layouts of transformers 4 and 5.

Version 5, and 4 from 4.34 on, keep all in `tokenizer_config.json`. Before, `special_tokens_map.json` and
`added_tokens.json` had their share; they count only where `tokenizer_config.json` has no `added_tokens_decoder`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgespeech.checkpoint import write_json
from edgespeech.errors import CheckpointError
from edgespeech.processing.folder import ADDED_TOKENS, HUB_OPTIONS, SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG, read_optional
from edgespeech.processing.tokenizers.added_tokens import AddedToken
from edgespeech.processing.tokenizers.tokenizer import Tokenizer

LOADING = {"trust_remote_code", "use_fast"}  # options of loading that mean nothing here

# Entries of tokenizer_config.json that say how it came to be, not how the tokenizer works.
NO_SETTINGS = frozenset(
    {"auto_map", "backend", "files_loaded", "init_inputs", "is_local", "name_or_path", "special_tokens_map_file"}
    | {"tokenizer_class", "tokenizer_file", "vocab_file"}
)


def read_settings(folder: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `tokenizer_config.json` and its older companions say; `overrides` win.

    `added_tokens_decoder` in the result holds `AddedToken`s by id.

    Raises:
        CheckpointError: a file is not what it should be.
    """
    given = {name: value for name, value in overrides.items() if name not in HUB_OPTIONS | LOADING}
    settings = {**read_optional(folder / TOKENIZER_CONFIG), **given}
    settings = {name: value for name, value in settings.items() if name not in NO_SETTINGS | HUB_OPTIONS}
    if "added_tokens_decoder" in settings:
        path, entries = folder / TOKENIZER_CONFIG, settings["added_tokens_decoder"]
    else:
        older = read_optional(folder / SPECIAL_TOKENS_MAP)
        settings.update({name: value for name, value in older.items() if not given.get(name)})
        path, entries = folder / ADDED_TOKENS, _by_id(read_optional(folder / ADDED_TOKENS), older, settings)
    try:
        settings["added_tokens_decoder"] = {int(token_id): AddedToken.of(token) for token_id, token in entries.items()}
    except (AttributeError, TypeError, ValueError):
        raise CheckpointError(f"{path} must say which added token has which id; fetch the checkpoint again") from None
    return settings


def _by_id(ids: Mapping[str, Any], *sources: Mapping[str, Any]) -> dict[Any, AddedToken]:
    special = {str(value) for source in sources for value in source.values() if isinstance(value, str)}
    return {
        token_id: AddedToken(text, normalized=text not in special, special=text in special)
        for text, token_id in ids.items()
    }


def write_settings(folder: Path, prefix: str, tokenizer: Tokenizer, settings: Mapping[str, Any]) -> list[str]:
    """Write `tokenizer_config.json`, and `added_tokens.json` for ids beyond the vocabulary; return the paths."""
    named = {name: token for name, token in tokenizer.special_tokens.items() if token or name in tokenizer.init_kwargs}
    config = {
        **{name: value for name, value in tokenizer.init_kwargs.items() if name not in NO_SETTINGS},
        **settings,
        **named,
        "added_tokens_decoder": {str(token_id): token.to_dict() for token_id, token in tokenizer.added_tokens},
        "clean_up_tokenization_spaces": tokenizer.clean_up_tokenization_spaces,
        "model_max_length": tokenizer.model_max_length,
        "tokenizer_class": type(tokenizer).__name__,
    }
    for name in ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"):
        config.pop(name, None)
    if tokenizer.extra_special_tokens:
        config["additional_special_tokens"] = tokenizer.extra_special_tokens  # the name that both versions read
    write_json(folder / (prefix + TOKENIZER_CONFIG), config)
    written = [str(folder / (prefix + TOKENIZER_CONFIG))]
    beyond = {token.content: token_id for token_id, token in tokenizer.added_tokens if token_id >= tokenizer.vocab_size}
    if beyond:
        write_json(folder / (prefix + ADDED_TOKENS), beyond)
        written.append(str(folder / (prefix + ADDED_TOKENS)))
    return written
