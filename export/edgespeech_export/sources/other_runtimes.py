"""Files by which other people's runtimes prepare audio and write text, in the formats of a checkpoint folder.

Here are the configurations and the tokenizer; tables of tokens for onnx-asr and sherpa-onnx are in `interchange`.
"""

from pathlib import Path
from typing import Any

from edgespeech_runtime.bundle.manifest import Vocabulary

from edgespeech.checkpoint import read_json, write_json
from edgespeech.configuration import CONFIG
from edgespeech.processing import Wav2Vec2FeatureExtractor
from edgespeech.processing.folder import PREPROCESSOR_CONFIG, TOKENIZER_CONFIG, TOKENIZER_FILE, VOCABULARY
from edgespeech.processing.tokenizers.ctc import Wav2Vec2CTCTokenizer
from edgespeech_export.sources.source import Source


def write_configs(folder: Path, source: Source, processor: str | None = None, **facts: Any) -> None:
    """Write `config.json` with further `facts`, and `preprocessor_config.json` with the class of the processor."""
    write_json(folder / CONFIG, {**source.model.config.to_dict(), **facts})
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(source.folder).to_dict()
    named = {} if processor is None else {"processor_class": processor}
    write_json(folder / PREPROCESSOR_CONFIG, {**extractor, **named})


def write_tokenizer(folder: Path, tokenizer: Wav2Vec2CTCTokenizer, vocabulary: Vocabulary) -> None:
    """Write `vocab.json` and `tokenizer_config.json`, and the same as `tokenizer.json`.

    The vocabulary is that of the one language that was exported.
    """
    tokenizer.save_pretrained(folder)
    write_json(folder / VOCABULARY, {token: index for index, token in enumerate(vocabulary.tokens) if token})
    write_json(folder / TOKENIZER_CONFIG, {**read_json(folder / TOKENIZER_CONFIG), "target_lang": None})
    write_json(folder / TOKENIZER_FILE, serialized(vocabulary, tokenizer.unk_token or "<unk>"))


def serialized(vocabulary: Vocabulary, unknown: str) -> dict[str, Any]:
    """Return the vocabulary as the library tokenizers stores it, with its decoder for CTC.

    Special tokens are skipped before repeats merge, the blank afterwards; so the blank must not be among the special
    ones. Lower case and the space between phonemes are in the tokens themselves.
    """
    names = _names(vocabulary)
    special = [index for index in range(len(names)) if index in vocabulary.special and index != vocabulary.blank]
    ctc = {"type": "CTC", "pad_token": names[vocabulary.blank], "word_delimiter_token": "|", "cleanup": False}
    steps: list[dict[str, Any]] = [ctc, {"type": "Fuse"}]
    delimiter = vocabulary.delimiter_id
    if delimiter is not None:
        ctc["word_delimiter_token"] = names[delimiter]
        pattern = {"String": names[delimiter]}
        steps.append({"type": "Replace", "pattern": pattern, "content": vocabulary.replace_word_delimiter})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(index, names[index]) for index in special],
        "normalizer": None if delimiter is None else _replace(" ", names[delimiter]),
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated", "invert": False},
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": steps},
        "model": {
            "type": "WordLevel",
            "vocab": {name: index for index, name in enumerate(names)},
            "unk_token": unknown,
        },
    }


def _names(vocabulary: Vocabulary) -> list[str]:
    """A name for each id, no two of them equal: what the token writes, where that is nobody else's name."""
    unspoken = {*vocabulary.special, vocabulary.blank, vocabulary.delimiter_id}
    names: list[str] = []
    taken = {token for index, token in enumerate(vocabulary.tokens) if index in unspoken}
    for index, token in enumerate(vocabulary.tokens):
        name = token
        if index not in unspoken:
            name = vocabulary.separator + (token.lower() if vocabulary.lower_case else token)
            name = token if name in taken else name
        name = f"<{index}>" if not name or name in names else name
        names.append(name)
        taken.add(name)
    return names


def _special(index: int, name: str) -> dict[str, Any]:
    sides = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": name, **sides, "special": True}


def _replace(old: str, new: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": old}, "content": new}
