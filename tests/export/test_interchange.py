"""The bundle opens unchanged in other runtimes, and gives the same text there. The real wheels run here."""

from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import onnx_asr
import onnxruntime
import pytest
import sherpa_onnx
from edgespeech_export.interchange import token_lines
from edgespeech_runtime.manifest import Vocabulary
from onnx_asr.asr import _AsrWithCtcDecoding
from onnx_asr.resolver import Resolver
from onnx_asr.utils import ModelNotSupportedError

RATE = 16000
KINDS = ("wav2vec2-group", "hubert-batch-norm")


@pytest.fixture
def waveforms() -> list[np.ndarray]:
    """Noises of different loudness, length and offset."""
    generator = np.random.default_rng(3)
    return [
        (0.05 * generator.standard_normal(int(RATE * seconds)) + 0.01).astype(np.float32) for seconds in (2.0, 0.5, 3.1)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_sherpa_onnx_gives_the_same_text(case_of: Any, kind: str, waveforms: list[np.ndarray]) -> None:
    bundle = case_of(kind, "onnx").bundle
    recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(bundle / "model.onnx"), tokens=str(bundle / "tokens.txt"), num_threads=1
    )
    with edgespeech_runtime.load(bundle) as model:
        for waveform in waveforms:
            stream = recognizer.create_stream()
            stream.accept_waveform(RATE, waveform)
            recognizer.decode_stream(stream)
            expected = model.transcribe(waveform).text
            assert len(expected) > 5
            assert squeezed(stream.result.text) == squeezed(expected)


class Wav2Vec2Ctc(_AsrWithCtcDecoding):
    """The `wav2vec2-ctc` type of onnx-asr, for releases that do not have it yet.

    It feeds raw audio and lengths and asks for log-probabilities; files, tokens and decoding are onnx-asr's own.
    """

    def __init__(self, model_files: dict[str, Path], preprocessor_factory: Any, onnx_options: Any) -> None:
        super().__init__(model_files, preprocessor_factory, onnx_options)
        self.session = onnxruntime.InferenceSession(model_files["model"], **onnx_options)

    @staticmethod
    def _get_model_files(quantization: str | None = None) -> dict[str, str]:
        return {"model": f"model?{quantization}.onnx" if quantization else "model.onnx", "vocab": "vocab.txt"}

    @property
    def _preprocessor_name(self) -> str:
        return "identity"

    @property
    def _subsampling_factor(self) -> int:
        return int(self.config["subsampling_factor"])  # type: ignore[typeddict-item]

    def _encode(self, features: Any, features_lens: Any) -> Any:
        (logprobs,) = self.session.run(["logprobs"], {"input_values": features, "input_lengths": features_lens})
        frames = np.minimum(features_lens // self._subsampling_factor + 1, logprobs.shape[1])
        return logprobs, frames.astype(np.int64)


@pytest.fixture
def wav2vec2_ctc(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the type in onnx-asr; a release that does not know it yet learns it for the test."""
    try:
        onnx_asr.loader.create_asr_resolver("wav2vec2-ctc", ".")
    except ModelNotSupportedError:
        types = {"wav2vec2-ctc": Wav2Vec2Ctc}
        monkeypatch.setattr(
            onnx_asr.loader, "create_asr_resolver", lambda model, path, offline=None: Resolver(types, model, path)
        )
    return "wav2vec2-ctc"


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_asr_gives_the_same_text(case_of: Any, kind: str, waveforms: list[np.ndarray], wav2vec2_ctc: str) -> None:
    bundle = case_of(kind, "onnx").bundle
    recognizer = onnx_asr.load_model(wav2vec2_ctc, bundle, providers=["CPUExecutionProvider"])
    with edgespeech_runtime.load(bundle) as model:
        expected = [squeezed(transcript.text) for transcript in model.transcribe(waveforms)]
    assert all(len(text) > 2 for text in expected)
    assert [squeezed(recognizer.recognize(waveform, sample_rate=RATE)) for waveform in waveforms] == expected
    assert [squeezed(text) for text in recognizer.recognize(waveforms, sample_rate=RATE)] == expected


def test_the_lengths_may_be_left_out_or_given_once(case_of: Any) -> None:
    bundle = case_of("wav2vec2-group", "onnx").bundle
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["input_values"]
    assert [value.name for value in session.get_outputs()] == ["logprobs"]
    audio = np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    whole = session.run(None, {"input_values": audio})[0]
    for lengths in ([8000], [8000] * 3):
        given = {"input_values": audio, "input_lengths": np.array(lengths, np.int64)}
        np.testing.assert_allclose(session.run(None, given)[0], whole, atol=1e-5)


def test_padded_frames_say_blank(case_of: Any) -> None:
    bundle = case_of("wav2vec2-group", "onnx").bundle
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    audio = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    logprobs = session.run(None, {"input_values": audio, "input_lengths": np.array([8000, 4000], np.int64)})[0]
    with edgespeech_runtime.load(bundle) as model:
        frames = model.manifest.frames.count(4000)
        blank = model.manifest.vocabulary.blank
    assert (logprobs[1, frames:].argmax(-1) == blank).all()
    np.testing.assert_allclose(np.exp(logprobs[1, frames:]).sum(-1), 1, atol=1e-6)


def test_the_token_table_names_blank_and_space() -> None:
    vocabulary = Vocabulary(("<pad>", "|", "A", "B C", ""), blank=0, lower_case=True)
    assert token_lines(vocabulary) == "<blk> 0\n▁ 1\na 2\nb▁c 3\n<4> 4"


def squeezed(text: str) -> str:
    """Runs of spaces as one: runtimes differ in what they do with a word delimiter said twice."""
    return " ".join(text.split())
