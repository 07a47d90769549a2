"""The bundle opens unchanged in other runtimes, and gives the same text there. The real wheels run here."""

from typing import Any

import edgespeech_runtime
import numpy as np
import onnxruntime
import pytest
from edgespeech_export.graphs.interchange import token_lines
from edgespeech_runtime.bundle.manifest import Vocabulary
from other_runtimes import RATE, onnx_asr_texts, sherpa_texts, squeezed, texts_by_contract

KINDS = ("wav2vec2-group", "hubert-batch-norm")


@pytest.fixture
def waveforms() -> list[np.ndarray]:
    """Noises of different loudness, length and offset."""
    generator = np.random.default_rng(3)
    return [
        (0.05 * generator.standard_normal(int(RATE * seconds)) + 0.01).astype(np.float32) for seconds in (2.0, 0.5, 3.1)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_other_runtimes_give_the_same_text(case_of: Any, kind: str, waveforms: list[np.ndarray]) -> None:
    bundle = case_of(kind, "onnx").bundle
    with edgespeech_runtime.load(bundle) as model:
        expected = [squeezed(transcript.text) for transcript in model.transcribe(waveforms)]
    assert len(set("".join(expected))) > 1
    assert sherpa_texts(bundle, waveforms) == expected
    assert texts_by_contract(bundle, waveforms) == expected
    assert onnx_asr_texts(bundle, waveforms) == (expected, expected)


def test_the_lengths_may_be_left_out_or_given_once(case_of: Any) -> None:
    bundle = case_of("wav2vec2-group", "onnx").bundle
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["input_values"]
    assert [value.name for value in session.get_outputs()] == ["logprobs", "logprobs_lengths", "logits"]
    audio = np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    whole = session.run(None, {"input_values": audio})[0]
    for lengths in ([8000], [8000] * 3):
        given = {"input_values": audio, "input_lengths": np.array(lengths, np.int64)}
        np.testing.assert_allclose(session.run(None, given)[0], whole, atol=1e-5)


def test_padded_frames_say_blank(case_of: Any) -> None:
    bundle = case_of("wav2vec2-group", "onnx").bundle
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    audio = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    feeds = {"input_values": audio, "input_lengths": np.array([8000, 4000], np.int64)}
    logprobs, lengths, _ = session.run(None, feeds)
    with edgespeech_runtime.load(bundle) as model:
        frames = model.manifest.frames.count(4000)
        blank = model.manifest.vocabulary.blank
    assert lengths.tolist() == [logprobs.shape[1], frames]
    assert (logprobs[1, frames:].argmax(-1) == blank).all()
    np.testing.assert_allclose(np.exp(logprobs[1, frames:]).sum(-1), 1, atol=1e-6)


def test_the_token_table_names_blank_and_space() -> None:
    vocabulary = Vocabulary(("<pad>", "|", "A", "B C", ""), blank=0, lower_case=True)
    assert token_lines(vocabulary) == "<blk> 0\n▁ 1\na 2\nb▁c 3\n<4> 4"
