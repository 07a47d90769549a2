"""Speech2Text2's tokenizer against what version 4 of transformers gave; speech2text2_vocabulary.py wrote that down."""

import json

import pytest
import speech2text2_vocabulary as golden
import text_vocabularies
from edgespeech_runtime.text import Detokenizer

from edgespeech.errors import CheckpointError, MissingFileError, ProcessingError
from edgespeech.processing import AutoProcessor, AutoTokenizer, Speech2Text2Processor, Speech2Text2Tokenizer

EXPECTED = json.loads(golden.PLACE.read_text(encoding="utf-8"))
SETTINGS = golden.settings(len(EXPECTED["vocab"]))


@pytest.fixture
def load(tmp_path):
    """Load the tokenizer with the settings of a name."""

    def build(name):
        return AutoTokenizer.from_pretrained(golden.write_folder(tmp_path, SETTINGS[name], EXPECTED))

    return build


@pytest.mark.parametrize("name", SETTINGS)
def test_texts_and_ids_as_version_4_has_them(load, name):
    found = golden.answers(name, load(name))
    for question, answer in found.items():
        expected = EXPECTED[name][question]
        if isinstance(answer, dict):
            assert answer["first"] == expected["first"], question
        assert answer == expected, question


@pytest.mark.parametrize("name", SETTINGS)
def test_the_device_makes_the_same_text(load, name):
    tokenizer = load(name)
    size = len(tokenizer) + 5
    device = Detokenizer.from_json(tokenizer.detokenizer_facts(size).to_json())
    rows = golden.ids(name, len(tokenizer), sorted(tokenizer.all_special_ids))
    for options in golden.DECODE:
        texts = [device.decode(row, *options.values()) for row in rows]
        assert golden.summary(texts) == EXPECTED[name][f"decode {json.dumps(options)}"]


@pytest.mark.parametrize("name", ["lower", "clean"])
def test_saved_files_mean_the_same(load, name, tmp_path):
    load(name).save_pretrained(tmp_path / "saved")
    again = golden.answers(name, AutoTokenizer.from_pretrained(tmp_path / "saved"))
    assert {question: again[question] for question in again if question != "special"} == {
        question: EXPECTED[name][question] for question in again if question != "special"
    }
    assert again["special"][0] == EXPECTED[name]["special"][0]


def test_without_merges_it_only_decodes(tmp_path):
    folder = golden.write_folder(tmp_path, SETTINGS["plain"], EXPECTED)
    (folder / "merges.txt").unlink()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ProcessingError, match=r"no merges\.txt"):
        tokenizer("one")
    ids = [EXPECTED["vocab"]["o@@"], EXPECTED["vocab"]["n@@"], EXPECTED["vocab"]["e"], 2]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "one"


def test_words_are_made_of_the_pieces_that_merge_first(tmp_path):
    vocab = {token: index for index, token in enumerate([*golden.SPECIAL, "lo@@", "w", "l@@", "o@@", "low", "er", "a"])}
    merges = ["l o", "e r</w>", "lo w</w>", "lo w"]
    folder = golden.write_folder(tmp_path, SETTINGS["plain"], {"vocab": vocab, "merges": merges})
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("low lower loo a") == ["low", "low@@", "er", "lo@@", "o", "a"]
    assert tokenizer("low a x")["input_ids"] == [vocab["low"], vocab["a"], vocab["<unk>"]]


def test_a_token_added_later_reaches_the_text(load):
    tokenizer = load("plain")
    ids = [EXPECTED["vocab"]["o@@"], len(tokenizer)]
    assert tokenizer.decode(ids) == "o@@ <unk>".replace("@@ ", "")
    tokenizer.add_tokens(["<new>"])
    assert tokenizer.decode(ids) == "o@@ <new>"


def test_its_class_and_processor_by_the_decoders_type(tmp_path):
    folder = golden.write_folder(tmp_path, {"processor_class": "Speech2Text2Processor"}, EXPECTED)
    decoder = {"model_type": "speech_to_text_2"}
    config = {"model_type": "speech-encoder-decoder", "encoder": {"model_type": "wav2vec2"}, "decoder": decoder}
    text_vocabularies.write_json(folder / "config.json", config)
    text_vocabularies.write_json(folder / "preprocessor_config.json", {"sampling_rate": 16000})
    assert type(AutoTokenizer.from_pretrained(folder)) is Speech2Text2Tokenizer
    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor) is Speech2Text2Processor
    batch = processor([0.1, 0.5] * 400, text="one two", sampling_rate=16000)
    assert batch["labels"] == processor.tokenizer("one two")["input_ids"]
    assert processor.batch_decode([batch["labels"]]) == ["one two"]
    processor.save_pretrained(tmp_path / "saved")
    assert type(AutoProcessor.from_pretrained(tmp_path / "saved")) is Speech2Text2Processor


def test_files_that_cannot_be_used(tmp_path):
    folder = golden.write_folder(tmp_path, SETTINGS["plain"], EXPECTED)
    (folder / "merges.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(CheckpointError, match=r"merges\.txt cannot be read"):
        AutoTokenizer.from_pretrained(folder)
    text_vocabularies.write_json(folder / "vocab.json", {"a": "b"})
    with pytest.raises(CheckpointError, match="must give each token an id"):
        AutoTokenizer.from_pretrained(folder)
    (folder / "vocab.json").unlink()
    with pytest.raises(MissingFileError):
        AutoTokenizer.from_pretrained(folder)
