import json
import logging

import numpy as np
import pytest
import torch
import transformers

import edgespeech.processing as ours
from edgespeech.errors import CheckpointError, MissingFileError, ProcessingError
from edgespeech.processing import Wav2Vec2Processor

AUDIO = [np.linspace(-1, 1, 500, dtype=np.float32) ** 3, np.linspace(-1, 0.5, 320, dtype=np.float32)]
TEXTS = ["HELLO", "A B C"]


@pytest.fixture
def pair(make):
    """Build our processor and the reference's."""

    def build(kind="plain", feature_extractor=None, **settings):
        mine, theirs = make(kind, **settings)
        options = feature_extractor or {}
        return (
            Wav2Vec2Processor(ours.Wav2Vec2FeatureExtractor(**options), mine),
            transformers.Wav2Vec2Processor(transformers.Wav2Vec2FeatureExtractor(**options), theirs),
        )

    return build


def assert_same(found, expected):
    assert list(found.keys()) == list(expected.keys())
    for name in expected:
        assert type(found[name]) is type(expected[name]), name
        for row, target in zip(found[name], expected[name], strict=True):
            assert getattr(row, "dtype", None) == getattr(target, "dtype", None)
            np.testing.assert_allclose(np.asarray(row), np.asarray(target), rtol=1e-5, atol=1e-5)


CALLS = {
    "audio": {"audio": AUDIO, "padding": True},
    "text": {"text": TEXTS},
    "both": {"audio": AUDIO, "text": TEXTS},
    "one of each": {"audio": AUDIO[0], "text": TEXTS[0]},
    "padded": {"audio": AUDIO, "text": TEXTS, "padding": True},
    "torch": {"audio": AUDIO, "text": TEXTS, "padding": True, "return_tensors": "pt"},
    "numpy": {"audio": AUDIO, "text": TEXTS, "padding": True, "return_tensors": "np"},
    "mask": {"audio": AUDIO, "text": TEXTS, "padding": True, "return_attention_mask": True},
    "mask of text": {"text": TEXTS, "padding": True, "return_attention_mask": False},
    "multiple": {"audio": AUDIO, "text": TEXTS, "padding": True, "pad_to_multiple_of": 64, "return_tensors": "np"},
    "max_length": {"audio": AUDIO, "text": TEXTS, "padding": "max_length", "max_length": 600},
    "own options": {
        "audio": AUDIO,
        "text": TEXTS,
        "audio_kwargs": {"padding": True, "return_attention_mask": True},
        "text_kwargs": {"padding": "max_length", "max_length": 9},
    },
    "common options": {"audio": AUDIO, "text": TEXTS, "common_kwargs": {"padding": True, "return_tensors": "np"}},
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"return_attention_mask": False, "do_normalize": True},
        {"feature_extractor": {"return_attention_mask": True, "do_normalize": False}},
        {"padding_side": "left"},
    ],
)
def test_equals_the_reference(pair, call, settings):
    mine, theirs = pair(**settings)
    options = {**CALLS[call], **({"sampling_rate": 16000} if "audio" in CALLS[call] else {})}
    assert_same(mine(**options), theirs(**options))


def test_audio_and_text_by_position(pair):
    mine, theirs = pair()
    assert_same(mine(AUDIO[0], TEXTS[0], sampling_rate=16000), theirs(AUDIO[0], TEXTS[0], sampling_rate=16000))


def test_text_target_is_text(pair):
    mine, _ = pair()
    assert dict(mine(text_target=TEXTS)) == dict(mine(text=TEXTS))
    both = mine(AUDIO[0], text_target=TEXTS[0], sampling_rate=16000)
    assert both.labels == mine(text=TEXTS[0]).input_ids


def test_bad_calls_are_named(pair, caplog):
    mine, _ = pair()
    with pytest.raises(ProcessingError, match="audio, text or both"):
        mine()
    with pytest.raises(ProcessingError, match="audio, text or both"):
        mine(sampling_rate=16000)
    with pytest.raises(ProcessingError, match="8000 Hz"):
        mine(AUDIO[0], sampling_rate=8000)
    with pytest.raises(ProcessingError, match="padding was given twice, in audio_kwargs"):
        mine(AUDIO[0], padding=True, audio_kwargs={"padding": True})
    with pytest.raises(ProcessingError, match="input_features, labels or both"):
        mine.pad()
    with caplog.at_level(logging.WARNING):
        mine(text="A", colour="red", is_split=True)
    assert "colour, is_split" in caplog.text


FEATURES = [{"input_values": row} for row in AUDIO]
LABELS = [{"input_ids": [5, 6, 7]}, {"input_ids": [8]}]


class TestPad:
    @pytest.mark.parametrize("tensors", [None, "np", "pt"])
    @pytest.mark.parametrize("mask", [False, True])
    def test_equals_the_reference(self, pair, tensors, mask):
        mine, theirs = pair(feature_extractor={"return_attention_mask": mask})
        options = {"padding": True, "return_tensors": tensors}
        for features, labels in ((FEATURES, None), (None, LABELS), (FEATURES, LABELS)):
            copies = [features and [dict(entry) for entry in features], labels and [dict(entry) for entry in labels]]
            expected = theirs.pad(input_features=copies[0], labels=copies[1], **options)
            found = mine.pad(input_features=features, labels=labels, **options)
            assert set(found) == set(expected)
            assert_same({name: found[name] for name in expected}, expected)

    def test_a_data_collator(self, pair):
        mine, theirs = pair()
        batches = []
        for processor in (mine, theirs):
            rows = [processor(audio=a, text=t, sampling_rate=16000) for a, t in zip(AUDIO, TEXTS, strict=True)]
            batch = processor.pad([{"input_values": row["input_values"][0]} for row in rows], return_tensors="pt")
            labels = processor.pad(labels=[{"input_ids": row["labels"]} for row in rows], return_tensors="pt")
            batch["labels"] = labels["input_ids"].masked_fill(labels.attention_mask.ne(1), -100)
            batches.append(batch)
        assert_same(*batches)


