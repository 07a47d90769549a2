"""Tokenizers of mBART and mBART-50: sentencepiece's unigram model and a token for each language.

The vocabulary comes from `tokenizer.json` or `sentencepiece.bpe.model`. In the latter, ids are those of fairseq: its
four special tokens stand before the pieces, the languages and the mask behind.
"""

import base64
from collections.abc import Mapping
from typing import Any, cast

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from edgespeech.errors import ProcessingError
from edgespeech.processing.folder import SENTENCE_PIECES
from edgespeech.processing.tokenizers.backend import PreTrainedTokenizerFast
from edgespeech.processing.tokenizers.backend_files import Settings, Token, TokenizerFiles
from edgespeech.processing.tokenizers.sentencepiece_model import CONTROL, USER_DEFINED, read_sentencepiece

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
UNKNOWN = 3  # its id, in all of these vocabularies
Piece = tuple[str, float]

LANGUAGES_25 = (
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP nl_XX "
    "ro_RO ru_RU si_LK tr_TR vi_VN zh_CN"
)
LANGUAGES_50 = (
    f"{LANGUAGES_25} af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX "
    "sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"
)


class MBartTokenizer(PreTrainedTokenizerFast):
    """Unigram pieces; the end token and then the language stand behind a text.

    `src_lang` is the language of `text`, `tgt_lang` that of `text_target`; both may be set at any time.
    """

    DEFAULTS: Mapping[str, Any] = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "src_lang": None,
        "tgt_lang": None,
    }
    LANGUAGES = tuple(LANGUAGES_25.split())
    FIRST = "bos_token"  # what has the id 0

    def __init__(self, files: TokenizerFiles) -> None:
        self._source = files.settings["src_lang"] or "en_XX"
        self.tgt_lang: str | None = files.settings["tgt_lang"]
        mask = files.named.get("mask_token")
        if isinstance(mask, str):
            files.named["mask_token"] = tokenizers.AddedToken(mask, lstrip=True, rstrip=False)
        super().__init__(files)

    def _build(self, files: TokenizerFiles) -> tokenizers.Tokenizer:
        if files.serialized is not None and files.model("Unigram") is None:
            return super()._build(files)
        pieces, normalizer = self._pieces(files)
        backend = tokenizers.Tokenizer(models.Unigram(pieces, UNKNOWN, False))
        self._set_splitting(backend, normalizer)
        backend.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always", split=True)
        return backend

    def _pieces(self, files: TokenizerFiles) -> tuple[list[Piece], bytes | None]:
        """Return pieces with their log probabilities (index = id), and the normaliser's table, if there is one."""
        model = files.model("Unigram")
        if model is not None:
            return [(str(text), float(score)) for text, score in model["vocab"]], _normalizer(files.serialized or {})
        spm = read_sentencepiece(files.path(SENTENCE_PIECES))
        files.additional = [
            tokenizers.AddedToken(piece.text, normalized=False, special=piece.kind == CONTROL)
            for piece in spm.pieces
            if piece.kind in (CONTROL, USER_DEFINED)
        ]
        return self._in_fairseq_order(files, [(piece.text, piece.score) for piece in spm.pieces]), spm.normalizer

    def _in_fairseq_order(self, files: TokenizerFiles, pieces: list[Piece]) -> list[Piece]:
        """Put pieces in sentencepiece's own order, which begins with three special ones, into fairseq's."""
        before = [(str(files.token(name)), 0.0) for name in (self.FIRST, "pad_token", "eos_token", "unk_token")]
        behind = [*self.LANGUAGES, str(files.token("mask_token"))]
        return [*before, *pieces[3:], *((text, 0.0) for text in behind)]

    def _set_splitting(self, backend: tokenizers.Tokenizer, normalizer: bytes | None) -> None:
        """Split at white space; the model's own normaliser is not used."""
        metaspace = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])

    def _extra(self, files: TokenizerFiles) -> list[Token]:
        if files.extra is not None:
            return files.extra
        return [*self.LANGUAGES, *(token for token in files.additional if token not in self.LANGUAGES)]

    @property
    def lang_code_to_id(self) -> dict[str, int]:
        """The ids of the languages; that of `unk_token` where the vocabulary has no token for one."""
        return {code: cast("int", self.convert_tokens_to_ids(code)) for code in self.LANGUAGES}

    def languages(self) -> dict[str, int]:
        """Return the ids of the tokens that name a language, by its name ("de_DE")."""
        present = {name: token_id for name, token_id in self.lang_code_to_id.items() if token_id != self.unk_token_id}
        return {**super().languages(), **present}

    @property
    def src_lang(self) -> str:
        """The language of `text`."""
        return self._source

    @src_lang.setter
    def src_lang(self, language: str) -> None:
        self._source = language
        self._use_language(language)

    def _set_template(self) -> None:
        self._use_language(self._source)

    def _use_language(self, language: str) -> None:
        """Let the tokens of this language stand around a text.

        Raises:
            ProcessingError: the vocabulary has no token for it.
        """
        if self.backend_tokenizer.token_to_id(language) is None:
            expected = ", ".join(self.languages())
            raise ProcessingError(f"language {language!r} is not in the vocabulary; choose one of {expected}")
        self._put_around(*self._around(language))

    def _around(self, language: str) -> tuple[list[str], list[str]]:
        return [], [str(self.eos_token), language]

    def _encode(
        self, texts: list[str], limit: int | None, add_special_tokens: bool, is_target: bool
    ) -> dict[str, list[list[int]]]:
        if not is_target:
            return super()._encode(texts, limit, add_special_tokens, is_target)
        self.tgt_lang = self.tgt_lang or self._source
        self._use_language(self.tgt_lang)
        try:
            return super()._encode(texts, limit, add_special_tokens, is_target)
        finally:
            self._use_language(self._source)

    def _own_settings(self) -> Settings:
        return {**super()._own_settings(), "src_lang": self._source, "tgt_lang": self.tgt_lang}


