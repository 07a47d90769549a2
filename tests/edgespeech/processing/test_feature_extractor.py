import json
import logging

import numpy as np
import pytest
import torch
import transformers

from edgespeech.errors import CheckpointError, MissingFileError, ProcessingError
from edgespeech.processing import BatchFeature, Wav2Vec2FeatureExtractor

RATE = 16000


def speech(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal(length) * 0.1 + 0.02).astype(np.float32) for length in lengths]


def both(**settings):
    return Wav2Vec2FeatureExtractor(**settings), transformers.Wav2Vec2FeatureExtractor(**settings)


def assert_same(found, expected):
    """Same entries, and in each the same kind of container, shapes, dtypes and values."""
    assert list(found.keys()) == list(expected.keys())
    for name in expected:
        assert type(found[name]) is type(expected[name]), name
        assert len(found[name]) == len(expected[name])
        assert getattr(found[name], "dtype", None) == getattr(expected[name], "dtype", None)
        for row, target in zip(found[name], expected[name], strict=True):
            assert row.dtype == target.dtype, name
            assert row.shape == target.shape, name
            np.testing.assert_allclose(np.asarray(row), np.asarray(target), rtol=1e-5, atol=1e-5)


INPUTS = {
    "one": speech(500)[0],
    "one of float64": speech(500)[0].astype(np.float64),
    "list": speech(500, 320, 401),
    "tuple": tuple(speech(500, 320)),
    "list of one": speech(500),
    "equal lengths": speech(400, 400),
    "array": np.stack(speech(400, 400, seed=1)),
    "numbers": speech(40)[0].tolist(),
    "lists of numbers": [row.tolist() for row in speech(40, 30)],
    "silence": np.zeros(100, np.float32),
    "one sample": np.ones(1, np.float32),
}
PADDINGS = {
    "none": {},
    "longest": {"padding": True},
    "by name": {"padding": "longest"},
    "not": {"padding": "do_not_pad"},
    "max_length": {"padding": "max_length", "max_length": 600},
    "multiple": {"padding": True, "pad_to_multiple_of": 64},
    "max_length and multiple": {"padding": "max_length", "max_length": 600, "pad_to_multiple_of": 64},
    "cut": {"truncation": True, "max_length": 350},
    "cut and padded": {"padding": "max_length", "truncation": True, "max_length": 450},
    "cut to a multiple": {"padding": True, "truncation": True, "max_length": 350, "pad_to_multiple_of": 64},
    "ignored max_length": {"padding": True, "max_length": 350},
    "enum": {"padding": transformers.utils.PaddingStrategy.LONGEST},
}


@pytest.mark.parametrize("tensors", [None, "np"])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("audio", INPUTS)
def test_equals_the_reference(audio, padding, mask, tensors):
    options = {**PADDINGS[padding], "return_tensors": tensors, "sampling_rate": RATE}
    mine, theirs = both(return_attention_mask=mask)
    assert_same(mine(INPUTS[audio], **options), theirs(INPUTS[audio], **options))


@pytest.mark.parametrize("tensors", [None, "np"])
@pytest.mark.parametrize("settings", [{}, {"do_normalize": False}])
def test_rows_longer_than_max_length_stay_as_they_are(settings, tensors):
    options = {"padding": "max_length", "max_length": 350, "return_tensors": tensors, "sampling_rate": RATE}
    mine, theirs = both(**settings)
    assert_same(mine(INPUTS["list"], **options), theirs(INPUTS["list"], **options))
    batch = mine(INPUTS["list"], **options, return_attention_mask=True)  # the reference cannot do this
    assert [len(row) for row in batch.input_values] == [len(row) for row in batch.attention_mask] == [500, 350, 401]
    assert [row.sum() for row in batch.attention_mask] == [500, 320, 401]


@pytest.mark.parametrize("padding", ["longest", "max_length", "cut and padded"])
@pytest.mark.parametrize("settings", [{}, {"return_attention_mask": True}, {"do_normalize": False}])
def test_equals_the_reference_in_torch(padding, settings):
    options = {**PADDINGS[padding], "return_tensors": "pt", "sampling_rate": RATE}
    mine, theirs = both(**settings)
    assert_same(mine(INPUTS["list"], **options), theirs(INPUTS["list"], **options))


