"""A trained encoder-decoder on recordings that come along, joined with pauses: offline and live, as on each alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
from edgespeech_runtime import EncoderDecoderModel
from places import SAMPLES

RATE = 16000
NAMES = ("sentence", "digits", "kitchen", "nobody", "wake-word")
PAUSE = 6.0  # seconds


@pytest.fixture(scope="module")
def model(bundle: Callable[[str, str], Path]) -> Iterator[EncoderDecoderModel]:
    with edgespeech_runtime.load(bundle("dictation-en", "openvino")) as loaded:
        assert isinstance(loaded, EncoderDecoderModel)
        yield loaded


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    pytest.importorskip("soundfile")
    return [edgespeech_runtime.read_audio(SAMPLES.parent / f"{name}.flac", RATE) for name in NAMES]


@pytest.fixture(scope="module")
def joined(clips: list[np.ndarray]) -> np.ndarray:
    generator = np.random.default_rng(0)
    pauses = [(generator.standard_normal(round(PAUSE * RATE)) * 1e-4).astype(np.float32) for _ in clips]
    return np.concatenate([part for pair in zip(clips, pauses, strict=True) for part in pair])


@pytest.fixture(scope="module")
def texts(model: EncoderDecoderModel, clips: list[np.ndarray]) -> list[str]:
    return [text for clip in clips if (text := model.transcribe(clip).text)]


def test_long_recordings_give_the_texts_of_their_parts(
    model: EncoderDecoderModel, clips: list[np.ndarray], joined: np.ndarray, texts: list[str]
) -> None:
    found = model.transcribe(joined)
    assert len(joined) > 30 * RATE
    assert [segment.text for segment in found.segments] == texts
    assert found.text == " ".join(texts)
    begins = np.cumsum([0.0, *(len(clip) / RATE + PAUSE for clip in clips)])
    said = [index for index, name in enumerate(NAMES) if name != "nobody"]
    for segment, index in zip(found.segments, said, strict=True):
        end = begins[index] + len(clips[index]) / RATE
        assert begins[index] - 0.4 <= segment.start < segment.end <= end + 0.6


def test_live_text_is_the_same(model: EncoderDecoderModel, joined: np.ndarray, texts: list[str]) -> None:
    stream, events = model.stream(), []
    for at in range(0, len(joined), 8000):
        events += stream.feed(joined[at : at + 8000])
    events += stream.finish()
    assert [event.text for event in events if event.is_final] == texts
