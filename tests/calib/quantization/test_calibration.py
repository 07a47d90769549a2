"""Calibration speech: drawn the same each time, in excerpts, and what cannot be used is named."""

import numpy as np
import pytest
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError
from edgespeech_calib.quantization.calibration import EXCERPT_SECONDS, draw, require_sound
from edgespeech_runtime.bundle.manifest import Audio

RATE = 16000
PLAIN = Audio(RATE, normalize=False, hop=320, shortest=400)
NORMALISED = Audio(RATE, normalize=True, hop=320, shortest=400)


@pytest.fixture
def recordings(tmp_path, write):
    """Twelve recordings of 1 to 12 seconds; sample number n has the value n / 2**20."""
    for seconds in range(1, 13):
        ramp = np.arange(seconds * RATE) / 2**20
        write(tmp_path / "set" / f"{seconds:02}.flac", ramp.astype(np.float32))
    return tmp_path / "set"


@pytest.fixture
def take(recordings, tmp_path):
    """`take(audio, samples, seed)`: draw from a set into a folder of its own."""

    def make(audio=PLAIN, samples=None, seed=0, name="a", data=None):
        folder = tmp_path / name
        folder.mkdir()
        return draw(data or open_set(recordings), audio, folder, samples=samples, seed=seed)

    return make


def starts(drawn):
    return {one.id: round(float(one.read()[0]) * 2**20) for one in drawn.excerpts}


def test_excerpts_are_short_and_from_places_that_the_seed_decides(take):
    first, again, other = take(name="a"), take(name="b"), take(seed=1, name="c")
    lengths = [one.samples for one in first.excerpts]
    assert lengths == [min(seconds, EXCERPT_SECONDS) * RATE for seconds in range(1, 13)]
    assert first.seconds == 1 + 2 + 3 + 4 + 8 * EXCERPT_SECONDS
    places = starts(first)
    assert places == starts(again) != starts(other)
    assert [places[f"{seconds:02}"] for seconds in range(1, 6)] == [0] * 5  # there is no room
    assert len(set(places.values())) == 8
    # FLAC keeps 16 bits: 32 samples have the same value.
    assert all(0 <= places[f"{seconds:02}"] <= (seconds - 5) * RATE + 32 for seconds in range(6, 13))


def test_a_draw_is_spread_over_lengths(take):
    drawn = take(samples=4)
    assert [one.id for one in drawn.excerpts] == ["02", "05", "08", "11"]
    assert drawn.provenance()["utterances"] == 4


def test_values_are_what_the_graph_takes(take):
    for audio, name in ((PLAIN, "plain"), (NORMALISED, "normalised")):
        drawn = take(audio, name=name)
        told = []
        values = list(drawn.values(lambda done, total: told.append((done, total))))  # noqa: B023
        assert [v.shape for v in values] == [(1, one.samples) for one in drawn.excerpts]
        assert {v.dtype for v in values} == {np.dtype(np.float32)}
        assert told == [(done, 12) for done in range(13)]
        assert all((abs(v.mean()) < 1e-3) == audio.normalize for v in values)


def test_a_second_of_faint_noise_lies_behind_an_excerpt(take):
    drawn = take()
    first = drawn.excerpts[0]
    found, samples = drawn.surrounded(first), first.samples
    np.testing.assert_array_equal(found[:samples], first.read())
    assert len(found) == samples + RATE
    assert 0 < np.abs(found[samples:]).max() < np.abs(found).max() / 50
    (end,) = drawn.ends(1, 1.5)
    assert end.shape == (1, RATE + RATE // 2)
    assert np.corrcoef(end[0], found[-len(end[0]) :])[0, 1] > 0.999  # normalised or not


def test_a_few_beginnings_for_what_is_dear(take):
    drawn = take()
    few = drawn.few(3, 2.0)
    assert [values.shape for values in few] == [(1, RATE), (1, 2 * RATE), (1, 2 * RATE)]
    assert len(drawn.few(99, 2.0)) == 12
    assert drawn.few(1, 0.001)[0].shape == (1, 400)  # never too short for the model


def test_the_checksum_is_over_ids_and_files(take, recordings, write):
    before = take(name="a").sha256
    assert before == take(name="b").sha256
    write(recordings / "01.flac", np.zeros(RATE, np.float32))
    changed = take(name="c").sha256
    (recordings / "01.flac").rename(recordings / "00.flac")
    assert len({before, changed, take(name="d").sha256}) == 3


def test_what_cannot_be_used_is_named_and_other_rates_are_counted(take, recordings, write):
    whole = (recordings / "09.flac").read_bytes()
    (recordings / "09.flac").write_bytes(whole[:-200])
    (recordings / "10.flac").write_bytes(b"fLaC")
    write(recordings / "short.wav", np.zeros(399, np.float32))
    write(recordings / "slow.wav", np.zeros(8000, np.float32), 8000)
    drawn = take()
    assert {one.id for one in drawn.skipped} == {"09", "10", "short"}
    assert drawn.resampled == {8000: 1}
    found = drawn.provenance()
    assert sorted(found["skipped"]) == ["09", "10", "short"]
    assert (found["set"], found["resampled"], found["utterances"]) == ("set", {"8000": 1}, 11)


def test_a_set_of_which_nothing_can_be_used(take, recordings, write):
    for path in recordings.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    data = open_set(recordings)
    with pytest.raises(DataError, match=r"none of the 12 recordings drawn from .*; the first: .*01\.flac"):
        take(data=data)
    with pytest.raises(DataError, match="none of the 4 recordings drawn"):
        require_sound(data, 4, 0)
    write(recordings / "05.flac", np.zeros(5 * RATE, np.float32))
    require_sound(data, None, 0)


def test_excerpts_are_read_from_archives_too(take, corpus, pack, write):
    write(corpus / "dev-clean" / "99" / "1" / "99-1-0000.flac", np.arange(9 * RATE, dtype=np.float32) / 2**20)
    folder, archive = (take(data=open_set(place), name=name) for name, place in (("a", corpus), ("b", pack(corpus))))
    assert folder.sha256 == archive.sha256
    for one, other in zip(folder.excerpts, archive.excerpts, strict=True):
        assert np.array_equal(one.read(), other.read())