@pytest.mark.parametrize(
    "settings",
    [
        {"do_normalize": False},
        {"do_normalize": False, "padding_side": "left", "return_attention_mask": True},
        {"padding_side": "left"},
        {"padding_value": -1.5, "return_attention_mask": True},
        {"padding_value": 0.25, "do_normalize": False},
    ],
)
@pytest.mark.parametrize("padding", ["none", "longest", "max_length"])
@pytest.mark.parametrize("tensors", [None, "np"])
def test_settings_equal_the_reference(settings, padding, tensors):
    options = {**PADDINGS[padding], "return_tensors": tensors, "sampling_rate": RATE}
    mine, theirs = both(**settings)
    assert_same(mine(INPUTS["list"], **options), theirs(INPUTS["list"], **options))


def test_the_call_overrides_whether_there_is_a_mask():
    mine, theirs = both(return_attention_mask=True)
    options = {"padding": True, "return_attention_mask": False, "sampling_rate": RATE, "return_tensors": "np"}
    assert_same(mine(INPUTS["list"], **options), theirs(INPUTS["list"], **options))


def test_with_a_mask_padding_changes_no_true_sample():
    waveforms = speech(500, 123)
    batch = Wav2Vec2FeatureExtractor(return_attention_mask=True)(waveforms, padding=True, sampling_rate=RATE)
    for row, mask, waveform in zip(batch.input_values, batch.attention_mask, waveforms, strict=True):
        alone = Wav2Vec2FeatureExtractor()(waveform, sampling_rate=RATE).input_values[0]
        np.testing.assert_array_equal(row[: len(waveform)], alone)
        assert not row[len(waveform) :].any()
        assert mask.sum() == len(waveform)


def test_padding_on_the_left_keeps_the_end_of_the_utterance():
    # The reference normalises the wrong end there and overwrites true samples with padding.
    waveforms = speech(50, 30)
    mine = Wav2Vec2FeatureExtractor(return_attention_mask=True, padding_side="left")
    batch = mine(waveforms, padding=True, return_tensors="np", sampling_rate=RATE)
    alone = mine(waveforms[1], sampling_rate=RATE).input_values[0]
    np.testing.assert_array_equal(batch.input_values[1], np.concatenate([np.zeros(20, np.float32), alone]))
    np.testing.assert_array_equal(batch.attention_mask[1], [0] * 20 + [1] * 30)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float16, np.float64])
@pytest.mark.parametrize("normalize", [False, True])
def test_values_are_float32_whatever_came_in(dtype, normalize):
    audio = (speech(400)[0] * 1000).astype(dtype)
    mine, theirs = both(do_normalize=normalize)
    found = mine(audio, return_tensors="np", sampling_rate=RATE).input_values
    expected = theirs(audio.astype(np.float64), return_tensors="np", sampling_rate=RATE).input_values
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_torch_tensors_are_taken_too():
    waveforms = speech(40, 30)
    mine = Wav2Vec2FeatureExtractor()
    expected = mine(waveforms, padding=True, return_tensors="np", sampling_rate=RATE).input_values
    tensors = [torch.from_numpy(row) for row in waveforms]
    single = mine(tensors[0], sampling_rate=RATE).input_values
    np.testing.assert_array_equal(single, mine(waveforms[0], sampling_rate=RATE).input_values)
    found = mine(tensors, padding=True, return_tensors="np", sampling_rate=RATE).input_values
    np.testing.assert_array_equal(found, expected)
    pair = mine(torch.stack([tensors[1], tensors[1]]), sampling_rate=RATE).input_values
    assert [row.shape for row in pair] == [(30,), (30,)]


