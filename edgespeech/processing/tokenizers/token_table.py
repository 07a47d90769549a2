"""The tokens of a tokenizer: its vocabulary, special and added tokens, and the ids of all of them.

How a text is split into tokens, and how tokens become text again, is each tokenizer's own matter.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast, overload

from edgespeech.errors import ProcessingError
from edgespeech.processing.tokenizers.added_tokens import AddedToken, AddedTokens


class SpecialToken:
    """A tokenizer's attribute such as `pad_token`: its text, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, table: "TokenTable", owner: type | None = None) -> str | None:
        return table.special_tokens.get(self.name)

    def __set__(self, table: "TokenTable", value: str | AddedToken | None) -> None:
        table.special_tokens[self.name] = None if value is None else AddedToken.of(value).content


class SpecialTokenId:
    """A tokenizer's attribute such as `pad_token_id`: the id of the special token, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name.removesuffix("_id")

    def __get__(self, table: "TokenTable", owner: type | None = None) -> int | None:
        token = table.special_tokens.get(self.name)
        return None if token is None else table.convert_tokens_to_ids(token)

    def __set__(self, table: "TokenTable", value: int | None) -> None:
        table.special_tokens[self.name] = None if value is None else table.convert_ids_to_tokens(value)


class TokenTable(ABC):
    """Tokens and their ids.

    Args:
        settings: content of `tokenizer_config.json`: special tokens and how text is split. What is unknown is kept.
    """

    is_fast = False  # whether the `tokenizers` library runs it
    SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

    bos_token, bos_token_id = SpecialToken(), SpecialTokenId()
    eos_token, eos_token_id = SpecialToken(), SpecialTokenId()
    unk_token, unk_token_id = SpecialToken(), SpecialTokenId()
    sep_token, sep_token_id = SpecialToken(), SpecialTokenId()
    pad_token, pad_token_id = SpecialToken(), SpecialTokenId()
    cls_token, cls_token_id = SpecialToken(), SpecialTokenId()
    mask_token, mask_token_id = SpecialToken(), SpecialTokenId()

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.init_kwargs = dict(settings)
        self.do_lower_case = bool(settings.get("do_lower_case", False))
        self.split_special_tokens = bool(settings.get("split_special_tokens", False))
        self.added_tokens = AddedTokens()
        self.special_tokens: dict[str, str | None] = dict.fromkeys(self.SPECIAL_TOKENS)
        extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
        named = dict(settings.get("model_specific_special_tokens") or {})
        named.update(extra if isinstance(extra, Mapping) else {})
        named.update({name: value for name, value in settings.items() if self._is_special(name, value)})
        for name, value in named.items():
            self.special_tokens[name] = None if value is None else AddedToken.of(value).content
        extra = [] if isinstance(extra, Mapping) else extra
        self.extra_special_tokens = [AddedToken.of(value).content for value in extra]

    def _is_special(self, name: str, value: Any) -> bool:
        """Say whether a setting is a special token: one of the common ones, or a model's own such as a delimiter."""
        is_own = name.endswith("_token") and value is not None and not isinstance(value, bool)
        return is_own or name in self.SPECIAL_TOKENS

    @abstractmethod
    def base_vocab(self) -> Mapping[str, int]:
        """Return the ids of the tokens of the vocabulary proper, without added ones."""

    @abstractmethod
    def base_token(self, token_id: int) -> str | None:
        """Return the vocabulary's token of an id, or None if it has none."""

    @abstractmethod
    def split_text(self, text: str) -> list[str]:
        """Split a text that holds no added tokens into tokens."""

    @property
    def vocab_size(self) -> int:
        """How many tokens the vocabulary proper has, without added ones."""
        return len(set(self.base_vocab().values()))

    def __len__(self) -> int:
        return len(self.get_vocab())

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all tokens, added ones included."""
        return {**self.base_vocab(), **self.get_added_vocab()}

    def get_added_vocab(self) -> dict[str, int]:
        """Return the ids of the added tokens, which may be tokens of the vocabulary too."""
        return {token.content: token_id for token_id, token in self.added_tokens}

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        return dict(iter(self.added_tokens))

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens that are set, by name (`pad_token`, ...)."""
        return {name: token for name, token in self.special_tokens.items() if token is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        """All special tokens, each once: the named ones, then the extra ones."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self.extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return [token_id for token_id in self.convert_tokens_to_ids(self.all_special_tokens) if token_id is not None]

    def add_tokens(
        self, new_tokens: str | AddedToken | Iterable[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Add tokens that are matched as a whole; return how many of them the vocabulary did not have.

        New ids go on from the size of the vocabulary. A token that it has already keeps its id.
        """
        tokens = [new_tokens] if isinstance(new_tokens, str) or not isinstance(new_tokens, Iterable) else new_tokens
        vocab = self.get_vocab()
        size = len(vocab)
        for entry in tokens:
            token = AddedToken.of(entry, normalized=False)
            if special_tokens:
                token = replace(token, special=True)
            elif token.normalized and not token.special and self.do_lower_case:
                token = replace(token, content=token.content.lower())
            if token.content:
                self.added_tokens.put(vocab.setdefault(token.content, len(vocab)), token)
                if token.special and token.content not in self.all_special_tokens:
                    self.extra_special_tokens.append(token.content)
        return len(vocab) - size

    def add_special_tokens(self, special_tokens_dict: Mapping[str, Any]) -> int:
        """Set special tokens by name (`pad_token`, or a list of `extra_special_tokens`); return how many are new."""
        added = 0
        given = dict(special_tokens_dict)
        if "additional_special_tokens" in given and not given.get("extra_special_tokens"):
            given["extra_special_tokens"] = given.pop("additional_special_tokens")  # the older name; they come last
        for name, value in given.items():
            if name in self.SPECIAL_TOKENS:
                self.special_tokens[name] = AddedToken.of(value).content
                added += self.add_tokens(value, special_tokens=True)
            elif name == "extra_special_tokens":
                self.extra_special_tokens = [AddedToken.of(token).content for token in value]
                added += self.add_tokens(value, special_tokens=True)
            else:
                expected_names = ", ".join([*self.SPECIAL_TOKENS, "extra_special_tokens"])
                raise ProcessingError(f"expected one of {expected_names} as the name of a special token, got {name!r}")
        return added

    def tokenize(self, text: str) -> list[str]:
        """Split a text into tokens, some of which the vocabulary may not have."""
        if self.split_special_tokens:
            return self.split_text(text)
        whole = {*self.added_tokens.ids, *self.all_special_tokens}
        tokens: list[str] = []
        for part in self.added_tokens.split(text):
            tokens.extend([part] if part in whole else self.split_text(part))
        return tokens

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...
    @overload
    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int | None]: ...
    def convert_tokens_to_ids(self, tokens: str | list[str]) -> int | list[int | None] | None:
        """Return the id of a token, or of each of several; of an unknown one, that of `unk_token` (None if unset)."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        vocab, unknown = self.base_vocab(), self.unk_token
        for name in (tokens, unknown):
            if name is not None and (name in self.added_tokens.ids or name in vocab):
                return self.added_tokens.ids.get(name, vocab.get(name))
        return None

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = ...) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Iterable[int], skip_special_tokens: bool = ...) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Iterable[int], skip_special_tokens: bool = False) -> str | list[str]:
        """Return the token of an id, or of each of several; of an unknown id, `unk_token`.

        Raises:
            ProcessingError: an unknown id, and there is no `unk_token`.
        """
        if not isinstance(ids, Iterable):
            return self._token(int(ids))
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [self._token(int(token_id)) for token_id in ids if int(token_id) not in skipped]

    def _token(self, token_id: int) -> str:
        token = self.base_token(token_id)
        if token is None and token_id in self.added_tokens.by_id:
            token = self.added_tokens.by_id[token_id].content
        token = self.unk_token if token is None else token
        if token is None:
            raise ProcessingError(f"no token has the id {token_id}, and there is no unk_token to stand for it")
        return token

    def _ids(self, text: str) -> list[int]:
        tokens = self.tokenize(text)
        ids = self.convert_tokens_to_ids(tokens)
        if None in ids:
            missing = tokens[ids.index(None)]
            raise ProcessingError(f"{missing!r} is not in the vocabulary, and there is no unk_token to stand for it")
        return cast("list[int]", ids)
