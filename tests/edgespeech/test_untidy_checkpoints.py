"""Small untidiness of published checkpoints that everybody's tools read."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from edgespeech_runtime.ctc.greedy import collapse
from edgespeech_runtime.tasks.ctc import spell
from published import make_twin

import edgespeech
from edgespeech import AutoTokenizer, Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2ForSequenceClassification
from edgespeech.errors import ConfigError

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def write(folder: Path, **files: Any) -> Path:
    """Write JSON files."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_labels_that_are_numbers(tmp_path: Path) -> None:
    config = {"id2label": {"0": 0}, "label2id": {"0": 0}}
    folder = make_twin(tmp_path, "superb/wav2vec2-base-superb-sid", **config)
    model = Wav2Vec2ForSequenceClassification.from_pretrained(folder)
    assert model.labels == ("0",)
    assert model.config.num_labels == 1
    assert Wav2Vec2Config(id2label={0: 1.5, 1: "b"}).id2label == {0: "1.5", 1: "b"}
    with pytest.raises(ConfigError, match=r"must name class 0 by a text, got \['a'\]"):
        Wav2Vec2Config(id2label={0: ["a"]})


@pytest.mark.parametrize(
    ("named", "decoder", "kind"),
    [
        ("speech_to_text_2", "speech_to_text_2", "Speech2Text2Tokenizer"),
        ("Speech2Text2Tokenizer", "speech_to_text_2", "Speech2Text2Tokenizer"),
        ("mbart50", "mbart", "MBart50Tokenizer"),
    ],
)
def test_a_tokenizer_that_only_the_model_configuration_names(
    tmp_path: Path, named: str, decoder: str, kind: str
) -> None:
    """As in facebook/s2t-wav2vec2-large-en-de, whose conversion wrote a model's type as the tokenizer's class."""
    config = {"model_type": "speech-encoder-decoder", "decoder": {"model_type": decoder}, "encoder": {}}
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "ha@@": 4, "llo": 5}
    write(tmp_path, config={**config, "tokenizer_class": named}, vocab=vocabulary)
    from edgespeech.processing.auto import _tokenizer

    assert _tokenizer(tmp_path) == kind
    if kind == "Speech2Text2Tokenizer":
        assert AutoTokenizer.from_pretrained(tmp_path).decode([0, 4, 5, 2], skip_special_tokens=True) == "hallo"


@pytest.mark.parametrize("other", ["bos_token", "eos_token", "unk_token"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_special_token_that_shares_the_id_of_the_blank(tmp_path: Path, other: str, is_first: bool) -> None:
    shared = ["<pad>", SPECIAL[other]] if is_first else [SPECIAL[other], "<pad>"]
    rest = [token for token in SPECIAL.values() if token not in shared]
    vocabulary = dict.fromkeys(shared, 0) | {token: n for n, token in enumerate([*rest, "|", "A", "B"], 1)}
    write(tmp_path, vocab=vocabulary, tokenizer_config=SPECIAL)
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path)
    ids = [vocabulary[token] for token in ("A", "A", "<pad>", "A", "|", "<pad>", "|", "B", "<pad>")]
    facts = tokenizer.vocabulary_facts(size=6)
    assert tokenizer.decode(ids) == spell(collapse(ids, facts.blank, skip=facts.special), facts) == "AA  B"
    assert facts.blank == tokenizer.pad_token_id == 0


def test_the_blank_as_another_special_token(tmp_path: Path) -> None:
    vocabulary = {"<pad>": 0, "|": 1, "A": 2, "<unk>": 3}
    write(tmp_path, vocab=vocabulary, tokenizer_config={**SPECIAL, "bos_token": "<pad>", "eos_token": "<pad>"})
    mine, theirs = (
        Wav2Vec2CTCTokenizer.from_pretrained(tmp_path),
        transformers.Wav2Vec2CTCTokenizer.from_pretrained(tmp_path),
    )
    facts = mine.vocabulary_facts(size=4)
    ids = [2, 2, 0, 2, 1, 0, 2]
    assert mine.decode(ids) == theirs.decode(ids) == "AA A"
    assert spell(collapse(ids, facts.blank, skip=facts.special), facts) == "AA A"


def test_warnings_are_one_line_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    from edgespeech.cli.errors import say_warning

    say_warning(UserWarning("x is left\nout"), UserWarning, "file.py", 3)
    say_warning(DeprecationWarning("old"), DeprecationWarning, "file.py", 3)
    assert capsys.readouterr().err == "edgespeech: warning: x is left out\n"


def test_names_of_the_package() -> None:
    assert edgespeech.Wav2Vec2PhonemeCTCTokenizer.__name__ in edgespeech.__all__
