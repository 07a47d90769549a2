"""The detector of speech: what is between the spans is silence, steady noise or clicks, and no word is cut."""

from itertools import pairwise

import numpy as np
import pytest
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.long.speech import Span, SpeechDetector, SpeechOptions, speech_spans

RATE = 16000


def noise(seconds, level=1e-3, seed=0):
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * level).astype(np.float32)


def voice(seconds, level=0.1, seed=1):
    """Harmonics of 120 Hz that swell four times a second, as syllables do."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 120 * k * time + k) / k for k in range(1, 20))
    return (level * np.square(np.sin(4 * np.pi * time)) * tone + noise(seconds, seed=seed)).astype(np.float32)


def recording(*parts):
    """Seconds of voice and pauses in turn, a pause first, in noise of -60 dB."""
    return np.concatenate([(voice if at % 2 else noise)(s, seed=at) for at, s in enumerate(parts)])


def seconds(spans):
    return [(span.start / RATE, span.end / RATE) for span in spans]


def by_blocks(detector, samples, sizes):
    found, at = [], 0
    for size in sizes:
        found += detector.feed(samples[at : at + size])
        at += size
    assert at >= len(samples)
    return found + detector.finish()


def test_spans_are_the_voices_with_their_margins():
    found = seconds(speech_spans(recording(8, 2, 1.5, 3, 2, 1, 5), RATE))
    assert found[0][0] == 0  # until the noise is known, all sound counts
    known = [(7.75, 10.25), (11.25, 14.75), (16.25, 17.75)]
    assert np.array(found[1:]) == pytest.approx(np.array(known), abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_of_any_size_give_the_same(seed):
    samples = recording(7, 2, 1.5, 9, 2, 1)
    options = SpeechOptions(longest=6.0)
    whole = speech_spans(samples, RATE, options)
    generator = np.random.default_rng(seed)
    sizes = np.minimum((10 ** generator.uniform(0, 5, 3000)).astype(int), len(samples))
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), len(samples))) + 1]
    assert by_blocks(SpeechDetector(RATE, options), samples, [*sizes, len(samples)]) == whole
    assert len(whole) >= 4


def test_single_samples_give_the_same():
    samples = recording(0.2, 0.5, 0.9, 0.3)
    assert by_blocks(SpeechDetector(RATE), samples, [1] * len(samples)) == speech_spans(samples, RATE)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_nothing_is_spoken_in_silence(rate):
    assert speech_spans(np.zeros(60 * rate, np.float32), rate) == []
    assert speech_spans(np.zeros(0, np.float32), rate) == []


@pytest.mark.parametrize("level", [1e-4, 1e-3, 1e-2, 0.1])
def test_steady_noise_is_learnt(level):
    found = speech_spans(noise(60, level), RATE)
    assert len(found) == 1
    assert found[0].end < 7 * RATE


def test_clicks_are_no_speech():
    samples = noise(20)
    samples[:: 3 * RATE] = 0.9
    assert [span for span in speech_spans(samples, RATE) if span.end > 7 * RATE] == []


def test_a_recording_that_begins_and_ends_in_a_word():
    samples = voice(1.0)
    assert speech_spans(samples, RATE) == [Span(0, len(samples))]


def test_long_speech_is_cut_in_its_pause():
    samples = np.concatenate([voice(8), noise(0.5), voice(8)])
    first, second = seconds(speech_spans(samples, RATE, SpeechOptions(longest=10.0)))
    assert first[1] == second[0] == pytest.approx(8.25, abs=0.1)


def test_speech_without_pauses_is_cut_where_it_is_quietest():
    samples = voice(60, level=0.2)
    found = speech_spans(samples, RATE, SpeechOptions(longest=10.0))
    assert all(span.end - span.start <= 10 * RATE for span in found)
    assert found[0].start == 0
    assert found[-1].end == len(samples)
    assert all(one.end == other.start for one, other in pairwise(found))


def test_what_is_known_while_it_runs():
    detector = SpeechDetector(RATE)
    detector.feed(recording(7))
    detector.feed(voice(1.0, seed=3))
    assert detector.start / RATE == pytest.approx(6.75, abs=0.1)
    assert detector.silence < 0.2 * RATE
    assert detector.decided > 7.8 * RATE
    assert detector.idle_from == detector.start
    detector.feed(noise(2.0, seed=4))
    assert detector.start is None
    assert detector.silence / RATE == pytest.approx(2.0, abs=0.2)
    assert detector.idle_from / RATE == pytest.approx(9.7, abs=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pause": 0.3}, "pause: expected at least the 0.5 s of before and behind, got 0.3"),
        ({"before": -1}, "before: expected seconds of at least 0, got -1"),
        ({"longest": 2.0}, "longest: expected more than the 5.5 s of shortest, before and behind, got 2"),
    ],
)
def test_options_that_contradict_each_other(options, message):
    with pytest.raises(ArgumentError) as caught:
        SpeechOptions(**options)
    assert str(caught.value) == message
