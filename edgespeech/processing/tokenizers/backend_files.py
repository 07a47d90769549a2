"""What a checkpoint folder says about a tokenizer that the `tokenizers` library runs.

The settings come from `tokenizer_config.json` and, where that has no `added_tokens_decoder`, from the older
`special_tokens_map.json` and `added_tokens.json` and from `tokenizer.json` itself. Building a tokenizer of it is the
business of `backend_tokenizer` and its subclasses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers

from edgespeech.checkpoint import read_json
from edgespeech.checkpoint.folder import refuse_pointer
from edgespeech.errors import CheckpointError, MissingFileError
from edgespeech.processing.folder import (
    ADDED_TOKENS,
    HUB_OPTIONS,
    SPECIAL_TOKENS_MAP,
    TOKENIZER_CONFIG,
    TOKENIZER_FILE,
    read_optional,
)
from edgespeech.processing.tokenizers.added_tokens import AddedToken
from edgespeech.processing.tokenizers.files import LOADING, NO_SETTINGS
from edgespeech.processing.tokenizers.token_table import TokenTable

Token = str | tokenizers.AddedToken
Settings = dict[str, Any]


@dataclass
class TokenizerFiles:
    """Facts about a tokenizer, from its files.

    Args:
        folder: where they are.
        settings: special tokens and how text is split, by name.
        serialized: content of `tokenizer.json`; None if there is none.
        added: tokens that are matched as a whole, by id.
        named: the special tokens by name.
        extra: further special tokens; None if the settings list none.
        additional: further special tokens where `extra` is None.
    """

    folder: Path
    settings: Settings
    serialized: dict[str, Any] | None = None
    added: dict[int, tokenizers.AddedToken] = field(default_factory=dict)
    named: dict[str, Token] = field(default_factory=dict)
    extra: list[Token] | None = None
    additional: list[Token] = field(default_factory=list)

    def path(self, name: str) -> Path:
        """Return the path of a file that must be there.

        Raises:
            MissingFileError: it is not.
            WeightsError: it is a pointer of Git LFS.
        """
        if not (self.folder / name).is_file():
            raise MissingFileError(f"{self.folder} holds no {name}, and no {TOKENIZER_FILE} instead of it")
        refuse_pointer(self.folder / name)
        return self.folder / name

    def model(self, kind: str) -> dict[str, Any] | None:
        """Return the `model` of `tokenizer.json`, or None if there is no such file or its model is of another kind."""
        model = (self.serialized or {}).get("model")
        return model if isinstance(model, dict) and _kind(model) == kind else None

    def token(self, name: str) -> str | None:
        """Return the text of a special token, by name."""
        return None if name not in self.named else str(getattr(self.named[name], "content", self.named[name]))


def _kind(model: Mapping[str, Any]) -> str:
    """Return the kind of a model; files of early versions, GPT-2's and BART's among them, do not name it."""
    if "type" in model:
        return str(model["type"])
    if "merges" in model:
        return "BPE"
    if isinstance(model.get("vocab"), list):
        return "Unigram"
    return "WordPiece" if "continuing_subword_prefix" in model else "WordLevel"


def read_files(folder: Path, overrides: Mapping[str, Any], defaults: Mapping[str, Any]) -> TokenizerFiles:
    """Read the files of a folder; `overrides` win over its settings, and those over a class's `defaults`.

    Raises:
        CheckpointError: a file is not what it should be.
    """
    given = {name: value for name, value in overrides.items() if name not in HUB_OPTIONS | LOADING}
    config = {**read_optional(folder / TOKENIZER_CONFIG), **given}
    config = {name: value for name, value in config.items() if name not in NO_SETTINGS | HUB_OPTIONS}
    serialized = read_json(folder / TOKENIZER_FILE) if (folder / TOKENIZER_FILE).is_file() else None
    if serialized is not None:
        for name in ("add_bos_token", "add_eos_token"):
            config.pop(name, None)  # its post-processor says it
    if "additional_special_tokens" in config and not config.get("extra_special_tokens"):
        config["extra_special_tokens"] = config.pop("additional_special_tokens")
    older: Settings = {}
    if "added_tokens_decoder" not in config:
        older = {n: v for n, v in read_optional(folder / SPECIAL_TOKENS_MAP).items() if not given.get(n)}
        older = {name: _as_special(value) for name, value in older.items()}
    settings = {**_written_in(serialized), **defaults, **config, **older}
    added = _added(folder, settings, serialized, is_older="added_tokens_decoder" not in config)
    files = TokenizerFiles(folder, settings, serialized, added)
    _sort_special(files)
    return files


def _as_special(value: Any) -> Any:
    """Mark a token of `special_tokens_map.json`, or each of a list of them, as special where it is more than text."""
    if isinstance(value, list):
        return [_as_special(token) for token in value]
    return {**value, "special": True} if isinstance(value, dict) and "content" in value else value


def _written_in(serialized: Mapping[str, Any] | None) -> Settings:
    """Return the settings that `tokenizer.json` has for padding and truncation."""
    padding, truncation = ((serialized or {}).get(name) or {} for name in ("padding", "truncation"))
    settings = {
        "pad_token": padding.get("pad_token"),
        "padding_side": str(padding.get("direction", "")).lower(),
        "truncation_side": str(truncation.get("direction", "")).lower(),
    }
    return {name: value for name, value in settings.items() if value}


def _added(
    folder: Path, settings: Settings, serialized: Mapping[str, Any] | None, is_older: bool
) -> dict[int, tokenizers.AddedToken]:
    try:
        if not is_older:
            entries = settings.pop("added_tokens_decoder")
            return {int(token_id): backend_token(token) for token_id, token in entries.items()}
        texts = read_optional(folder / ADDED_TOKENS)
        special = {str(AddedToken.of(settings[n])) for n in TokenTable.SPECIAL_TOKENS if settings.get(n)}
        special.update(str(AddedToken.of(token)) for token in settings.get("extra_special_tokens") or [])
        added = {
            token_id: tokenizers.AddedToken(text, normalized=text not in special, special=text in special)
            for text, token_id in texts.items()
        }
        added.update({int(e["id"]): backend_token(e) for e in (serialized or {}).get("added_tokens") or []})
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CheckpointError(f"{folder} must say which added token has which id; fetch the checkpoint again") from None
    return added


def _sort_special(files: TokenizerFiles) -> None:
    """Take the special tokens out of the settings, with what the added tokens say about how they are matched."""
    settings = files.settings
    by_text = {token.content: token for token in files.added.values()}
    own = dict(settings.pop("model_specific_special_tokens", None) or {})
    own.update(
        {n: settings[n] for n in list(settings) if n not in TokenTable.SPECIAL_TOKENS and _is_token(n, settings)}
    )
    extra = settings.pop("extra_special_tokens", None) if "extra_special_tokens" in settings else None
    if isinstance(extra, Mapping):
        own.update(extra)
        extra = None
    for name in TokenTable.SPECIAL_TOKENS:
        if settings.get(name) is not None:
            token = backend_or_text(settings[name])
            files.named[name] = by_text.get(str(getattr(token, "content", token)), token)
    files.named.update({name: backend_or_text(value) for name, value in own.items() if value is not None})
    files.extra = None if extra is None else [backend_or_text(token) for token in extra]
    files.additional = [backend_or_text(token) for token in settings.pop("additional_special_tokens", None) or []]


def _is_token(name: str, settings: Mapping[str, Any]) -> bool:
    value = settings[name]
    return name.endswith("_token") and (isinstance(value, (str, AddedToken)) or "content" in _keys(value))


def _keys(value: Any) -> Iterable[Any]:
    return value.keys() if isinstance(value, Mapping) else ()


def backend_token(value: Any) -> tokenizers.AddedToken:
    """Return the library's form of an added token."""
    if isinstance(value, tokenizers.AddedToken):
        return value
    token = AddedToken.of(value)
    flags = {n: getattr(token, n) for n in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    return tokenizers.AddedToken(token.content, **flags)


def backend_or_text(value: Any) -> Token:
    """Leave a text as it is, and return the library's form of anything else."""
    return value if isinstance(value, str) else backend_token(value)
