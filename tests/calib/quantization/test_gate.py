"""The gate's measure: noise in the logits, positions where the float model is sure, words, word errors."""

import json
import math

import edgespeech_runtime
import numpy as np
import onnx
import pytest
import tone_bundles
import tone_translator
from edgespeech_calib.quantization.agreement import CLEAR, FLOOR, Tally, agrees, sure_margin
from edgespeech_calib.quantization.gate import Gate, Speech, Spoken
from edgespeech_calib.quantization.hearing import hear
from edgespeech_calib.quantization.outputs import KEPT, Tokens, same
from edgespeech_calib.scoring import Counts
from edgespeech_runtime.bundle import sha256
from edgespeech_runtime.manifest import MANIFEST_FILE, File, Manifest
from onnx import numpy_helper
from tones import spoken

SAID = {"a": ("A_A|B", "AA B"), "b": ("C|C_C|A|B", "C CC A B"), "c": ("B|B_C|A|C", "B BC A C")}


def speech(labels=None):
    """What is said in SAID; with other labels those."""

    def utterances():
        for name, (frames, text) in SAID.items():
            reference = None if labels is None else labels.get(name, text)
            yield Spoken(name, spoken(frames), reference)

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

    def run(folder, given=None, allowed=0.1):
        gate = Gate(bundle, given or speech(), tmp_path, allowed)
        gate.prepare()
        return gate.judge(folder)

    return run


def test_the_same_model_passes(judge, bundle):
    found = judge(bundle)
    assert found.passed
    assert (found.words, found.differing.errors, found.lost, found.ratio) == (10, 0, 0, math.inf)
    assert found.positions == sum(len(frames) for frames, _ in SAID.values())
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
    frames = "".join(frames for frames, _ in SAID.values())
    assert found.lost == frames.count("A") + frames.count("B")


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
    mute = changed(lambda kernel: kernel * (np.arange(len(kernel)) != 7)[:, None, None])  # C is not heard any more
    assert judge(mute, speech({})).passed is False
    found = judge(mute, speech({"a": "AA B", "b": "A B", "c": "B B A"}))  # nor was it said
    assert found.passed
    assert found.increase.value == (0 - 4) / 7
    assert found.errors.errors == 0
    assert found.float_errors.errors == 4
    assert found.figures()["measure"] == "word errors"
    assert found.intervals[0].high >= found.float_errors.rate
    same = judge(bundle, speech({"a": "XX B"}))
    assert (same.increase.value, same.float_errors.errors, same.errors.errors) == (0.0, 1, 1)


@pytest.mark.parametrize(("allowed", "passed"), [(39.9, False), (40.0, True)])
def test_the_increase_may_be_as_large_as_is_allowed(judge, changed, allowed, passed):
    mute = changed(lambda kernel: kernel * (np.arange(len(kernel)) != 7)[:, None, None])
    found = judge(mute, speech({}), allowed)
    assert found.increase.value == pytest.approx(0.4)  # C, CC, BC and C of ten words
    assert found.passed is passed


def verdict(ratio, words, errors, positions, sure, lost, allowed=0.1):
    """What the rules say to such a tally."""
    tally = Tally(signal=10 ** (ratio / 10), noise=1.0, positions=positions, sure=sure, lost=lost)
    return agrees(tally, Counts(hits=words - errors, substitutions=errors), allowed)[0]


@pytest.mark.parametrize(
    ("figures", "passed"),
    [
        ((25, 1000, 1, 9000, 8000, 100), True),  # words within what is allowed
        ((25, 1000, 20, 9000, 8000, 8), True),  # words where the float model wavered
        ((25, 1000, 20, 9000, 8000, 9), False),  # one too many where it was sure
        ((9.9, 1000, 0, 9000, 8000, 0), False),  # too noisy, whatever is said
        ((15, 1000, 900, 9000, 800, 500), True),  # sure of nothing, and clear
        ((14.9, 1000, 900, 9000, 800, 0), False),  # sure of nothing, and not clear
        ((25, 0, 0, 9000, 8000, 0), True),  # nothing said
        ((25, 0, 5, 9000, 8000, 9), False),  # nothing said by the float model, something by the other
    ],
)
def test_the_rules_without_labels(figures, passed):
    assert verdict(*figures) is passed


def test_sure_positions_keep_their_token_under_noise_that_is_clear():
    """A margin of three deviations: normal noise turns fewer than 1.35 in 1000 of the positions right at it."""
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((100_000, 32)).astype(np.float32)
    spread = float((logits - logits.mean(-1, keepdims=True)).std())
    margin = sure_margin(spread)
    noisy = logits + spread * 10 ** (-CLEAR / 20) * generator.standard_normal(logits.shape).astype(np.float32)
    tally = Tally()
    tally.compare(logits, noisy, logits.argmax(-1), noisy.argmax(-1), margin)
    assert tally.ratio == pytest.approx(CLEAR, abs=0.2)  # a part of the noise is an offset
    assert 0.3 < tally.sure / tally.positions < 0.9
    assert tally.lost < 0.001 * tally.sure
    assert (logits.argmax(-1) != noisy.argmax(-1)).mean() > 0.05  # many others do change


def test_an_offset_of_a_position_is_no_noise():
    logits = np.random.default_rng(0).standard_normal((10, 5)).astype(np.float32)
    tally = Tally()
    tally.compare(logits, logits + np.arange(10, dtype=np.float32)[:, None], *[logits.argmax(-1)] * 2, 0.1)
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
            heard = hear(model, spoken(frames))
            assert heard.answer == model.transcribe(spoken(frames)).text == text
            assert np.array_equal(heard.logits, model.logits(spoken(frames)))


def test_a_decoder_is_heard_greedily_and_compared_on_the_same_tokens(tmp_path):
    folder = tone_translator.write_bundle(tmp_path, "onnx")
    waveform = spoken("A_B|C")
    with edgespeech_runtime.load(folder) as model:
        heard = hear(model, waveform)
        greedy = model.generate(waveform, num_beams=1)
        assert heard.answer == model.transcribe(waveform, num_beams=1).text
        assert heard.tokens.tolist() == greedy[:-1]
        assert heard.logits.argmax(-1).tolist() == greedy[1:]
        other = hear(model, waveform, read=heard.tokens[:2])
        assert other.answer == heard.answer
        assert np.allclose(other.logits, heard.logits[:2], atol=1e-5)
        assert len(hear(model, waveform, most=1).logits) == 1
