"""The gate's measure: noise in the logits, changed words, those that a delay changes, word errors."""

import json
import math

import edgespeech_runtime
import numpy as np
import onnx
import pytest
import tone_bundles
import tone_translator
from edgespeech_calib.quantization.judge import gate as gates
from edgespeech_calib.quantization.judge.agreement import FLOOR, Tally, agrees
from edgespeech_calib.quantization.judge.gate import Gate, JudgedUtterance, Speech
from edgespeech_calib.quantization.judge.outputs import KEPT, Tokens, same
from edgespeech_calib.quantization.judge.predictions import predict
from edgespeech_calib.scoring.scoring import Counts, score
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, File, Manifest
from onnx import numpy_helper
from tones import spoken

SAID = {"a": ("A_A|B", "AA B"), "b": ("C|C_C|A|B", "C CC A B"), "c": ("B|B_C|A|C", "B BC A C")}


def speech(labels=None):
    """What is said in SAID; with other labels those."""

    def utterances():
        for name, (frames, text) in SAID.items():
            reference = None if labels is None else labels.get(name, text)
            yield JudgedUtterance(name, spoken(frames), reference)

    return Speech("tones", len(SAID), labels is not None, utterances)


@pytest.fixture
def changed(tmp_path):
    """`changed(scale, seed)`: a tone bundle whose kernel has noise of so many times its own size."""

    def make(change):
        folder = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        tone_bundles.build("onnx", folder)
        path = folder / "single.onnx"
        model = onnx.load(path)
        kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "kernel")
        kernel.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(kernel)).astype(np.float32), "kernel"))
        onnx.save(model, path)
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        manifest["files"][path.name] = vars(File(path.stat().st_size, sha256(path)))
        (folder / MANIFEST_FILE).write_text(Manifest.from_json(json.dumps(manifest)).to_json(), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def judge(bundle, tmp_path):
    """`judge(folder)`: its verdict against the tone bundle."""

    def run(folder, given=None, allowed=2.0):
        gate = Gate(bundle, given or speech(), tmp_path, allowed)
        gate.prepare()
        return gate.judge(folder)

    return run


def test_the_same_model_passes(judge, bundle):
    found = judge(bundle)
    assert found.passed
    assert (found.words, found.differing.errors, found.ratio) == (10, 0, math.inf)
    assert found.positions == sum(len(frames) for frames, _ in SAID.values())
    assert found.other_positions == 0
    assert found.changed == ()
    json.dumps(found.figures(), allow_nan=False)


def test_a_model_that_hears_other_tokens_fails_and_says_which(judge, changed):
    swapped = [0, 1, 2, 3, 4, 6, 5, 7]  # A and B
    found = judge(changed(lambda kernel: kernel[swapped]))
    assert not found.passed
    assert found.changed[0].first == "AA B"
    assert found.changed[0].second == "BB A"
    # Of "A B" and "B A" one is a hit: that is cheaper by the weights of sclite than two substitutions.
    assert found.differing == Counts(hits=4, substitutions=5, insertions=1, deletions=1)
    figures = found.figures()
    assert figures["other_positions"] == sum(frames.count("A") + frames.count("B") for frames, _ in SAID.values())
    assert figures["judged"] == pytest.approx(0.7 - 1.0)  # delayed, tones are no tones to it: all ten words change
    assert (figures["allowed"], figures["shown_to_be_within"]) == (0.02, True)


def test_a_model_that_says_the_same_by_luck_fails(judge, changed):
    generator = np.random.default_rng(0)
    found = judge(changed(lambda kernel: kernel + 4 * kernel.std() * generator.standard_normal(kernel.shape)))
    assert found.differing.errors == 0
    assert found.ratio < FLOOR
    assert not found.passed
    assert "10 needed" in found.sentence


def test_nan_fails(judge, changed):
    found = judge(changed(lambda kernel: kernel * np.nan))
    assert not found.passed
    assert "NaN" in found.sentence
    json.dumps(found.figures(), allow_nan=False)


def test_infinite_logits_fail(judge, changed):
    with np.errstate(over="ignore"):
        found = judge(changed(lambda kernel: kernel * 3e38))
    assert not found.passed


def test_labels_decide_where_there_are_some(judge, changed, bundle):
    mute = changed(lambda kernel: kernel * (np.arange(len(kernel)) != 7)[:, None, None])  # C is not prediction any more
    prediction = judge(mute, speech({}))
    assert prediction.increase.value == pytest.approx(0.4)  # C, CC, BC and C of ten words
    assert prediction.figures()["interval"] == [prediction.increase.low, prediction.increase.high]
    found = judge(mute, speech({"a": "AA B", "b": "A B", "c": "B B A"}))  # nor was it said
    assert found.passed
    assert found.increase.value == (0 - 4) / 7
    assert found.errors.errors == 0
    assert found.float_errors.errors == 4
    assert found.figures()["measure"] == "word errors"
    assert found.intervals[0].high >= found.float_errors.rate
    same = judge(bundle, speech({"a": "XX B"}))
    assert (same.increase.value, same.float_errors.errors, same.errors.errors) == (0.0, 1, 1)


def test_an_increase_is_refused_where_all_of_its_interval_is_more_than_allowed(judge, changed):
    """Without C, "b" and "c" lose half of their words each, 4 of 8; with "a" among the draws it may be none at all."""
    mute = changed(lambda kernel: kernel * (np.arange(len(kernel)) != 7)[:, None, None])
    assert judge(mute, speech({}), 0.3).passed
    less = Speech("tones", 2, True, lambda: (one for one in speech({}).utterances() if one.id != "a"))
    found = judge(mute, less, 49.9)
    assert (found.increase.value, found.increase.low, found.passed) == (0.5, 0.5, False)
    assert judge(mute, less, 50.0).passed
    assert found.sentence.endswith("49.9 allowed: shown to be more")


def test_tokens_of_a_decoder_are_counted_by_their_largest_logit():
    tally = Tally(has_tokens=True)
    expected = np.eye(4, dtype=np.float32)
    tally.compare(expected, expected + np.float32(0.1))
    tally.compare(expected, expected[[0, 2, 1, 3]])
    assert (tally.positions, tally.other) == (8, 2)
    found = agrees(tally, score(["yes"], ["yes"]), None, 2.0, "word")
    assert "2 of 8 tokens differ after the same ones before them; noise in the logits" in found.sentence


def texts(utterances):
    """What two models say, of (words, changed words) of each utterance."""
    before = [" ".join(["yes"] * words) for words, _ in utterances]
    return before, [" ".join(["no"] * changed + ["yes"] * (words - changed)) for words, changed in utterances]


def verdict(ratio, utterances, later=None):
    """What the rules say to noise of so many dB and (words, changed words) of each utterance, and after a delay."""
    tally = Tally(signal=10 ** (ratio / 10), noise=1.0, positions=1000)
    delayed = None if later is None else score(*texts(later))
    return agrees(tally, score(*texts(utterances)), delayed, 2.0, "word")


@pytest.mark.parametrize(
    ("figures", "passed", "said"),
    [
        ((25, [(10, 0)] * 40), True, "0 of 400 words differ"),
        ((25, [(10, 0)] * 40), True, "shown to be no more"),
        ((25, [(10, 1)] + [(10, 0)] * 3), True, "not shown to be more"),
        ((25, [(10, 1)] * 40), False, "10.0 % (95 % interval"),
        (
            (25, [(10, 1)] * 40, [(10, 1)] * 40),
            True,
            "40 where the same recordings begin 0.5 ms later: 0.0 % (95 % interval",
        ),
        ((25, [(10, 3)] * 40, [(10, 1)] * 40), False, "20.0 % (95 % interval 20.0 to 20.0) more"),
        ((9.9, [(10, 0)] * 40), False, "10 needed"),  # too noisy, whatever is said
        ((10, [(0, 0)] * 40), True, "0 of 0 words"),  # nothing said
        ((9.9, [(0, 0)] * 40), False, "10 needed"),
    ],
)
def test_the_rules_without_labels(figures, passed, said):
    found = verdict(*figures)
    assert found.passed is passed
    assert said in found.sentence
    assert (found.share is None) is ("0 of 0 words" in found.sentence)


def test_what_is_wanted_is_what_is_seen_and_not_what_is_shown():
    seen = verdict(25, [(10, 1)] + [(10, 0)] * 3)  # 2.5 % of 40 words
    assert (seen.passed, seen.is_wanted) == (True, False)
    fewer = verdict(25, [(10, 1)] + [(10, 0)] * 4)
    assert (fewer.passed, fewer.is_wanted, fewer.share.is_within) == (True, True, False)


def test_a_model_that_wavers_is_asked_once_what_a_delay_changes(bundle, changed, tmp_path, monkeypatch):
    asked = []

    def answer(model, waveform, most):
        asked.append(waveform)
        return "A"

    monkeypatch.setattr(gates, "answer", answer)
    swapped = changed(lambda kernel: kernel[[0, 1, 2, 3, 4, 6, 5, 7]])
    judged = Gate(bundle, speech(), tmp_path, 2.0)
    judged.prepare()
    assert judged.judge(bundle).is_wanted
    assert asked == []
    found = judged.judge(swapped)
    judged.judge(swapped)
    assert len(asked) == len(SAID)
    for delayed, (frames, _) in zip(asked, SAID.values(), strict=True):
        assert np.array_equal(delayed, np.concatenate([np.zeros(8, np.float32), spoken(frames)[:-8]]))
    assert (
        "8 where the same recordings begin 0.5 ms later" in found.sentence
    )  # of "AA B", "C CC A B", "B BC A C", one A is left
    assert found.evidence.value == pytest.approx((7 - 8) / 10)


def test_an_offset_of_a_position_is_no_noise():
    logits = np.random.default_rng(0).standard_normal((10, 5)).astype(np.float32)
    tally = Tally()
    tally.compare(logits, logits + np.arange(10, dtype=np.float32)[:, None])
    assert tally.ratio > 100


def test_of_a_large_vocabulary_the_largest_logits_are_kept():
    logits = np.random.default_rng(0).standard_normal((7, 3 * KEPT)).astype(np.float32)
    values, ids = Tokens().kept(logits)
    assert values.shape == ids.shape == (7, KEPT)
    assert np.array_equal(np.sort(values, -1), np.sort(logits, -1)[:, -KEPT:])
    assert np.array_equal(same(2 * logits, ids), 2 * values)
    values, ids = Tokens().kept(logits[:, :KEPT])
    assert np.array_equal(same(logits[:, :KEPT], ids), values)


def test_hearing_is_what_the_runtime_transcribes(bundle):
    with edgespeech_runtime.load(bundle) as model:
        for frames, text in SAID.values():
            prediction = predict(model, spoken(frames))
            assert prediction.answer == model.transcribe(spoken(frames)).text == text
            assert np.array_equal(prediction.logits, model.logits(spoken(frames)))


def test_a_decoder_is_prediction_greedily_and_compared_on_the_same_tokens(tmp_path):
    folder = tone_translator.write_bundle(tmp_path, "onnx")
    waveform = spoken("A_B|C")
    with edgespeech_runtime.load(folder) as model:
        prediction = predict(model, waveform)
        greedy = model.generate(waveform, num_beams=1)
        assert prediction.answer == model.transcribe(waveform, num_beams=1).text
        assert prediction.tokens.tolist() == greedy[:-1]
        assert prediction.logits.argmax(-1).tolist() == greedy[1:]
        other = predict(model, waveform, tokens=prediction.tokens[:2])
        assert other.answer == prediction.answer
        assert np.allclose(other.logits, prediction.logits[:2], atol=1e-5)
        assert len(predict(model, waveform, max_tokens=1).logits) == 1
