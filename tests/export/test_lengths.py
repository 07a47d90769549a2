"""Buckets chosen by lengths of recordings, against every choice that there is."""

import itertools

import numpy as np
import pytest
from edgespeech_export import ExportError, Lengths
from edgespeech_export.graphs.lengths import choose_buckets
from edgespeech_runtime.bundle.manifest import Audio

HOP, RATE = 320, 16000
AUDIO = Audio(RATE, True, HOP, 400)


def taken(samples, buckets):
    """Samples that all recordings take in their buckets; what is too long fills the last."""
    return sum(next((bucket for bucket in buckets if bucket >= length), buckets[-1]) for length in samples)


def whole(samples, hop):
    return -(-samples // hop) * hop


def least(samples, count, hop, shortest, longest):
    """The fewest samples that any buckets of whole hops take, by trying all whose last is the longest."""
    last = whole(max(longest, shortest), hop)
    others = [length for length in range(hop, last, hop) if length >= shortest]
    tried = (itertools.combinations(others, size) for size in range(min(count, len(others) + 1)))
    return min(taken(samples, (*chosen, last)) for chosen in itertools.chain(*tried))


@pytest.mark.parametrize("seed", range(60))
def test_no_other_buckets_pad_less(seed):
    generator = np.random.default_rng(seed)
    hop, shortest, longest = (int(generator.integers(*span)) for span in ((1, 40), (1, 60), (80, 500)))
    hop = max(hop, longest // 16)
    samples = generator.integers(1, 600, generator.integers(1, 12)).tolist()
    count = int(generator.integers(1, 5))
    found = choose_buckets(samples, count, hop, shortest, longest)
    assert len(found) <= count
    assert list(found) == sorted(set(found))
    assert all(bucket % hop == 0 and bucket >= shortest for bucket in found)
    assert found[-1] == whole(max(longest, shortest), hop)
    assert taken(samples, found) == least(samples, count, hop, shortest, longest)


def test_a_worked_example():
    samples = [100, 110, 120, 500, 510, 990, 1000]
    assert choose_buckets(samples, 3, 10, 10, 1000) == (120, 510, 1000)
    assert choose_buckets(samples, 2, 10, 10, 1000) == (120, 1000)  # 360 + 4000; (510, 1000) takes 4550
    assert choose_buckets(samples, 1, 10, 10, 1000) == (1000,)


def test_no_more_buckets_than_lengths():
    assert choose_buckets([700] * 9, 4, 100, 1, 700) == (700,)
    assert choose_buckets([650, 700, 640], 4, 100, 1, 700) == (700,)


def test_many_recordings_take_no_time():
    samples = np.random.default_rng(0).gamma(4, 3 * RATE, 50_000).astype(int) + 400
    found = choose_buckets(samples, 6, HOP, 400, 30 * RATE)
    assert len(found) == 6
    assert found[-1] == 30 * RATE


def test_lengths_of_a_set_become_buckets():
    lengths = Lengths((1.0, 1.01, 3.0, 9.999, 45.0), "somewhere/set.tsv", count=3, longest=10.0)
    buckets = lengths.buckets(AUDIO)
    assert buckets == (whole(16160, HOP), 3 * RATE, 10 * RATE)
    facts = lengths.facts(AUDIO, buckets)
    assert (facts["set"], facts["recordings"], facts["longer"]) == ("set.tsv", 5, 1)
    heard = 16000 + 16160 + 48000 + 159984 + 160000
    assert facts["padding"] == pytest.approx(1 - heard / (2 * 16320 + 48000 + 2 * 160000), abs=1e-4)


def test_there_is_room_for_the_self_check():
    assert Lengths((0.5, 0.3), count=2).buckets(AUDIO) == (whole(8000, HOP), 2 * RATE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seconds": ()}, "got none"),
        ({"seconds": (1.0, float("nan"))}, "in seconds, above 0"),
        ({"count": 0}, "at least 1 bucket, got 0"),
        ({"longest": 1.0}, "must hold the 2 s of a bundle's self-check, got 1 s"),
        ({"longest": float("inf")}, "got inf s"),
    ],
)
def test_what_leads_to_no_buckets_is_refused(values, message):
    with pytest.raises(ExportError, match=message):
        Lengths(**{"seconds": (1.0,), **values})