class MBart50Tokenizer(MBartTokenizer):
    """Unigram pieces of normalised text; the language stands before a text and the end token behind it."""

    DEFAULTS: Mapping[str, Any] = {
        name: value for name, value in MBartTokenizer.DEFAULTS.items() if name != "bos_token"
    }
    LANGUAGES = tuple(LANGUAGES_50.split())
    FIRST = "cls_token"

    def __init__(self, files: TokenizerFiles) -> None:
        super().__init__(files)
        missing = [code for code in self.LANGUAGES if code not in self.extra_special_tokens]
        self.extra_special_tokens = [*self.extra_special_tokens, *missing]

    def _pieces(self, files: TokenizerFiles) -> tuple[list[Piece], bytes | None]:
        """Return what the base class does; a vocabulary without languages is in sentencepiece's own order."""
        pieces, normalizer = super()._pieces(files)
        if not any(text in self.LANGUAGES for text, _ in pieces):
            pieces = self._in_fairseq_order(files, pieces)
        return pieces, normalizer

    def _set_splitting(self, backend: tokenizers.Tokenizer, normalizer: bytes | None) -> None:
        """Normalise as sentencepiece does, and split at spaces."""
        steps: list[Any] = [] if normalizer is None else [normalizers.Precompiled(normalizer)]
        steps.append(normalizers.Replace(tokenizers.Regex(" {2,}"), " "))
        backend.normalizer = normalizers.Sequence(steps)
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=True)

    def _extra(self, files: TokenizerFiles) -> list[Token]:
        return [*files.additional, *self.LANGUAGES] if files.extra is None else files.extra

    def _around(self, language: str) -> tuple[list[str], list[str]]:
        return [language], [str(self.eos_token)]


def _normalizer(serialized: Mapping[str, Any]) -> bytes | None:
    """Return the table of the first normaliser that has one."""
    normalizer = serialized.get("normalizer") or {}
    steps = normalizer["normalizers"] if normalizer.get("type") == "Sequence" else [normalizer]
    tables = (step["precompiled_charsmap"] for step in steps if step.get("type") == "Precompiled")
    return next((base64.b64decode(table) for table in tables if table), None)