def test_does_not_change_its_input():
    waveform = speech(100)[0]
    before = waveform.copy()
    Wav2Vec2FeatureExtractor()(waveform, padding="max_length", max_length=200, sampling_rate=RATE)
    np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize(
    ("audio", "options", "message"),
    [
        (speech(50)[0], {"sampling_rate": 8000}, "16000 Hz.*8000 Hz"),
        (np.zeros((2, 3, 4), np.float32), {}, r"mono.*\[2, 3, 4\]"),
        ([np.zeros((2, 50), np.float32)], {}, r"mono.*\[2, 50\]"),
        ([], {}, "empty list"),
        (np.zeros(0, np.float32), {}, "at least one sample"),
        ([speech(5)[0], np.zeros(0, np.float32)], {}, "at least one sample"),
        (["a.wav"], {}, "mono audio, numbers"),
        ("a.wav", {}, "mono audio, numbers"),
        (speech(50), {"padding": "shortest"}, "'longest', 'max_length', 'do_not_pad', got 'shortest'"),
        (speech(50), {"padding": "max_length"}, "needs max_length"),
        (speech(50), {"truncation": True}, "needs max_length"),
        (speech(50), {"return_tensors": "tf"}, "return_tensors: expected one of 'np', 'pt', got 'tf'"),
        (speech(50, 40), {"return_tensors": "pt"}, "50, 40.*padding=True"),
    ],
)
def test_bad_input_is_named(audio, options, message):
    with pytest.raises(ProcessingError, match=message) as caught:
        Wav2Vec2FeatureExtractor()(audio, **{"sampling_rate": RATE, **options})
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"padding_value": None}, "padding_value"), ({"padding_side": "top"}, "padding_side.*'top'")],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ProcessingError, match=message):
        Wav2Vec2FeatureExtractor(**settings)(speech(50, 40), padding=True, sampling_rate=RATE)


def test_warns_in_the_log_if_the_rate_is_not_said(caplog):
    with caplog.at_level(logging.WARNING):
        Wav2Vec2FeatureExtractor()(speech(50)[0])
    assert "sampling_rate" in caplog.text


FEATURES = {
    "list of dicts": [{"input_values": row} for row in speech(50, 30)],
    "list of batches": [BatchFeature({"input_values": row}) for row in speech(50, 30)],
    "dict": {"input_values": speech(50, 30)},
    "lists of numbers": {"input_values": [row.tolist() for row in speech(50, 30)]},
    "tensors": {"input_values": [torch.from_numpy(row) for row in speech(50, 30)]},
    "array": {"input_values": np.stack(speech(50, 50))},
    "with a mask": {
        "input_values": speech(50, 30),
        "attention_mask": [np.ones(50, np.int32), np.ones(30, np.int32)],
    },
    "with others": [{"input_values": row, "score": 0.5, "id": 3} for row in speech(50, 30)],
}


class TestPad:
    @pytest.mark.parametrize("tensors", [None, "np", "pt"])
    @pytest.mark.parametrize("padding", ["longest", "max_length", "multiple", "cut and padded"])
    @pytest.mark.parametrize("features", FEATURES)
    def test_equals_the_reference(self, features, padding, tensors):
        options = {**PADDINGS[padding], "return_tensors": tensors}
        mine, theirs = both(return_attention_mask=True)
        given = FEATURES[features]
        expected = theirs.pad([dict(e) for e in given] if isinstance(given, list) else dict(given), **options)
        found = mine.pad(given, **options)
        assert set(found) == set(expected)
        for name in expected:
            assert type(found[name]) is type(expected[name])
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(expected[name]))

    def test_without_a_mask(self):
        mine, theirs = both()
        options = {"padding": True, "return_tensors": "np"}
        assert_same(mine.pad(FEATURES["dict"], **options), theirs.pad(dict(FEATURES["dict"]), **options))

    def test_a_mask_that_is_there_is_padded_even_if_none_is_asked_for(self):
        batch = Wav2Vec2FeatureExtractor(return_attention_mask=False).pad(FEATURES["with a mask"])
        assert batch.attention_mask.shape == (2, 50)
        assert batch.attention_mask.sum() == 80

    def test_nothing_to_pad(self):
        mine, theirs = both(return_attention_mask=True)
        assert dict(mine.pad({"input_values": []})) == dict(theirs.pad({"input_values": []}))

    @pytest.mark.parametrize(
        ("features", "message"),
        [
            ({"input_ids": [[1]]}, r"'input_values'.*\['input_ids'\]"),
            ({"input_values": speech(5, 4), "x": [1]}, "one size"),
            ([{"input_values": [1.0], "x": 1}, {"input_values": [1.0]}], "'x' is not in all"),
            (5, "mapping"),
            ([], "mapping"),
            ({"input_values": [1.0, 2.0]}, "mono"),
        ],
    )
    def test_bad_features_are_named(self, features, message):
        with pytest.raises(ProcessingError, match=message):
            Wav2Vec2FeatureExtractor().pad(features)


