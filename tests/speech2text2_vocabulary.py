"""Write goldens/speech2text2_vocabulary.json: what Speech2Text2's tokenizer in transformers 4 makes of ids and texts.

Version 5 no longer has that tokenizer, so this runs in an environment of its own:

    python -m venv old && old/bin/pip install "transformers==4.46.3"
    PYTHONPATH=tests old/bin/python tests/speech2text2_vocabulary.py

Texts and ids are random but the same everywhere; the file holds digests of all answers and the first few answers.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import text_vocabularies

PLACE = Path(__file__).parent / "goldens" / "speech2text2_vocabulary.json"
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SHOWN = 25
DECODE = [
    {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
    for skip in (False, True)
    for clean in (None, False, True)
]


def added(content, **flags):
    plain = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": False}
    return {"content": content, **plain, **flags}


def settings(size):
    """Contents of tokenizer_config.json by name; `size` tokens are in the vocabulary."""
    tokens = {
        size: added("<ent>", special=True),
        size + 1: added("<add>", normalized=True, lstrip=True),
        size + 2: added("Added Token", rstrip=True),
        size + 3: added("single", single_word=True, normalized=True),
        0: added("<s>", special=True),
    }
    name = {"tokenizer_class": "Speech2Text2Tokenizer"}
    return {
        "plain": name,
        "lower": {**name, "do_lower_case": True, "model_max_length": 20},
        "clean": {**name, "clean_up_tokenization_spaces": True, "additional_special_tokens": ["<x>", "de@@"]},
        "added": {
            **name,
            "added_tokens_decoder": tokens,
            "additional_special_tokens": ["<ent>"],
            "do_lower_case": True,
        },
        "renamed": {**name, "pad_token": "<blank>", "mask_token": "<mask>", "unk_token": "<s>"},
    }


def write_folder(folder, config, golden):
    text_vocabularies.write_json(folder / "vocab.json", golden["vocab"])
    (folder / "merges.txt").write_text("\n".join(golden["merges"]) + "\n", encoding="utf-8")
    text_vocabularies.write_json(folder / "tokenizer_config.json", config)
    return folder


def digest(answers):
    return hashlib.sha256(json.dumps(answers, ensure_ascii=True).encode()).hexdigest()


def ids(name, size, special):
    """Random id sequences, ten thousand for the settings with everything; some ids are past the vocabulary."""
    return text_vocabularies.random_ids(size + 10, special, 10_000 if name == "added" else 1000, seed=7)


def summary(answers):
    return {"digest": digest(answers), "first": answers[:SHOWN]}


def answers(name, tokenizer):
    """All answers of a tokenizer with the settings of this name."""
    size, special = len(tokenizer), sorted(tokenizer.all_special_ids)
    found = {
        "length": size,
        "special": [tokenizer.special_tokens_map, sorted(tokenizer.all_special_ids)],
        "encode": summary([tokenizer(text)["input_ids"] for text in text_vocabularies.texts(1000, seed=3)]),
    }
    for options in DECODE:
        texts = tokenizer.batch_decode(ids(name, size, special), **options)
        found[f"decode {json.dumps(options)}"] = summary(texts)
    return found


def main():
    from transformers import Speech2Text2Tokenizer

    vocab, merges = text_vocabularies.suffix_pairs(SPECIAL)
    golden = {"vocab": vocab, "merges": merges}
    for name, config in settings(len(vocab)).items():
        with tempfile.TemporaryDirectory() as folder:
            loaded = Speech2Text2Tokenizer.from_pretrained(write_folder(Path(folder), config, golden))
        found = answers(name, loaded)
        extra = found["special"][0].pop("additional_special_tokens", [])
        golden[name] = {**found, "extra": extra}
    PLACE.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
