"""Bundles of CTC models in onnx-asr 0.12, whose release does not have the type `wav2vec2-ctc` yet. Copy this file.

    from wav2vec2_ctc import load_bundle

    model = load_bundle("my-bundle")                       # or quantization="int8" for an INT8 bundle
    print(model.recognize("speech.wav"))
    print(model.with_timestamps().recognize("speech.wav"))

What comes back is onnx-asr's own: it reads and resamples files, runs batches, and takes a VAD (`with_vad`). A later
release that has the type opens a bundle by `onnx_asr.load_model("wav2vec2-ctc", "my-bundle")`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx_asr.adapters import TextResultsAsrAdapter
from onnx_asr.asr import TimestampedResult
from onnx_asr.preprocessors.resampler import Resampler

RATE = 16000  # Hz
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
SPACES = re.compile(r"\A\s+|\s+\Z|(?<=\s)\s+")


class Wav2Vec2Ctc:
    """What onnx-asr asks of a model: its protocol `onnx_asr.asr.Asr`."""

    def __init__(self, folder: Path, quantization: str | None, providers: list[Any]) -> None:
        """Open the graph, the table of tokens and the length of a frame."""
        name = "model.onnx" if quantization is None else f"model.{quantization}.onnx"
        self._session = onnxruntime.InferenceSession(folder / name, providers=providers)
        rows = (line.rsplit(" ", 1) for line in (folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
        self._tokens = {int(index): token.replace(SPACE, " ") for token, index in rows}
        self._blank = next(index for index, token in self._tokens.items() if token == "<blk>")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._frame = config["subsampling_factor"] / RATE  # seconds

    @staticmethod
    def _get_sample_rate() -> int:
        return RATE

    def recognize_batch(
        self, waveforms: npt.NDArray[np.float32], waveforms_len: npt.NDArray[np.int64], /, **options: object
    ) -> Iterator[TimestampedResult]:
        """Text of each waveform, padded to (batch, samples), with its tokens, their seconds and log-probabilities."""
        feeds = {"input_values": waveforms, "input_lengths": waveforms_len}
        for row in self._session.run(["logprobs"], feeds)[0]:  # (frames, vocabulary); it says blank behind the end
            ids = row.argmax(-1)
            frames = np.flatnonzero((ids != self._blank) & (np.diff(ids, prepend=self._blank) != 0))
            tokens = [self._tokens[index] for index in ids[frames].tolist()]
            yield TimestampedResult(
                SPACES.sub("", "".join(tokens)),
                (frames * self._frame).tolist(),
                tokens,
                row[frames, ids[frames]].tolist(),
            )


def load_bundle(
    bundle: str | Path, quantization: str | None = None, providers: list[Any] | None = None
) -> TextResultsAsrAdapter:
    """Open a bundle that `edgespeech export --engine onnx` wrote of a CTC checkpoint for 16 kHz."""
    providers = providers or ["CPUExecutionProvider"]
    model = Wav2Vec2Ctc(Path(bundle), quantization, providers)
    return TextResultsAsrAdapter(model, Resampler(RATE, {"providers": providers}))
