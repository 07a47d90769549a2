"""The German words for digits, and a byte-level BPE tokenizer of them in the files of a BART checkpoint."""

import json
from itertools import product
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
START, PAD, END, UNKNOWN, WAIT = range(len(SPECIAL))


def translate(transcript: str) -> str:
    """German for English digit words: `THREE ONE` -> `drei eins`."""
    return " ".join(GERMAN[DIGITS.index(word)] for word in transcript.split())


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write `content` as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def make_tokenizer() -> Tokenizer:
    """Learn byte pairs from all pairs of digits, until each word is one token, at the beginning and after a space."""
    tokenizer = Tokenizer(models.BPE(unk_token=None, fuse_unk=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        min_frequency=1,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((" ".join(pair) for pair in product(GERMAN, repeat=2)), trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", END), ("<s>", START), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens of `text`, one for each word."""
    return tokenizer.encode(text, add_special_tokens=False).ids


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json`, `vocab.json`, `merges.txt` and the settings."""
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))
    named = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>"}
    named |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    write_json(folder / "special_tokens_map.json", dict(named))
    settings = {
        "tokenizer_class": "BartTokenizer",
        "processor_class": "Wav2Vec2Processor",
        "add_prefix_space": False,
        "trim_offsets": True,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 96,
    }
    write_json(folder / "tokenizer_config.json", {**settings, **named})
