"""Tokenizers of BERT (WordPiece), GPT-2 and BART (byte-level byte pairs), from `tokenizer.json` or the older files.

Of `tokenizer.json` they take vocabulary and merges; how text is split, the settings say, as in version 5 of
transformers.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from edgespeech.processing.folder import MERGES, VOCABULARY, WORD_PIECES
from edgespeech.processing.tokenizers.backend import PreTrainedTokenizerFast
from edgespeech.processing.tokenizers.backend_files import TokenizerFiles


class BertTokenizer(PreTrainedTokenizerFast):
    """WordPiece tokens of words, which spaces and punctuation separate."""

    DEFAULTS: Mapping[str, Any] = {
        "do_lower_case": True,
        "tokenize_chinese_chars": True,
        "strip_accents": None,
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    }
    model_input_names = ("input_ids", "token_type_ids", "attention_mask")

    def _build(self, files: TokenizerFiles) -> tokenizers.Tokenizer:
        if files.serialized is not None and files.model("WordPiece") is None:
            return super()._build(files)
        model = files.model("WordPiece")
        vocab = models.WordPiece.read_file(str(files.path(WORD_PIECES))) if model is None else model["vocab"]
        backend = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token=str(self.unk_token)))
        backend.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=bool(files.settings["tokenize_chinese_chars"]),
            strip_accents=files.settings["strip_accents"],
            lowercase=self.do_lower_case,
        )
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece(prefix="##")
        return backend

    def _set_template(self) -> None:
        self._put_around([str(self.cls_token)], [str(self.sep_token)])


class ByteLevelTokenizer(PreTrainedTokenizerFast):
    """What GPT-2 and BART share: byte pairs of bytes, a space belonging to the word after it."""

    def _build(self, files: TokenizerFiles) -> tokenizers.Tokenizer:
        if files.serialized is not None and files.model("BPE") is None:
            return super()._build(files)
        vocab, merges = _vocabulary_and_merges(files)
        backend = tokenizers.Tokenizer(
            models.BPE(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False)
        )
        prefix = bool(files.settings["add_prefix_space"])
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
        backend.decoder = decoders.ByteLevel()
        written = (files.serialized or {}).get("post_processor")
        if written is not None:
            backend.post_processor = _post_processor(written)
        return backend


class GPT2Tokenizer(ByteLevelTokenizer):
    """Byte-level byte pairs with no tokens around a text, but for a start where `add_bos_token` is set."""

    DEFAULTS: Mapping[str, Any] = {
        "add_prefix_space": False,
        "unk_token": "<|endoftext|>",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": None,
    }


class RobertaTokenizer(ByteLevelTokenizer):
    """Byte-level byte pairs between `cls_token` and `sep_token`, as RoBERTa and BART have them."""

    DEFAULTS: Mapping[str, Any] = {
        "add_prefix_space": False,
        "trim_offsets": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }

    def _set_template(self) -> None:
        start, end = (str(self.cls_token), str(self.sep_token))
        ids = self.backend_tokenizer.token_to_id
        self.backend_tokenizer.post_processor = processors.RobertaProcessing(
            (end, cast("int", ids(end))), (start, cast("int", ids(start)))
        )


class BartTokenizer(RobertaTokenizer):
    """The same under the name that BART checkpoints have for it."""


def _vocabulary_and_merges(files: TokenizerFiles) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = files.model("BPE")
    if model is None:
        vocab, merges = models.BPE.read_file(str(files.path(VOCABULARY)), str(files.path(MERGES)))
        return vocab, merges
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    return model["vocab"], [(left, right) for left, right in pairs]


def _post_processor(written: Mapping[str, Any]) -> Any:
    """Read the post-processor of `tokenizer.json`; the library does that only as part of a tokenizer."""
    parts: dict[str, Any] = dict.fromkeys(("normalizer", "pre_tokenizer", "decoder", "truncation", "padding"))
    model = {"type": "BPE", "vocab": {}, "merges": []}
    parts.update(version="1.0", added_tokens=[], post_processor=written, model=model)
    return tokenizers.Tokenizer.from_str(json.dumps(parts)).post_processor
