"""CTC vocabularies of phonemes: tokens of one or several characters, written with a space between them.

It does not turn text into phonemes; that takes espeak.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from edgespeech_runtime.bundle.manifest import Vocabulary
from edgespeech_runtime.text import Detokenizer

from edgespeech.base.named_output import NamedOutput
from edgespeech.errors import ProcessingError
from edgespeech.processing.batch import BatchFeature
from edgespeech.processing.tokenizers.ctc import Wav2Vec2CTCTokenizer, frame_ids
from edgespeech.processing.tokenizers.files import write_settings
from edgespeech.processing.tokenizers.offsets import CharOffset, Delimiter, char_offsets

SPACE = " "  # between phonemes in text, whatever the delimiters in the settings are
DELIMITERS = ("word_delimiter_token", "phone_delimiter_token")


@dataclass(eq=False)
class Wav2Vec2PhonemeCTCTokenizerOutput(NamedOutput):
    """Decoded phonemes with offsets in frames; lists of these for a batch. Entries can be read by name too."""

    text: str | list[str]
    char_offsets: list[CharOffset] | list[list[CharOffset]] | None = None


class Wav2Vec2PhonemeCTCTokenizer(Wav2Vec2CTCTokenizer):
    """A CTC vocabulary of phonemes, with the pad token as CTC blank.

    Args:
        vocab_file: path of `vocab.json`, `{phoneme: id}`.
        bos_token: start token.
        eos_token: end token.
        unk_token: stands for what the vocabulary does not have; None makes that an error.
        pad_token: padding of labels, and the CTC blank.
        phone_delimiter_token: what espeak puts between phonemes. Decoding writes a space, as in transformers.
        word_delimiter_token: separates words; None if nothing does. Text leaves it out.
        do_phonemize: whether a call is given text, which takes espeak and is refused here; False if it is given
            phonemes with spaces between them.
        phonemizer_lang: the language of the phonemes, for espeak.
        phonemizer_backend: what makes phonemes of text.
        **settings: further settings of `tokenizer_config.json`.

    Raises:
        CheckpointError: the vocabulary is not what it should be.
    """

    def __init__(
        self,
        vocab_file: str | os.PathLike[str],
        bos_token: str | None = "<s>",
        eos_token: str | None = "</s>",
        unk_token: str | None = "<unk>",
        pad_token: str | None = "<pad>",
        phone_delimiter_token: str | None = SPACE,
        word_delimiter_token: str | None = None,
        do_phonemize: bool = True,
        phonemizer_lang: str = "en-us",
        phonemizer_backend: str = "espeak",
        **settings: Any,
    ) -> None:
        own = settings.pop("model_specific_special_tokens", None) or {}  # where transformers 5 writes the delimiters
        self.word_delimiter: str | None = own.get("word_delimiter_token", word_delimiter_token)
        self.phone_delimiter_token: str | None = own.get("phone_delimiter_token", phone_delimiter_token)
        self.do_phonemize, self.phonemizer_lang = do_phonemize, phonemizer_lang
        self.phonemizer_backend = phonemizer_backend
        kept = {name: value for name, value in settings.items() if name != "do_lower_case"}  # text is never changed
        super().__init__(vocab_file, bos_token, eos_token, unk_token, pad_token, None, **kept)

    @property
    def word_delimiter_token(self) -> str | None:  # type: ignore[override]
        """The token between words, or None; no special token."""
        return self.word_delimiter

    @property
    def word_delimiter_token_id(self) -> int | None:  # type: ignore[override]
        """The id of the token between words, or None."""
        return None if self.word_delimiter is None else self.convert_tokens_to_ids(self.word_delimiter)

    @property
    def phone_delimiter_token_id(self) -> int | None:
        """The id of what espeak puts between phonemes, or None; mostly that of the unknown token."""
        return None if self.phone_delimiter_token is None else self.convert_tokens_to_ids(self.phone_delimiter_token)

    def _is_special(self, name: str, value: Any) -> bool:
        return name not in DELIMITERS and super()._is_special(name, value)

    def _add_own_tokens(self) -> None:
        """See to it that special tokens have ids; phonemes are not looked for inside of words."""
        self.add_tokens([t for t in self.all_special_tokens if t not in self.added_tokens.ids], special_tokens=True)

    def __call__(self, *texts: Any, do_phonemize: bool | None = None, **options: Any) -> BatchFeature:
        """Turn phonemes with spaces between them into ids; `do_phonemize` changes the setting, from then on.

        For the rest see `Tokenizer.__call__`.

        Raises:
            ProcessingError: text is to be made phonemes, or what `Tokenizer.__call__` raises.
        """
        if do_phonemize is not None:
            self.do_phonemize = do_phonemize
        return super().__call__(*texts, **options)

    def split_text(self, text: str) -> list[str]:
        """Split phonemes at spaces.

        Raises:
            ProcessingError: text is to be made phonemes.
        """
        if self.do_phonemize:
            raise ProcessingError(
                f"to make phonemes of text takes {self.phonemizer_backend} ({self.phonemizer_lang}), which edgespeech "
                "does not call; give phonemes with spaces between them, and do_phonemize=False"
            )
        return [token for token in text.split(SPACE) if token.strip()]

    def convert_tokens_to_string(  # type: ignore[override]
        self,
        tokens: Sequence[str],
        group_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        filter_word_delimiter_token: bool = True,
        output_char_offsets: bool = False,
    ) -> dict[str, Any]:
        """Turn one token per frame, `[frames]`, into `text`, and `char_offsets` or None; see `decode`."""
        phonemes = char_offsets(tokens, self.pad_token, Delimiter(None, ""), group_tokens)
        if filter_word_delimiter_token and self.word_delimiter is not None:
            phonemes = [phoneme for phoneme in phonemes if phoneme["char"] != self.word_delimiter]
        text = SPACE.join(phoneme["char"] for phoneme in phonemes).strip()
        return {"text": text, "char_offsets": phonemes if output_char_offsets else None}

    def decode(  # type: ignore[override]
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        output_char_offsets: bool = False,
        group_tokens: bool = True,
        filter_word_delimiter_token: bool = True,
        spaces_between_special_tokens: bool = False,
    ) -> str | Wav2Vec2PhonemeCTCTokenizerOutput:
        """Turn one id per frame, `[frames]`, into phonemes: repeats merge, the blank goes, spaces stand between.

        Args:
            token_ids: a list, an array or a tensor of ids; or one id.
            skip_special_tokens: drop the frames of special tokens first, the blank's among them, so that repeats around
                them merge too. Offsets then count the frames that are left.
            clean_up_tokenization_spaces: whether to take out spaces before punctuation; None for the setting.
            output_char_offsets: return an output object with the frames of each phoneme.
            group_tokens: whether repeats merge; not for labels.
            filter_word_delimiter_token: whether to leave out the tokens between words.
            spaces_between_special_tokens: taken for compatibility; there is a space between all tokens.

        Raises:
            ProcessingError: the ids are not one sequence, or one is unknown and there is no `unk_token`.
        """
        tokens = self.convert_ids_to_tokens(frame_ids(token_ids), skip_special_tokens)
        parts = self.convert_tokens_to_string(
            tokens, group_tokens, spaces_between_special_tokens, filter_word_delimiter_token, output_char_offsets
        )
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces:
            parts["text"] = self.clean_up_tokenization(parts["text"])
        return Wav2Vec2PhonemeCTCTokenizerOutput(**parts) if output_char_offsets else cast("str", parts["text"])

    def batch_decode(  # type: ignore[override]
        self,
        sequences: Iterable[Any],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        output_char_offsets: bool = False,
        **options: bool,
    ) -> list[str] | Wav2Vec2PhonemeCTCTokenizerOutput:
        """Decode several sequences, `[batch, frames]` or a list of `[frames]`, with the options of `decode`.

        Returns their texts or, where offsets are asked for, one output object whose entries are lists over the batch.
        """
        shared = (skip_special_tokens, clean_up_tokenization_spaces, output_char_offsets)
        outputs: list[Any] = [self.decode(sequence, *shared, **options) for sequence in sequences]
        if not output_char_offsets:
            return outputs
        return Wav2Vec2PhonemeCTCTokenizerOutput([o.text for o in outputs], [o.char_offsets for o in outputs])

    def vocabulary_facts(self, size: int | None = None) -> Vocabulary:
        """See `Wav2Vec2CTCTokenizer.vocabulary_facts`: a space between phonemes, nothing for the word delimiter."""
        return replace(super().vocabulary_facts(size), separator=SPACE, replace_word_delimiter="")

    def detokenizer_facts(self, size: int | None = None) -> Detokenizer:
        """Refuse: a decoder's tokens are no phonemes of frames.

        Raises:
            ProcessingError: always.
        """
        raise ProcessingError(f"a {type(self).__name__} serves CTC models; give a decoder a tokenizer of its own")

    def save_pretrained(self, folder: str | os.PathLike[str], filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write `vocab.json`, `tokenizer_config.json` and, if need be, `added_tokens.json`; return their paths."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        settings = {
            "word_delimiter_token": self.word_delimiter,
            "phone_delimiter_token": self.phone_delimiter_token,
            "do_phonemize": self.do_phonemize,
            "phonemizer_lang": self.phonemizer_lang,
            "phonemizer_backend": self.phonemizer_backend,
        }
        written = write_settings(Path(folder), f"{filename_prefix}-" if filename_prefix else "", self, settings)
        return (*written, *self.save_vocabulary(folder, filename_prefix))
