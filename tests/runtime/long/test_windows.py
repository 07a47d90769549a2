"""Windows of a long recording: the same frames as the whole gives, seams in blanks, and silence that is not run."""

from dataclasses import replace

import numpy as np
import pytest
from edgespeech_runtime.long.sound import Sound
from edgespeech_runtime.long.speech import SpeechDetector
from edgespeech_runtime.long.windows import Geometry, Silence, Windows

RATE, HOP, REACH = 1600, 16, 6  # a hundred frames a second
GEOMETRY = Geometry(hop=HOP, shortest=25, window=100, context=REACH, search=10, rate=RATE)
BLANK, LETTER = 0, 1


def frames(samples: np.ndarray) -> np.ndarray:
    """[frames, 1]: a convolution without padding, and one over 13 of its frames with zeros around."""
    count = GEOMETRY.frames(len(samples))
    inner = np.array([samples[at * HOP : at * HOP + 25] @ np.arange(1, 26) for at in range(count)])
    return np.convolve(inner, np.arange(1, 2 * REACH + 2))[REACH:-REACH, None].astype(np.float32)


class Run:
    """Runs windows, and keeps their lengths."""

    def __init__(self, run=frames):
        self.run, self.lengths = run, []

    def __call__(self, samples):
        self.lengths.append(len(samples))
        return self.run(samples)


def blocks(samples, seed=0):
    """The same in blocks of random sizes."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(samples), 20))
    return np.split(samples, cuts)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).normal(0, 1, samples).astype(np.float32)


@pytest.mark.parametrize(
    "samples", [25, 400, 1609, 1610, 1625, 1626, 1700, 2800, 3000, 3008, 3009, 3100, 5000, 7777, 12345]
)
def test_frames_are_those_of_the_whole(samples):
    """The convolutions see all that they would see of the whole: https://arxiv.org/abs/2006.11477, section 4.1."""
    sound = noise(samples)
    run = Run()
    windows = Windows(Sound(blocks(sound)), run, GEOMETRY)
    found = np.concatenate(list(windows))
    np.testing.assert_allclose(found, frames(sound), rtol=1e-5)
    assert max(run.lengths) <= GEOMETRY.samples(100)
    assert (windows.done, windows.samples) == (len(found), samples)
    if samples > GEOMETRY.samples(100):
        assert min(run.lengths) > GEOMETRY.samples(50)  # none is short and without context


@pytest.mark.parametrize("seed", range(3))
def test_the_sizes_of_blocks_change_nothing(seed):
    sound = noise(9000)
    found = np.concatenate(list(Windows(Sound(blocks(sound, seed)), frames, GEOMETRY)))
    expected = np.concatenate(list(Windows(Sound([sound]), frames, GEOMETRY)))
    np.testing.assert_array_equal(found, expected)


def tokens(samples: np.ndarray) -> np.ndarray:
    """[frames, 3] that say the letter where the sound is loud, and the blank elsewhere."""
    count = GEOMETRY.frames(len(samples))
    loud = np.array([np.abs(samples[at * HOP : at * HOP + 25]).mean() > 0.2 for at in range(count)])
    found = np.zeros((count, 3), np.float32)
    found[np.arange(count), loud.astype(int)] = 12
    return found


def test_seams_are_in_blanks():
    """A pause of 60 ms within every second; a word that both windows have is in one of them."""
    sound = noise(40 * RATE)
    loud = np.arange(len(sound)) % RATE > 0.06 * RATE
    sound *= loud
    sizes = replace(GEOMETRY, window=200, search=110)
    pieces = list(Windows(Sound([sound]), tokens, sizes, Silence(BLANK, {BLANK})))
    assert len(pieces) > 20
    for piece in pieces[:-1]:
        assert piece[-1].argmax() == BLANK
    np.testing.assert_array_equal(np.concatenate(pieces), tokens(sound))


