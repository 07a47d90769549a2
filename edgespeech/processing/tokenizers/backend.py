"""Tokenizers that the `tokenizers` library runs: text to ids and back as `tokenizer.json` says it.

What the classes of single models do differently is in `text_tokenizers` and `mbart_tokenizers`.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import numpy as np
import tokenizers
from edgespeech_runtime.text import Detokenizer
from tokenizers import processors

from edgespeech.errors import CheckpointError, ProcessingError
from edgespeech.processing.batch import to_numpy
from edgespeech.processing.folder import TOKENIZER_FILE, locate
from edgespeech.processing.tokenizers.added_tokens import AddedToken
from edgespeech.processing.tokenizers.backend_files import Settings, Token, TokenizerFiles, backend_or_text, read_files
from edgespeech.processing.tokenizers.detokenizer_steps import detokenizer_steps
from edgespeech.processing.tokenizers.files import write_settings
from edgespeech.processing.tokenizers.tokenizer import Tokenizer

TokenizerT = TypeVar("TokenizerT", bound="PreTrainedTokenizerFast")

# Special tokens that name a language: "de_DE", "deu_Latn", "__de__", "<|de|>".
LANGUAGE = re.compile(r"(?P<a>[a-z]{2,3}_(?:[A-Z]{2}|[A-Z][a-z]{3}))|__(?P<b>[a-z]{2,3})__|<\|(?P<c>[a-z]{2,3})\|>")


class PreTrainedTokenizerFast(Tokenizer):
    """A tokenizer from `tokenizer.json`.

    Args:
        files: what the checkpoint's files say; see `from_pretrained`.

    Raises:
        MissingFileError: a file is not there.
        CheckpointError: a file is not what it should be.
    """

    is_fast = True
    DEFAULTS: Mapping[str, Any] = {}  # settings of the class where the files say nothing

    def __init__(self, files: TokenizerFiles) -> None:
        named = {name: str(getattr(token, "content", token)) for name, token in files.named.items()}
        super().__init__({**files.settings, **named})
        try:
            self.backend_tokenizer = self._build(files)
            self.backend_tokenizer.no_padding()
            self.backend_tokenizer.no_truncation()
            self.backend_tokenizer.encode_special_tokens = self.split_special_tokens
            extra = self._extra(files)
            self.extra_special_tokens = [str(getattr(token, "content", token)) for token in extra]
            self._add_own_tokens(files, extra)
            self._set_template()
        except CheckpointError:
            raise
        except Exception as error:  # the library raises plain exceptions for files that it cannot use
            raise CheckpointError(f"{files.folder} holds a tokenizer that cannot be used: {_line(error)}") from None

    def _build(self, files: TokenizerFiles) -> tokenizers.Tokenizer:
        """Return the library's tokenizer, without the special tokens that only the settings name."""
        return tokenizers.Tokenizer.from_file(str(files.path(TOKENIZER_FILE)))

    def _extra(self, files: TokenizerFiles) -> list[Token]:
        """Return the special tokens beside the named ones."""
        return files.additional if files.extra is None else files.extra

    def _add_own_tokens(self, files: TokenizerFiles, extra: Iterable[Token]) -> None:
        """Add tokens in the order that gives them the ids they were trained with."""
        tokens: list[Token] = [token for _, token in sorted(files.added.items())]
        own = {*self.get_added_vocab(), *(token.content for token in files.added.values())}
        for token in (*files.named.values(), *extra):
            if str(getattr(token, "content", token)) not in own and token not in tokens:
                tokens.append(token)
        names = set(self.special_tokens_map.values())
        for index, token in enumerate(tokens):
            if isinstance(token, str):
                tokens[index] = tokenizers.AddedToken(token, special=True)
            elif not token.special and token.content in names:
                token.special = True
        self.backend_tokenizer.add_tokens(tokens)

    def _set_template(self) -> None:
        """Say which special tokens stand around a text, where `tokenizer.json` does not."""
        settings = self.init_kwargs
        if self.backend_tokenizer.post_processor is None or {"add_bos_token", "add_eos_token"} & settings.keys():
            self._put_around(
                [self.bos_token] if settings.get("add_bos_token") and self.bos_token else [],
                [self.eos_token] if settings.get("add_eos_token") and self.eos_token else [],
            )

    def _put_around(self, prefix: Iterable[str], suffix: Iterable[str]) -> None:
        """Let these tokens stand before and after a text."""
        before, after = list(prefix), list(suffix)
        self.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=[*before, "$A", *after],
            pair=[*before, "$A", "$B", *after],
            special_tokens=[(token, cast("int", self.convert_tokens_to_ids(token))) for token in (*before, *after)],
        )

    def base_vocab(self) -> Mapping[str, int]:
        """Return the ids of the tokens of the vocabulary proper, without added ones."""
        return self.backend_tokenizer.get_vocab(with_added_tokens=False)

    def base_token(self, token_id: int) -> str | None:
        """Return the token of an id, or None if it has none."""
        return self.backend_tokenizer.id_to_token(token_id)

    def split_text(self, text: str) -> list[str]:
        """Split a text into tokens."""
        return self.backend_tokenizer.encode(text, add_special_tokens=False).tokens

    def tokenize(self, text: str) -> list[str]:
        """Split a text into tokens, added ones among them; none are put around it."""
        return self.split_text(text)

    @property
    def vocab_size(self) -> int:
        """How many tokens the vocabulary proper has, without added ones."""
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all tokens, added ones included."""
        return self.backend_tokenizer.get_vocab(with_added_tokens=True)

    def get_added_vocab(self) -> dict[str, int]:
        """Return the ids of the added tokens, which may be tokens of the vocabulary too."""
        return {token.content: token_id for token_id, token in self._added()}

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        return dict(self._added())

    def _added(self) -> Iterator[tuple[int, AddedToken]]:
        for token_id, token in sorted(self.backend_tokenizer.get_added_tokens_decoder().items()):
            yield token_id, AddedToken.of(token)

    def add_tokens(
        self, new_tokens: str | AddedToken | Iterable[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Add tokens that are matched as a whole; return how many of them the vocabulary did not have."""
        is_one = isinstance(new_tokens, (str, AddedToken)) or not isinstance(new_tokens, Iterable)
        tokens = [backend_or_text(token) for token in cast("list[Any]", [new_tokens] if is_one else new_tokens)]
        if special_tokens:
            return self.backend_tokenizer.add_special_tokens(tokens)
        return self.backend_tokenizer.add_tokens(tokens)

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...
    @overload
    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int | None]: ...
    def convert_tokens_to_ids(self, tokens: str | list[str]) -> int | list[int | None] | None:
        """Return the id of a token, or of each of several; of an unknown one, that of `unk_token` (None if unset)."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        token_id = self.backend_tokenizer.token_to_id(tokens)
        unknown = self.unk_token
        return self.backend_tokenizer.token_to_id(unknown) if token_id is None and unknown is not None else token_id

    def _token(self, token_id: int) -> str:
        if token_id < 0:
            raise ProcessingError(f"expected token ids of at least 0, got {token_id}")
        return cast("str", self.base_token(token_id))  # None for an id without a token, as the reference has it

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Turn tokens into text."""
        decoder = self.backend_tokenizer.decoder
        return " ".join(tokens) if decoder is None else decoder.decode(list(tokens))

    def _encode(
        self, texts: list[str], limit: int | None, add_special_tokens: bool, is_target: bool
    ) -> dict[str, list[list[int]]]:
        backend = self.backend_tokenizer
        try:
            if limit:
                backend.enable_truncation(limit, direction=self.truncation_side)
            encodings = backend.encode_batch(texts, add_special_tokens=add_special_tokens)
        except Exception as error:  # the library raises plain exceptions
            raise ProcessingError(f"the text cannot be split into tokens: {_line(error)}") from None
        finally:
            backend.no_truncation()
        return {
            "input_ids": [encoding.ids for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
            "special_tokens_mask": [encoding.special_tokens_mask for encoding in encodings],
        }

    @property
    def never_cleans_up(self) -> bool:
        """Whether spaces before punctuation always stay: in byte-pair vocabularies they are part of tokens."""
        forced = self.init_kwargs.get("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output")
        return type(self.backend_tokenizer.model).__name__ == "BPE" and not forced

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> Any:
        """Turn ids, `[tokens]`, into a text, or several sequences, `[batch, tokens]`, into a list of texts.

        Args:
            token_ids: a list, an array or a tensor of ids, lists of them, or one id. Ids without a token are skipped.
            skip_special_tokens: leave special tokens out.
            clean_up_tokenization_spaces: whether to take out spaces before punctuation; None for the setting. Those
                of byte-pair vocabularies stay in any case.

        Raises:
            ProcessingError: an id is negative, or no whole number.
        """
        rows, is_batch = id_rows(token_ids)
        texts = [self._text(row, skip_special_tokens, clean_up_tokenization_spaces) for row in rows]
        return texts if is_batch else texts[0]

    def _text(self, ids: list[int], skip_special_tokens: bool, clean_up: bool | None) -> str:
        text = self.backend_tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        clean_up = self.clean_up_tokenization_spaces if clean_up is None else clean_up
        return self.clean_up_tokenization(text) if clean_up and not self.never_cleans_up else text

    def batch_decode(self, sequences: Any, **options: Any) -> list[str]:
        """Decode several sequences, `[batch, tokens]` or a list of `[tokens]`, with the options of `decode`."""
        texts = self.decode(sequences, **options)
        return [texts] if isinstance(texts, str) else cast("list[str]", texts)

    def languages(self) -> dict[str, int]:
        """Return the ids of the special tokens that name a language, by its name ("de_DE", "de")."""
        languages = {}
        for token_id, token in self._added():
            match = LANGUAGE.fullmatch(token.content) if token.special else None
            if match is not None:
                languages[next(name for name in match.groups() if name)] = token_id
        return languages

    def detokenizer_facts(self, size: int | None = None) -> Detokenizer:
        """Return what a device needs to turn ids into text.

        Args:
            size: how many ids the model puts out; those without a token are skipped. None: as many as there are tokens.

        Raises:
            ProcessingError: text is made of tokens in a way that the runtime does not have.
        """
        size = max(self.get_vocab().values()) + 1 if size is None else size
        tokens = tuple(self.base_token(token_id) for token_id in range(size))
        special = {token.content for token in self.added_tokens_decoder.values() if token.special}
        return Detokenizer(
            tokens=tokens,
            steps=detokenizer_steps(self.backend_tokenizer.decoder),
            special=tuple(token_id for token_id, token in enumerate(tokens) if token in special),
            clean_up=None if self.never_cleans_up else self.clean_up_tokenization_spaces,
            languages={name: token_id for name, token_id in self.languages().items() if token_id < size},
        )

    @classmethod
    def from_pretrained(cls: type[TokenizerT], checkpoint: str | os.PathLike[str], **overrides: Any) -> TokenizerT:
        """Load a tokenizer from a checkpoint, a folder or a hub id; `overrides` replace settings.

        Raises:
            MissingFileError: there is no such folder, or a file of the tokenizer is missing.
            CheckpointError: a file is not what it should be.
        """
        return cls(read_files(locate(checkpoint, overrides), overrides, cls.DEFAULTS))

    def save_pretrained(self, folder: str | os.PathLike[str], filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write `tokenizer.json`, `tokenizer_config.json` and, if need be, `added_tokens.json`; return their paths."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        self.added_tokens.replace(self.added_tokens_decoder)
        path = Path(folder) / f"{prefix}{TOKENIZER_FILE}"
        self.backend_tokenizer.save(str(path))
        return (*write_settings(Path(folder), prefix, self, self._own_settings()), str(path))

    def _own_settings(self) -> Settings:
        """Return the settings that may have changed since loading."""
        return {"padding_side": self.padding_side, "truncation_side": self.truncation_side}


TokenizersBackend = PreTrainedTokenizerFast  # the name in version 5 of transformers


def id_rows(token_ids: Any) -> tuple[list[list[int]], bool]:
    """Return the rows of one sequence or of a batch, and whether it is a batch.

    Raises:
        ProcessingError: an id is negative, or no whole number.
    """
    is_list = isinstance(token_ids, (list, tuple))
    is_batch = len(token_ids) > 0 and _is_sequence(token_ids[0]) if is_list else to_numpy(token_ids).ndim == 2
    rows = [to_numpy(row).reshape(-1) for row in (token_ids if is_batch else [token_ids])]
    for row in rows:
        if row.size and (row.dtype.kind not in "iu" or not 0 <= row.min() <= row.max() < 2**32):
            raise ProcessingError(f"expected token ids, whole numbers of at least 0, got {row.tolist()!s:.60}")
    return [row.astype(np.int64).tolist() for row in rows], is_batch


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
