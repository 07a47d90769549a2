"""Bundles in other people's runtimes: the real wheels of sherpa-onnx and onnx-asr."""

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx_asr
import onnxruntime
import sherpa_onnx
from onnx_asr.asr import _AsrWithCtcDecoding
from onnx_asr.resolver import Resolver
from onnx_asr.utils import ModelNotSupportedError

RATE = 16000  # Hz
WAV2VEC2_CTC = "wav2vec2-ctc"


def sherpa_texts(bundle: Path, waveforms: list[np.ndarray]) -> list[str]:
    """What sherpa-onnx hears."""
    recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(bundle / "model.onnx"), tokens=str(bundle / "tokens.txt"), num_threads=1
    )
    texts = []
    for waveform in waveforms:
        stream = recognizer.create_stream()
        stream.accept_waveform(RATE, waveform)
        recognizer.decode_stream(stream)
        texts.append(squeezed(stream.result.text))
    return texts


def onnx_asr_texts(bundle: Path, waveforms: list[np.ndarray]) -> tuple[list[str], list[str]]:
    """What onnx-asr hears, one by one and as a padded batch."""
    model = _open_in_onnx_asr(bundle)
    alone = [squeezed(model.recognize(waveform, sample_rate=RATE)) for waveform in waveforms]
    return alone, [squeezed(text) for text in model.recognize(waveforms, sample_rate=RATE)]


def squeezed(text: str) -> str:
    """Runs of spaces as one: runtimes differ in what they do with a word delimiter said twice."""
    return " ".join(text.split())


def _open_in_onnx_asr(bundle: Path) -> Any:
    """Open a bundle by its type; a release that does not know the type yet learns it for this call."""
    try:
        return onnx_asr.load_model(WAV2VEC2_CTC, bundle, providers=["CPUExecutionProvider"])
    except ModelNotSupportedError:
        types = {WAV2VEC2_CTC: Wav2Vec2Ctc}

        def resolver(model: str, path: Path, *, offline: bool | None = None) -> Any:
            return Resolver(types, model, path, offline=offline)

        with mock.patch.object(onnx_asr.loader, "create_asr_resolver", resolver):
            return onnx_asr.load_model(WAV2VEC2_CTC, bundle, providers=["CPUExecutionProvider"])


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