def speech(*seconds: float) -> np.ndarray:
    """Sound and silence in turns."""
    parts = [
        noise(round(each * RATE)) if at % 2 == 0 else np.zeros(round(each * RATE)) for at, each in enumerate(seconds)
    ]
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize(
    "seconds", [(3, 2, 4, 3, 0.5), (0, 5, 3, 2), (3, 1000, 2, 40), (0, 30), (2.5,), (0.4, 3, 0.4, 3, 0.4)]
)
def test_silence_is_not_run(seconds):
    sound = speech(*seconds)
    run = Run(tokens)
    windows = Windows(Sound(blocks(sound), SpeechDetector(RATE)), run, GEOMETRY, Silence(BLANK, {BLANK}))
    found = np.concatenate(list(windows))
    np.testing.assert_array_equal(found.argmax(axis=1), tokens(sound).argmax(axis=1))
    spoken = sum(seconds[::2])
    margins = 0.5 * len(seconds[::2]) + 0.6  # and the beginning
    overlap = 1 + 4 * REACH / GEOMETRY.window
    assert sum(run.lengths) / RATE <= (spoken + margins) * overlap + 0.1


@pytest.mark.parametrize("detector", [None, SpeechDetector])
def test_no_more_is_kept_than_two_windows(detector):
    sound = Sound(blocks(speech(*[3, 2, 0.5, 1] * 40)), detector and detector(RATE))
    windows = Windows(sound, tokens, GEOMETRY, Silence(BLANK, {BLANK}))
    assert max(sound.kept for _ in windows) < GEOMETRY.samples(2 * GEOMETRY.window) + 0.2 * sound.end


def test_silence_is_run_where_the_model_finds_something_in_it():
    """A model that is not sure of its blank in silence is asked all the way."""

    def babble(samples):
        found = tokens(samples)
        found[:, 2] = 20
        return found

    sound = speech(3, 5, 2, 3)
    run = Run(babble)
    found = np.concatenate(list(Windows(Sound([sound], SpeechDetector(RATE)), run, GEOMETRY, Silence(BLANK, {BLANK}))))
    np.testing.assert_array_equal(found, babble(sound))
    assert sum(run.lengths) >= len(sound)


def test_no_more_is_read_than_is_needed():
    """The first frames are there before the end of the recording is."""
    read = []

    def stream():
        for at in range(200):
            read.append(at)
            yield noise(RATE // 4)

    windows = iter(Windows(Sound(stream()), frames, GEOMETRY))
    next(windows)
    assert len(read) < 12


@pytest.mark.parametrize("seed", range(6))
def test_silence_that_is_run_changes_no_window_of_speech(seed):
    """Speech is run in the same windows, and the silence between in others, which cover it."""
    rng = np.random.default_rng(seed)
    pauses = rng.choice([0.9, 1.7, 5.0, 12.3], 5)
    quiet = [rng.normal(0, 1e-4, int(pause * RATE)).astype(np.float32) for pause in pauses]
    loud = [rng.normal(0, 0.1, int(seconds * RATE)).astype(np.float32) for seconds in rng.uniform(1, 25, 5)]
    sound = np.concatenate([part for pair in zip(quiet, loud, strict=True) for part in pair])
    silence = Silence(BLANK, {BLANK})

    def model(samples):
        """Blank where it is quiet, and a letter where it is not."""
        count = GEOMETRY.frames(len(samples))
        levels = np.array([np.abs(samples[at * HOP : at * HOP + 25]).max() for at in range(count)])
        return np.stack([np.full(count, 0.01), levels], axis=1).astype(np.float32)

    runs, found = {}, {}
    for name in (False, True):
        runs[name] = Run(model)
        windows = Windows(Sound(blocks(sound, seed), SpeechDetector(RATE)), runs[name], GEOMETRY, silence, name)
        found[name] = np.concatenate(list(windows))
        assert len(found[name]) == windows.done == GEOMETRY.frames(len(sound))
    assert np.array_equal(found[True].argmax(axis=1), found[False].argmax(axis=1))
    speech = runs[False].lengths
    others = list(runs[True].lengths)
    for length in speech:
        others.remove(length)
    assert sum(others) + sum(speech) >= HOP * (len(found[True]) - 1)
    assert max(runs[True].lengths) <= GEOMETRY.samples(100)
