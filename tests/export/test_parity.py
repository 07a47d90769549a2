"""Exported graphs against the reference model, in each engine: at the edges of length, and padded together."""

from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import torch
from edgespeech_runtime.audio.waveform import normalize, pad
from kinds import ENGINES, KINDS, RELATIVES

LOGITS = 1e-4
SECONDS = 16000  # samples
MOST_FRAMES = 1000  # in one batch: attention takes memory by their square


def sounds(lengths: list[int]) -> list[np.ndarray]:
    """Noise of changing loudness and offset, so that statistics over padding would show."""
    generator = np.random.default_rng(7)
    return [
        (0.1 + 0.2 * index) * generator.standard_normal(n).astype(np.float32) + np.float32(0.05 * index)
        for index, n in enumerate(lengths)
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [*KINDS, *RELATIVES])
def test_logits_are_the_reference_models(case_of: Any, kind: str, engine: str) -> None:
    case = case_of(kind, engine)
    with edgespeech_runtime.load(case.bundle) as runtime:
        facts = runtime.manifest.audio
        shortest, hop = facts.shortest, facts.hop
        edges = [shortest, shortest + 1, shortest + hop - 1, shortest + hop, shortest + hop + 1, 3 * SECONDS]
        waveforms = sounds(edges)
        expected = [reference(case.model, waveform) for waveform in waveforms]
        for waveform, logits in zip(waveforms, expected, strict=True):
            np.testing.assert_allclose(runtime.logits(waveform), logits, atol=LOGITS, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [*KINDS, *RELATIVES])
def test_a_padded_batch_gives_each_utterance_what_it_gets_alone(case_of: Any, kind: str, engine: str) -> None:
    case = case_of(kind, engine)
    with edgespeech_runtime.load(case.bundle) as runtime:
        shortest, hop = runtime.manifest.audio.shortest, runtime.manifest.audio.hop
        longest = min(20 * SECONDS, MOST_FRAMES * hop)
        waveforms = sounds([longest, shortest, shortest + hop, longest // 4 + 1, shortest + hop - 1])
        values, lengths = pad([normalize(waveform) for waveform in waveforms])
        together = runtime._graphs.run("batch", {"input_values": values, "input_lengths": lengths})["logits"]
        frames = [runtime.manifest.frames.count(int(length)) for length in lengths]
        for row, waveform, count in zip(together, waveforms, frames, strict=True):
            alone = runtime.logits(waveform)
            assert len(alone) == count
            np.testing.assert_allclose(row[:count], alone, atol=LOGITS, rtol=0)
            np.testing.assert_allclose(row[:count], reference(case.model, waveform), atol=LOGITS, rtol=0)


@pytest.mark.parametrize(
    "engine", ["openvino", *(pytest.param(name, marks=pytest.mark.slow) for name in ("onnx", "numpy"))]
)
def test_float16_halves_the_weights_and_keeps_the_result_close(case_of: Any, engine: str) -> None:
    half, whole = (case_of("wav2vec2-group", engine, precision) for precision in ("float16", "float32"))
    waveform = sounds([2 * SECONDS])[0]
    expected = reference(half.model, waveform)
    with edgespeech_runtime.load(half.bundle) as runtime:
        difference = np.abs(runtime.logits(waveform) - expected).max()
        weights = runtime.manifest.graphs["single"].weights
    assert 1e-6 < difference < 5e-3 * np.abs(expected).max()
    assert (half.bundle / weights).stat().st_size < 0.7 * (whole.bundle / weights).stat().st_size


def reference(model: Any, waveform: np.ndarray) -> np.ndarray:
    """Logits of the torch model for one utterance."""
    with torch.inference_mode():
        return model(torch.from_numpy(normalize(waveform))[None]).logits[0].numpy()
