"""The twin of an espeak checkpoint: a bundle keeps its phonemes apart."""

import json
from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
import transformers
from edgespeech_export import ExportOptions, export
from published import make_twin

PHONEMES = [
    "n",
    "s",
    "t",
    "ə",
    "l",
    "a",
    "i",
    "k",
    "d",
    "m",
    "ɛ",
    "ɾ",
    "e",
    "ɪ",
    "p",
    "o",
    "ɐ",
    "z",
    "ð",
    "f",
    "tʃ",
    "oʊ",
]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    tokens = [*SPECIAL, *PHONEMES]
    folder = make_twin(
        tmp_path_factory.mktemp("espeak"), "facebook/wav2vec2-lv-60-espeak-cv-ft", vocab_size=len(tokens)
    )
    settings = {
        "do_phonemize": True,
        "phone_delimiter_token": " ",
        "phonemizer_backend": "espeak",
        "phonemizer_lang": "en-us",
        "tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer",
        "word_delimiter_token": None,
        **{
            f"{name}_token": f"<{text}>" for name, text in (("bos", "s"), ("eos", "/s"), ("unk", "unk"), ("pad", "pad"))
        },
    }
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").unlink()
    return folder


def test_phonemes_stay_apart(checkpoint: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "bundle", ExportOptions())
    reference = transformers.AutoTokenizer.from_pretrained(checkpoint)
    audio = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    with edgespeech_runtime.load(tmp_path / "bundle") as model:
        ids = [token for token in model.logits(audio).argmax(-1).tolist() if token not in (1, 2, 3)]
        found = model.transcribe(audio)
    assert found.text == reference.decode(ids)
    assert len(found.text.split()) > 5
    assert [word.text for word in found.words] == found.text.split()
    lines = (tmp_path / "bundle" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "<blk> 0"
    assert lines[4 + PHONEMES.index("tʃ")] == f"▁tʃ {4 + PHONEMES.index('tʃ')}"