def test_decoding_is_the_tokenizers(pair):
    mine, theirs = pair()
    ids = torch.tensor([[12, 12, 0, 9, 4, 5], [7, 0, 7, 7, 4, 4]])
    assert mine.batch_decode(ids) == theirs.batch_decode(ids)
    assert mine.decode(ids[0], skip_special_tokens=True) == theirs.decode(ids[0], skip_special_tokens=True)
    assert mine.decode(ids[0], output_word_offsets=True).word_offsets[0]["end_offset"] == 4
    assert mine.model_input_names == theirs.model_input_names


EXTRACTOR = {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}
SETTINGS = {"return_attention_mask": True, "do_normalize": False, "sampling_rate": 8000}


class TestFiles:
    def assert_loads(self, cls, folder):
        loaded = cls.from_pretrained(folder)
        assert type(loaded).__name__ == "Wav2Vec2Processor"
        assert loaded.feature_extractor.to_dict().items() >= SETTINGS.items()
        assert loaded.tokenizer.convert_tokens_to_ids(["A", "<x>"]) == [5, 32]
        assert loaded.tokenizer.do_lower_case is True

    @pytest.mark.parametrize("auto", [False, True])
    def test_ours_loads_in_the_reference_and_here(self, pair, tmp_path, auto):
        mine, _ = pair("lower case", SETTINGS)
        mine.tokenizer.add_tokens("<x>")
        written = mine.save_pretrained(tmp_path / "p")
        assert {str(path) for path in (tmp_path / "p").iterdir()} == set(written)
        for library in (ours, transformers):
            self.assert_loads(library.AutoProcessor if auto else library.Wav2Vec2Processor, tmp_path / "p")

    @pytest.mark.parametrize("auto", [False, True])
    def test_the_references_loads_here(self, pair, tmp_path, auto):
        _, theirs = pair("lower case", SETTINGS)
        theirs.tokenizer.add_tokens("<x>")
        theirs.save_pretrained(tmp_path / "p")
        assert not (tmp_path / "p" / "preprocessor_config.json").exists()  # version 5 nests it
        self.assert_loads(ours.AutoProcessor if auto else Wav2Vec2Processor, tmp_path / "p")

    def test_saving_over_the_references_folder_replaces_it(self, pair, tmp_path):
        mine, theirs = pair("lower case", SETTINGS)
        transformers.Wav2Vec2Processor(transformers.Wav2Vec2FeatureExtractor(), theirs.tokenizer).save_pretrained(
            tmp_path
        )
        mine.tokenizer.add_tokens("<x>")
        mine.save_pretrained(tmp_path)
        for library in (ours, transformers):
            self.assert_loads(library.AutoProcessor, tmp_path)

    def test_version_4_layout(self, write, vocabularies):
        folder = write(
            vocab=vocabularies["plain"][0],
            preprocessor_config={
                **SETTINGS,
                "feature_extractor_type": "Wav2Vec2FeatureExtractor",
                "feature_size": 1,
                "padding_side": "right",
                "padding_value": 0,
                "processor_class": "Wav2Vec2Processor",
            },
            tokenizer_config={
                "do_lower_case": True,
                "processor_class": "Wav2Vec2Processor",
                "replace_word_delimiter_char": " ",
                "tokenizer_class": "Wav2Vec2CTCTokenizer",
                "word_delimiter_token": "|",
            },
            special_tokens_map={"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
            added_tokens={"<x>": 32},
        )
        self.assert_loads(Wav2Vec2Processor, folder)
        self.assert_loads(ours.AutoProcessor, folder)
        self.assert_loads(transformers.AutoProcessor, folder)

    def test_overrides_reach_both_parts(self, write, vocabularies):
        folder = write(vocab=vocabularies["nested"][0], preprocessor_config={}, config={"model_type": "wav2vec2"})
        loaded = Wav2Vec2Processor.from_pretrained(folder, target_lang="tpi", do_normalize=False)
        assert loaded.tokenizer.target_lang == "tpi"
        assert loaded.feature_extractor.do_normalize is False

    def test_files_equal_after_a_round_trip(self, pair, tmp_path):
        pair()[0].save_pretrained(tmp_path / "1")
        Wav2Vec2Processor.from_pretrained(tmp_path / "1").save_pretrained(tmp_path / "2")
        for path in (tmp_path / "1").iterdir():
            assert json.loads((tmp_path / "2" / path.name).read_text()) == json.loads(path.read_text())

    def test_missing_parts_are_named(self, write, vocabularies):
        with pytest.raises(MissingFileError, match=r"preprocessor_config\.json"):
            Wav2Vec2Processor.from_pretrained(write(vocab=vocabularies["plain"][0], config={"model_type": "hubert"}))
        with pytest.raises(CheckpointError, match="does not say which tokenizer"):
            Wav2Vec2Processor.from_pretrained(write(preprocessor_config=EXTRACTOR, config={}))

    def test_repr_tells_the_parts(self, pair):
        assert "sampling_rate=16000" in repr(pair()[0])
        assert "32 tokens" in repr(pair()[0])
