"""Live captions of real speech by the CTC model that comes along: what is promised of words, and of splits."""

import random

import edgespeech_runtime
import numpy as np
import pytest
from places import SAMPLES

RATE = 16000
PAUSE = 1.5  # seconds


@pytest.fixture(scope="module")
def ctc(bundle):
    with edgespeech_runtime.load(bundle("ctc-en", "onnx"), threads=1) as model:
        yield model


@pytest.fixture(scope="module")
def talk():
    """Two recordings with silence behind them, and when each begins, in seconds."""
    pytest.importorskip("soundfile")
    files = sorted([*SAMPLES.parent.glob("*.wav"), *SAMPLES.parent.glob("*.flac")])
    recordings = [edgespeech_runtime.read_audio(file, RATE) for file in files[:3]]
    silence = np.zeros(round(PAUSE * RATE), np.float32)
    return np.concatenate([part for recording in recordings for part in (recording, silence)])


def fed(stream, samples, sizes, **options):
    events, start = [], 0
    while start < len(samples):
        size = next(sizes)
        events += stream.feed(samples[start : start + size], **options)
        start += size
    return events + stream.finish()


def same(size):
    while True:
        yield size


@pytest.mark.parametrize("options", [{}, {"beams": 10}])
def test_committed_words_stay_and_times_are_those_of_the_recording(ctc, talk, options):
    events = fed(ctc.stream(**options), talk, same(1600))
    committed = ""
    for event in events:
        assert event.text.startswith(committed)
        committed = "" if event.is_final else event.committed
    words = [word for event in events if event.is_final for word in event.words]
    assert len(words) > 5
    whole = {word.text: word for word in ctc.transcribe(talk).words}
    close = [word for word in words if word.text in whole and abs(word.start - whole[word.text].start) < 0.1]
    assert len(close) > len(words) / 2


def test_final_texts_do_not_depend_on_splits(ctc, talk):
    expected = [event for event in fed(ctc.stream(), talk, same(len(talk))) if event.is_final]
    draw = random.Random(0)
    sizes = iter(lambda: draw.choice([1, 37, 800, 16_000, 50_000]), None)
    found = fed(ctc.stream(), talk, sizes, partials=False)
    assert [event for event in found if event.is_final] == expected
