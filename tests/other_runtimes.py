"""Bundles in other people's runtimes: the real wheels of sherpa-onnx and onnx-asr."""

import itertools
import json
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx_asr
import onnxruntime
import pytest
import sherpa_onnx
from onnx_asr.utils import ModelNotSupportedError

RATE = 16000  # Hz
WAV2VEC2_CTC = "wav2vec2-ctc"


def sherpa_texts(bundle: Path, waveforms: list[np.ndarray], file: str = "model.onnx") -> list[str]:
    """What sherpa-onnx transcribes by one file of a bundle."""
    recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(bundle / file), tokens=str(bundle / "tokens.txt"), num_threads=1
    )
    texts = []
    for waveform in waveforms:
        stream = recognizer.create_stream()
        stream.accept_waveform(RATE, waveform)
        recognizer.decode_stream(stream)
        texts.append(squeezed(stream.result.text))
    return texts


def onnx_asr_texts(bundle: Path, waveforms: list[np.ndarray]) -> tuple[list[str], list[str]]:
    """What onnx-asr transcribes, one by one and as a padded batch; skips where its release does not know the type."""
    try:
        model = onnx_asr.load_model(WAV2VEC2_CTC, bundle, providers=["CPUExecutionProvider"])
    except ModelNotSupportedError:
        pytest.skip(f"onnx-asr {metadata.version('onnx-asr')} has no type {WAV2VEC2_CTC}: it came after 0.12.0")
    alone = [squeezed(model.recognize(waveform, sample_rate=RATE)) for waveform in waveforms]
    return alone, [squeezed(text) for text in model.recognize(waveforms, sample_rate=RATE)]


def texts_by_contract(bundle: Path, waveforms: list[np.ndarray]) -> list[str]:
    """What a reader makes of a bundle who knows only what onnx-asr's type `wav2vec2-ctc` knows.

    The graph `model.onnx` takes raw audio, padded with zeros, with its lengths, and gives log-probabilities;
    `vocab.txt` has a token and its id in each line, `config.json` the samples between frames.
    """
    rows = [line.rsplit(" ", 1) for line in (bundle / "vocab.txt").read_text(encoding="utf-8").splitlines()]
    tokens = {int(number): token for token, number in rows}
    hop = json.loads((bundle / "config.json").read_text(encoding="utf-8"))["subsampling_factor"]
    lengths = np.array([len(waveform) for waveform in waveforms], np.int64)
    padded = np.stack([np.pad(waveform, (0, lengths.max() - len(waveform))) for waveform in waveforms])
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    (logprobs,) = session.run(["logprobs"], {"input_values": padded, "input_lengths": lengths})
    texts = []
    for row, frames in zip(logprobs, np.minimum(lengths // hop + 1, logprobs.shape[1]), strict=True):
        path = [tokens[index] for index, _ in itertools.groupby(row[:frames].argmax(-1).tolist())]
        texts.append(
            squeezed("".join(token for token in path if token != "<blk>").replace("\N{LOWER ONE EIGHTH BLOCK}", " "))
        )
    return texts


def squeezed(text: str) -> str:
    """Runs of spaces as one: runtimes differ in what they do with a word delimiter said twice."""
    return " ".join(text.split())