SETTINGS = {"sampling_rate": 8000, "do_normalize": False, "return_attention_mask": True, "padding_value": 0.5}


class TestFiles:
    def test_ours_loads_in_the_reference(self, tmp_path):
        mine = Wav2Vec2FeatureExtractor(**SETTINGS, padding_side="left", extra=[1])
        assert mine.save_pretrained(tmp_path / "a" / "b") == [str(tmp_path / "a" / "b" / "preprocessor_config.json")]
        theirs = transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "a" / "b")
        expected = transformers.Wav2Vec2FeatureExtractor(**SETTINGS, padding_side="left", extra=[1])
        assert {**theirs.to_dict()} == {**expected.to_dict(), "feature_extractor_type": "Wav2Vec2FeatureExtractor"}

    def test_the_references_loads_here(self, tmp_path):
        theirs = transformers.Wav2Vec2FeatureExtractor(**SETTINGS)
        theirs.save_pretrained(tmp_path)
        mine = Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)
        assert mine.to_dict() == theirs.to_dict()
        mine.save_pretrained(tmp_path / "again")
        again, before = (path / "preprocessor_config.json" for path in (tmp_path / "again", tmp_path))
        assert again.read_text() == before.read_text()

    def test_the_file_itself_loads(self, tmp_path):
        path = Wav2Vec2FeatureExtractor(**SETTINGS).save_pretrained(tmp_path)[0]
        assert Wav2Vec2FeatureExtractor.from_pretrained(path).sampling_rate == 8000

    def test_settings_inside_processor_config_win(self, write):
        nested = {"feature_extractor": {"sampling_rate": 8000, "do_normalize": False}}
        folder = write(processor_config=nested, preprocessor_config={"sampling_rate": 44100})
        mine, theirs = (cls.from_pretrained(folder) for cls in type_pair())
        assert mine.sampling_rate == theirs.sampling_rate == 8000
        assert mine.do_normalize is theirs.do_normalize is False

    def test_saving_over_nested_settings_leaves_no_older_ones(self, write):
        folder = write(processor_config={"feature_extractor": {"sampling_rate": 8000}, "processor_class": "P"})
        Wav2Vec2FeatureExtractor(sampling_rate=22050).save_pretrained(folder)
        for cls in type_pair():
            assert cls.from_pretrained(folder).sampling_rate == 22050
        assert json.loads((folder / "processor_config.json").read_text()) == {"processor_class": "P"}

    def test_overrides_win_and_unknown_ones_do_not_count(self, write):
        folder = write(preprocessor_config={"sampling_rate": 16000, "old": 1})
        mine = Wav2Vec2FeatureExtractor.from_pretrained(folder, return_attention_mask=True, old=2, target_lang="fra")
        assert mine.return_attention_mask is True
        assert mine.old == 2
        assert not hasattr(mine, "target_lang")

    def test_processor_class_is_not_kept(self, write):
        folder = write(preprocessor_config={"processor_class": "Wav2Vec2Processor"})
        assert "processor_class" not in Wav2Vec2FeatureExtractor.from_pretrained(folder).to_dict()

    def test_from_dict(self):
        mine = Wav2Vec2FeatureExtractor.from_dict(SETTINGS, sampling_rate=44100)
        assert mine.sampling_rate == 44100
        assert mine.padding_value == 0.5
        assert "sampling_rate=44100" in repr(mine)

    def test_missing_and_malformed_files(self, write, tmp_path):
        with pytest.raises(MissingFileError):
            Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "nowhere")
        with pytest.raises(MissingFileError, match=r"preprocessor_config\.json"):
            Wav2Vec2FeatureExtractor.from_pretrained(write(config={}))
        with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
            Wav2Vec2FeatureExtractor.from_pretrained(write(preprocessor_config="{"))


def type_pair():
    return Wav2Vec2FeatureExtractor, transformers.Wav2Vec2FeatureExtractor
