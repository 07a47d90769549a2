"""Characters to ids for labels, and one id per frame to text, words and their frames.

It picks no ids from logits and knows no language model.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from edgespeech_runtime.bundle.manifest import Vocabulary
from edgespeech_runtime.text import Detokenizer, Step

from edgespeech.base.named_output import NamedOutput
from edgespeech.checkpoint import read_json, write_json
from edgespeech.errors import CheckpointError, ProcessingError
from edgespeech.processing.batch import to_numpy
from edgespeech.processing.folder import VOCABULARY, locate
from edgespeech.processing.tokenizers.added_tokens import AddedToken
from edgespeech.processing.tokenizers.files import read_settings, write_settings
from edgespeech.processing.tokenizers.offsets import CharOffset, Delimiter, WordOffset, char_offsets, word_offsets
from edgespeech.processing.tokenizers.token_table import SpecialToken, SpecialTokenId
from edgespeech.processing.tokenizers.tokenizer import Tokenizer

TokenizerT = TypeVar("TokenizerT", bound="Wav2Vec2CTCTokenizer")


@dataclass(eq=False)
class Wav2Vec2CTCTokenizerOutput(NamedOutput):
    """Decoded text with offsets in frames, each None if it was not asked for; lists of these for a batch.

    Entries can be read as attributes and by name, as in `output["text"]`.
    """

    text: str | list[str]
    char_offsets: list[CharOffset] | list[list[CharOffset]] | None = None
    word_offsets: list[WordOffset] | list[list[WordOffset]] | None = None


class Wav2Vec2CTCTokenizer(Tokenizer):
    """A CTC vocabulary: characters, the pad token as CTC blank, and a token that separates words.

    Args:
        vocab_file: path of `vocab.json`: `{token: id}`, or `{language: {token: id}}`.
        bos_token: start token.
        eos_token: end token.
        unk_token: stands for what the vocabulary does not have; None makes that an error.
        pad_token: padding of labels, and the CTC blank.
        word_delimiter_token: separates words; None if nothing does.
        replace_word_delimiter_char: what stands for it in text.
        do_lower_case: the vocabulary is upper case, texts are lower case.
        target_lang: which language of a nested vocabulary to use.
        **settings: further settings of `tokenizer_config.json`.

    Raises:
        CheckpointError: the vocabulary is not what it should be.
        ProcessingError: the vocabulary is nested and `target_lang` is none of its languages.
    """

    word_delimiter_token, word_delimiter_token_id = SpecialToken(), SpecialTokenId()

    def __init__(
        self,
        vocab_file: str | os.PathLike[str],
        bos_token: str | None = "<s>",
        eos_token: str | None = "</s>",
        unk_token: str | None = "<unk>",
        pad_token: str | None = "<pad>",
        word_delimiter_token: str | None = "|",
        replace_word_delimiter_char: str = " ",
        do_lower_case: bool = False,
        target_lang: str | None = None,
        **settings: Any,
    ) -> None:
        loaded = settings.pop("added_tokens_decoder", {})
        settings.update(bos_token=bos_token, eos_token=eos_token, unk_token=unk_token, pad_token=pad_token)
        settings.update(word_delimiter_token=word_delimiter_token, do_lower_case=do_lower_case)
        settings.update(replace_word_delimiter_char=replace_word_delimiter_char, target_lang=target_lang)
        super().__init__(settings)
        self.replace_word_delimiter_char = replace_word_delimiter_char
        self.vocab = read_json(vocab_file)
        self._where = Path(vocab_file)
        self._use_language(target_lang)
        for token_id, token in loaded.items():
            token = AddedToken.of(token)
            is_free = self.decoder.get(token_id, token.content) == token.content
            if is_free and self.encoder.get(token.content, token_id) == token_id:
                self.added_tokens.put(token_id, token)
        self._add_own_tokens()

    def _use_language(self, language: str | None) -> None:
        nested = [name for name, value in self.vocab.items() if isinstance(value, dict)]
        if nested and language not in nested:
            some = ", ".join(nested[:10]) + (", ..." if len(nested) > 10 else "")
            raise ProcessingError(f"target_lang {language!r} is not in the vocabulary; choose one of {some}")
        if not nested and language is not None:
            raise ProcessingError(f"target_lang {language!r}: the vocabulary has no languages; leave target_lang out")
        encoder = self.vocab[language] if language is not None else self.vocab
        if not encoder or not all(type(token_id) is int and token_id >= 0 for token_id in encoder.values()):
            raise CheckpointError(f"{self._where} must give each token an id, a number from 0 on; fetch it again")
        self.target_lang = language
        self.init_kwargs["target_lang"] = language
        self.encoder: dict[str, int] = encoder
        self.decoder = {token_id: token for token, token_id in encoder.items()}
        blank = self.pad_token
        if blank is not None and blank in encoder:  # whatever else has its id
            self.decoder[encoder[blank]] = blank

    def _add_own_tokens(self) -> None:
        """See to it that special tokens have ids, and that tokens of several characters are not split."""
        self.add_tokens([t for t in self.all_special_tokens if t not in self.added_tokens.ids], special_tokens=True)
        several = [token for token in self.encoder if len(token) > 1]
        self.add_tokens([AddedToken(token, lstrip=True, rstrip=True, normalized=False) for token in several])

    def set_target_lang(self, target_lang: str) -> None:
        """Switch to another language of a nested vocabulary.

        Raises:
            ProcessingError: the vocabulary has no languages, or not this one.
        """
        self._use_language(target_lang)
        for token_id in self.added_tokens.by_id.keys() & self.decoder.keys():
            self.added_tokens.remove(token_id)
        self._add_own_tokens()

    def base_vocab(self) -> Mapping[str, int]:
        """Return the ids of the tokens of the vocabulary proper, in the language in use."""
        return self.encoder

    def base_token(self, token_id: int) -> str | None:
        """Return the vocabulary's token of an id, or None if it has none."""
        return self.decoder.get(token_id)

    def split_text(self, text: str) -> list[str]:
        """Split a text into characters, with the delimiter token for spaces."""
        text = text.upper() if self.do_lower_case else text
        return list(text if self.word_delimiter_token is None else text.replace(" ", self.word_delimiter_token))

    def convert_tokens_to_string(
        self,
        tokens: Sequence[str],
        group_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
    ) -> dict[str, Any]:
        """Turn one token per frame, `[frames]`, into `text`, and `char_offsets` and `word_offsets` or None."""
        delimiter = Delimiter(self.word_delimiter_token, self.replace_word_delimiter_char)
        characters = char_offsets(tokens, self.pad_token, delimiter, group_tokens)
        joiner = " " if spaces_between_special_tokens else ""
        text = joiner.join(character["char"] for character in characters).strip()
        return {
            "text": text.lower() if self.do_lower_case else text,
            "char_offsets": characters if output_char_offsets else None,
            "word_offsets": word_offsets(characters, delimiter.text) if output_word_offsets else None,
        }

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
        group_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
    ) -> str | Wav2Vec2CTCTokenizerOutput:
        """Turn one id per frame, `[frames]`, into text: repeats merge, the blank goes, delimiters become spaces.

        Args:
            token_ids: a list, an array or a tensor of ids; or one id.
            skip_special_tokens: drop the frames of special tokens first, the blank's among them, so that repeats around
                them merge too. Offsets then count the frames that are left.
            clean_up_tokenization_spaces: whether to take out spaces before punctuation; None for the setting.
            output_char_offsets: return an output object with the frames of each character.
            output_word_offsets: return an output object with the frames of each word.
            group_tokens: whether repeats merge; not for labels.
            spaces_between_special_tokens: put spaces between all tokens.

        Raises:
            ProcessingError: the ids are not one sequence, or one is unknown and there is no `unk_token`.
        """
        tokens = self.convert_ids_to_tokens(frame_ids(token_ids))
        if skip_special_tokens:
            skipped = set(self.all_special_tokens) - {self.word_delimiter_token}
            tokens = [token for token in tokens if token not in skipped]
        parts = self.convert_tokens_to_string(
            tokens, group_tokens, spaces_between_special_tokens, output_char_offsets, output_word_offsets
        )
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces:
            parts["text"] = self.clean_up_tokenization(parts["text"])
        if output_char_offsets or output_word_offsets:
            return Wav2Vec2CTCTokenizerOutput(**parts)
        return cast("str", parts["text"])

    def batch_decode(
        self,
        sequences: Iterable[Any],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
        **options: bool,
    ) -> list[str] | Wav2Vec2CTCTokenizerOutput:
        """Decode several sequences, `[batch, frames]` or a list of `[frames]`, with the options of `decode`.

        Returns their texts or, where offsets are asked for, one output object whose entries are lists over the batch.
        """
        shared = (skip_special_tokens, clean_up_tokenization_spaces, output_char_offsets, output_word_offsets)
        outputs = [self.decode(sequence, *shared, **options) for sequence in sequences]
        asked = {"text": True, "char_offsets": output_char_offsets, "word_offsets": output_word_offsets}
        if not output_char_offsets and not output_word_offsets:
            return cast("list[str]", outputs)
        lists: dict[str, Any] = {
            name: [getattr(o, name) for o in outputs] for name, is_asked in asked.items() if is_asked
        }
        return Wav2Vec2CTCTokenizerOutput(**lists)

    def vocabulary_facts(self, size: int | None = None) -> Vocabulary:
        """Return what a device needs to turn ids into text; a bundle's manifest holds it.

        Args:
            size: how many ids the model puts out; ids without a token get "" and count as special, like the unknown
                token that stands for them here, and tokens beyond are left out. None: as many as there are tokens.

        Raises:
            ProcessingError: there is no pad token below `size` to be the CTC blank.
        """
        by_id = {token_id: token.content for token_id, token in self.added_tokens} | self.decoder
        size = max(by_id) + 1 if size is None else size
        blank = self.pad_token_id
        if blank is None or blank >= size:
            raise ProcessingError(
                f"expected an id below {size} for the pad token {self.pad_token!r}, the blank, got {blank}"
            )
        delimiter = self.word_delimiter_token
        tokens = tuple(by_id.get(token_id, "") for token_id in range(size))
        special = {self.convert_tokens_to_ids(token) for token in self.all_special_tokens if token != delimiter}
        special |= set(range(size)) - by_id.keys()
        return Vocabulary(
            tokens=tokens,
            blank=blank,
            word_delimiter=delimiter if delimiter in tokens else None,
            replace_word_delimiter=self.replace_word_delimiter_char,
            special=tuple(sorted(token_id for token_id in special if token_id is not None and token_id < size)),
            lower_case=self.do_lower_case,
            clean_up=self.clean_up_tokenization_spaces,
        )

    def detokenizer_facts(self, size: int | None = None) -> Detokenizer:
        """Return what a device needs to turn the ids of a decoder into text: as labels, so repeats do not merge.

        Args:
            size: how many ids the model puts out; the unknown token stands for those without a token. None: as many as
                there are tokens.
        """
        by_id = {token_id: token.content for token_id, token in self.added_tokens} | self.decoder
        size = max(by_id) + 1 if size is None else size
        delimiter, unknown = self.word_delimiter_token, self.unk_token_id
        special = {*self.all_special_tokens} - {delimiter}
        texts = {"blank": self.pad_token, "delimiter": delimiter, "replacement": self.replace_word_delimiter_char}
        steps = [Step("characters", texts), Step("trim"), *([Step("lower")] if self.do_lower_case else [])]
        return Detokenizer(
            tokens=tuple(by_id.get(token_id) for token_id in range(size)),
            steps=tuple(steps),
            special=tuple(token_id for token_id in range(size) if by_id.get(token_id) in special),
            unknown=unknown if unknown is not None and unknown < size else None,
            clean_up=self.clean_up_tokenization_spaces,
        )

    @classmethod
    def from_pretrained(cls: type[TokenizerT], checkpoint: str | os.PathLike[str], **overrides: Any) -> TokenizerT:
        """Load a tokenizer from a checkpoint, a folder or a hub id; `overrides` replace settings.

        Raises:
            MissingFileError: there is no such folder, or no `vocab.json` in it.
            CheckpointError: a file is not what it should be.
        """
        folder = locate(checkpoint, overrides)
        return cls(folder / VOCABULARY, **read_settings(folder, overrides))

    def save_pretrained(self, folder: str | os.PathLike[str], filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write `vocab.json`, `tokenizer_config.json` and, if need be, `added_tokens.json`; return their paths."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        settings = {
            "do_lower_case": self.do_lower_case,
            "replace_word_delimiter_char": self.replace_word_delimiter_char,
            "target_lang": self.target_lang,
        }
        written = write_settings(Path(folder), f"{filename_prefix}-" if filename_prefix else "", self, settings)
        return (*written, *self.save_vocabulary(folder, filename_prefix))

    def save_vocabulary(self, folder: str | os.PathLike[str], filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write `vocab.json`, all languages of it, into a folder that exists; return its path."""
        path = Path(folder) / f"{filename_prefix + '-' if filename_prefix else ''}{VOCABULARY}"
        if not path.parent.is_dir():
            raise ProcessingError(f"expected a folder to save the vocabulary in, got {folder}")
        write_json(path, self.vocab)
        return (str(path),)


def frame_ids(token_ids: Any) -> list[int]:
    """Return ids, however they came, as a list `[frames]`.

    Raises:
        ProcessingError: they are not one sequence.
    """
    array = np.atleast_1d(to_numpy(token_ids))
    if array.ndim != 1 or array.dtype.kind not in "iu":
        shape = f"{array.dtype} of shape {list(array.shape)}"
        raise ProcessingError(f"expected ids of shape [frames], got {shape}; batch_decode takes several sequences")
    return cast("list[int]", array.tolist())
