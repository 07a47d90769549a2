"""Parts of recordings between zeros, each run as if it were alone, whatever the blocks are that they come in."""

import numpy as np
import pytest
from edgespeech_runtime.errors import AudioError
from edgespeech_runtime.long.digital_silence import ZERO, ZeroGaps
from edgespeech_runtime.long.sound import Sound
from edgespeech_runtime.long.utterances import Utterances
from edgespeech_runtime.long.windows import Geometry, Windows

RATE, HOP = 1600, 16  # a hundred frames a second
LEAST = 1280  # samples: 0.8 s
GEOMETRY = Geometry(hop=HOP, shortest=25, rate=RATE, window=100, context=6, search=10, knows_positions=True)
WHOLE = 4000  # samples
BLANK, LETTER = 0, 1


def blocks(samples, seed=0, count=20):
    """The same in blocks of random sizes."""
    return np.split(samples, np.sort(np.random.default_rng(seed).integers(0, len(samples) + 1, count)))


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1, samples).astype(np.float32)


def random_recording(seed: int) -> np.ndarray:
    """Sounds with zeros between them, some of them few, some with what resampling leaves of zeros."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(rng.integers(1, 8)):
        zeros = rng.choice([0, 1, 700, LEAST - 1, LEAST, LEAST + 1, 5000])
        parts += [rng.choice([0, ZERO / 2]) * rng.uniform(-1, 1, zeros), noise(rng.choice([1, 30, 2000, 6000]), seed)]
    parts.append(np.zeros(rng.choice([0, 5, LEAST - 1, LEAST, 4000])))
    return np.concatenate(parts).astype(np.float32)


def expected_parts(samples: np.ndarray) -> list[tuple[int, int]]:
    """Where parts begin and end, sample by sample."""
    spans: list[tuple[int, int]] = []
    begin, quiet = 0, 0
    for at, sample in enumerate([*samples, None]):
        if sample is not None and abs(sample) <= ZERO:
            quiet += 1
            continue
        if quiet >= LEAST or sample is None:
            end = at - quiet if quiet >= LEAST else at
            if end > begin:
                spans.append((begin, end))
            begin = at
        quiet = 0
    return spans


@pytest.mark.parametrize("seed", range(40))
def test_parts_are_what_stands_between_long_runs_of_zeros(seed):
    samples = random_recording(seed)
    for count in (0, 3, 40):
        gaps = ZeroGaps(blocks(samples, seed, count), LEAST)
        parts = [(start, np.concatenate(list(own))) for start, own in gaps]
        assert [(start, start + len(own)) for start, own in parts] == expected_parts(samples)
        assert all(np.array_equal(own, samples[start : start + len(own)]) for start, own in parts)
        assert gaps.samples == len(samples)


class Model:
    """Frames say how long the part was that was run, and each frame's own sum; it counts what it runs."""

    def __init__(self):
        self.lengths = []

    def __call__(self, samples):
        self.lengths.append(len(samples))
        count = GEOMETRY.frames(len(samples))
        sums = [samples[at * HOP : at * HOP + 25].sum() for at in range(count)]
        return np.stack([np.full(count, len(samples)), sums, np.zeros(count)], axis=1).astype(np.float32)


def utterances(source, blank=BLANK):
    model = Model()

    def windows(start, own):
        return Windows(Sound(own), model, GEOMETRY)

    return Utterances(source, GEOMETRY, model, windows, WHOLE, blank), model


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("blank", [BLANK, None])
def test_each_part_has_the_frames_that_it_has_alone(seed, blank):
    samples = random_recording(seed)
    whole, model = utterances(blocks(samples, seed), blank)
    found = np.concatenate([np.zeros((0, 3), np.float32), *whole])
    assert len(found) == whole.done == GEOMETRY.frames(len(samples))
    assert whole.seconds == pytest.approx(len(samples) / RATE, abs=0.02)
    covered = np.zeros(len(found), bool)
    for start, end in expected_parts(samples):
        first, count = round(start / HOP), GEOMETRY.frames(end - start)
        covered[first : first + count] = True
        if end - start <= WHOLE:
            assert np.array_equal(found[first : first + count], Model()(samples[start:end]))
    if blank is not None:
        assert (found[~covered].argmax(axis=1) == blank).all()
        assert sum(model.lengths) <= 1.3 * sum(end - start for start, end in expected_parts(samples)) + RATE
    else:
        assert sum(model.lengths) >= HOP * (len(found) - 1)


def test_frames_are_where_the_sound_is():
    samples = np.concatenate([np.zeros(3000), noise(1600), np.zeros(4000), noise(800)]).astype(np.float32)
    found = np.concatenate(list(utterances([samples])[0]))
    sounding = np.flatnonzero(found[:, 1] > 0)
    assert sounding[0] * HOP == pytest.approx(3000, abs=HOP)
    assert sounding[-1] * HOP == pytest.approx(len(samples), abs=3 * HOP)


def test_nothing_but_zeros_is_blank():
    found = np.concatenate(list(utterances(blocks(np.zeros(20000, np.float32)))[0]))
    assert found.shape == (GEOMETRY.frames(20000), 3)
    assert (found.argmax(axis=1) == BLANK).all()


def damaged(samples):
    yield from blocks(samples)
    raise AudioError("x.wav is cut off")


@pytest.mark.parametrize("tail", [0, 900, 9000])
def test_what_comes_before_damage_is_given(tail):
    samples = np.concatenate([noise(2000), np.zeros(2000), noise(tail + 100)]).astype(np.float32)
    whole, _ = utterances(damaged(samples))
    found = []
    with pytest.raises(AudioError, match="cut off"):
        for output in whole:
            found.append(output)  # what came before the error is kept
    assert np.array_equal(found[0], Model()(samples[:2000]))
    assert sum(map(len, found)) == GEOMETRY.frames(len(samples))
