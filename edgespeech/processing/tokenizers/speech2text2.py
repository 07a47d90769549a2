"""Words to byte pairs and back as Speech2Text2 has them: a piece that ends in "@@" goes on in the next one.

The model type left transformers with version 5; this does what version 4 did. Text from ids is the runtime's work.
"""

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

from edgespeech_runtime.text import Detokenizer, Step

from edgespeech.checkpoint import read_json, write_json
from edgespeech.errors import CheckpointError, ProcessingError
from edgespeech.processing.folder import MERGES, VOCABULARY, locate
from edgespeech.processing.tokenizers.added_tokens import AddedToken
from edgespeech.processing.tokenizers.backend import id_rows
from edgespeech.processing.tokenizers.files import read_settings, write_settings
from edgespeech.processing.tokenizers.tokenizer import Tokenizer

TokenizerT = TypeVar("TokenizerT", bound="Speech2Text2Tokenizer")

END_OF_WORD = "</w>"
CONTINUED = "@@ "


class Speech2Text2Tokenizer(Tokenizer):
    """Byte pairs of the words between spaces. Without merges it only turns ids into text.

    Args:
        vocab_file: path of `vocab.json`: `{token: id}`.
        merges_file: path of `merges.txt`, a pair a line, the first to merge first; None if there is none.
        bos_token: start token.
        pad_token: padding.
        eos_token: end token.
        unk_token: stands for what the vocabulary does not have.
        do_lower_case: texts are put in lower case.
        **settings: further settings of `tokenizer_config.json`.

    Raises:
        CheckpointError: a file is not what it should be.
    """

    def __init__(
        self,
        vocab_file: str | os.PathLike[str],
        bos_token: str | None = "<s>",
        pad_token: str | None = "<pad>",
        eos_token: str | None = "</s>",
        unk_token: str | None = "<unk>",
        do_lower_case: bool = False,
        merges_file: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        loaded = settings.pop("added_tokens_decoder", {})
        settings.update(bos_token=bos_token, eos_token=eos_token, unk_token=unk_token, pad_token=pad_token)
        super().__init__({**settings, "do_lower_case": do_lower_case})
        self.encoder: dict[str, int] = read_json(vocab_file)
        if not self.encoder or not all(type(token_id) is int and token_id >= 0 for token_id in self.encoder.values()):
            raise CheckpointError(f"{vocab_file} must give each token an id, a number from 0 on; fetch it again")
        self.decoder = {token_id: token for token, token_id in self.encoder.items()}
        self._facts: tuple[Any, Detokenizer] | None = None
        self.ranks = None if merges_file is None else _ranks(Path(merges_file))
        for token_id, token in loaded.items():
            self.added_tokens.put(token_id, AddedToken.of(token))
        self.add_tokens([t for t in self.all_special_tokens if t not in self.added_tokens.ids], special_tokens=True)

    def base_vocab(self) -> dict[str, int]:
        """Return the ids of the tokens of the vocabulary proper, without added ones."""
        return self.encoder

    def base_token(self, token_id: int) -> str | None:
        """Return the vocabulary's token of an id, or None if it has none."""
        return self.decoder.get(token_id)

    def _token(self, token_id: int) -> str:
        added = self.added_tokens.by_id.get(token_id)
        return super()._token(token_id) if added is None else added.content

    def tokenize(self, text: str) -> list[str]:
        """Split a text into tokens, some of which the vocabulary may not have."""
        if self.do_lower_case:
            kept = [token.content for _, token in self.added_tokens if token.normalized and not token.special]
            whole = "|".join(map(re.escape, [*self.all_special_tokens, *kept])) or "(?!)"
            text = re.sub(f"({whole})|(.+?)", lambda match: match[1] or match[2].lower(), text)
        return super().tokenize(text)

    def split_text(self, text: str) -> list[str]:
        """Split a text into tokens.

        Raises:
            ProcessingError: the checkpoint has no merges.
        """
        if self.ranks is None:
            raise ProcessingError(f"this tokenizer has no {MERGES}, so it only turns ids into text")
        text = text.lower() if self.do_lower_case else text
        return [piece for word in text.split() for piece in self._pieces(word, self.ranks)]

    @staticmethod
    def _pieces(word: str, ranks: dict[tuple[str, ...], int]) -> list[str]:
        """Merge the pairs of a word, the ones of lowest rank first (Sennrich et al. 2016)."""
        if len(word) == 1:
            return [word]
        pieces = [*word[:-1], word[-1] + END_OF_WORD]
        while len(pieces) > 1:
            pair = min(pairwise(pieces), key=lambda pair: ranks.get(pair, len(ranks)))
            if pair not in ranks:
                break
            pieces = _merged(pieces, pair)
        return CONTINUED.join(pieces).replace(END_OF_WORD, "").split(" ")

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> Any:
        """Turn ids, `[tokens]`, into a text, or several sequences, `[batch, tokens]`, into a list of texts.

        Args:
            token_ids: a list, an array or a tensor of ids, lists of them, or one id. The unknown token stands for ids
                without a token.
            skip_special_tokens: leave special tokens out.
            clean_up_tokenization_spaces: whether to take out spaces before punctuation; None for the setting.

        Raises:
            ProcessingError: an id is negative, or no whole number.
        """
        rows, is_batch = id_rows(token_ids)
        detokenizer = self._detokenizer()
        texts = [detokenizer.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in rows]
        return texts if is_batch else texts[0]

    def batch_decode(self, sequences: Any, **options: Any) -> list[str]:
        """Decode several sequences, `[batch, tokens]` or a list of `[tokens]`, with the options of `decode`."""
        texts = self.decode(sequences, **options)
        return [texts] if isinstance(texts, str) else cast("list[str]", texts)

    def _detokenizer(self) -> Detokenizer:
        """Return `detokenizer_facts`, made anew only after a change."""
        state = (tuple(self.added_tokens), tuple(self.all_special_tokens), self.clean_up_tokenization_spaces)
        if self._facts is None or self._facts[0] != state:
            self._facts = state, self.detokenizer_facts()
        return self._facts[1]

    def detokenizer_facts(self, size: int | None = None) -> Detokenizer:
        """Return what a device needs to turn ids into text.

        Args:
            size: how many ids the model puts out; the unknown token stands for those without a token. None: as many as
                there are tokens.
        """
        by_id = self.decoder | {token_id: token.content for token_id, token in self.added_tokens}
        size = max(by_id) + 1 if size is None else size
        special = {*self.all_special_tokens}
        special_ids = {*self.all_special_ids, *(token_id for token_id, text in by_id.items() if text in special)}
        beyond = {t for t in self.extra_special_tokens if self.added_tokens.ids.get(t, -1) >= self.vocab_size}
        whole = sorted(self.added_tokens.ids.keys() - special | beyond)
        unknown = self.unk_token_id
        return Detokenizer(
            tokens=tuple(by_id.get(token_id) for token_id in range(size)),
            steps=(Step("continued", {"marker": CONTINUED, "whole": tuple(whole)}),),
            special=tuple(sorted(token_id for token_id in special_ids if token_id < size)),
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
        merges = folder / MERGES
        settings = {"merges_file": merges if merges.is_file() else None, **read_settings(folder, overrides)}
        return cls(folder / VOCABULARY, **settings)

    def save_pretrained(self, folder: str | os.PathLike[str], filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write the vocabulary, the merges and the settings; return the paths."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        paths = [*write_settings(target, prefix, self, {"do_lower_case": self.do_lower_case})]
        write_json(target / f"{prefix}{VOCABULARY}", self.encoder)
        paths.append(str(target / f"{prefix}{VOCABULARY}"))
        if self.ranks is not None:
            path = target / f"{prefix}{MERGES}"
            path.write_text("".join(f"{' '.join(pair)}\n" for pair in self.ranks), encoding="utf-8")
            paths.append(str(path))
        return tuple(paths)


def _ranks(path: Path) -> dict[tuple[str, ...], int]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    return {tuple(line.split()[:2]): rank for rank, line in enumerate(lines)}


def _merged(pieces: list[str], pair: tuple[str, ...]) -> list[str]:
    """Merge a pair wherever it stands, from the left."""
    merged: list[str] = []
    index = 0
    while index < len(pieces):
        size = 2 if tuple(pieces[index : index + 2]) == pair else 1
        merged.append("".join(pieces[index : index + size]))
        index += size
    return merged
