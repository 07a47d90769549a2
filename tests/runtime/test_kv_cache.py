"""The append-only cache: what each row sees, against the sequences that the rows stand for; and where columns lie."""

import numpy as np
import pytest
from edgespeech_runtime.bundle.contracts import Decoder
from edgespeech_runtime.generation.cache.columns import BLOCK, MASK_VALUE, Ancestry, Slots, bias

FACTS = Decoder(2, 3, 4, 10, None, "text.json", {})


def tokens_seen(seen, columns, batch, row):
    """The tokens in the columns that a row sees, in the order of the columns."""
    return [columns[batch][index] for index in np.flatnonzero(seen[batch, row])]


def test_a_prompt_sees_what_came_before():
    seen = Ancestry().begin(2, 3)
    expected = [[True, False, False], [True, True, False], [True, True, True]]
    np.testing.assert_array_equal(seen, [expected, expected])


@pytest.mark.parametrize("seed", range(10))
def test_each_row_sees_the_tokens_that_it_descends_from_and_no_others(seed):
    rng = np.random.default_rng(seed)
    batch, length = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    ancestry = Ancestry()
    columns = [[f"p{i}" for i in range(length)] for _ in range(batch)]
    rows = [[list(prompt)] for prompt in columns]
    ancestry.begin(batch, length)
    for step in range(12):
        beams = int(rng.integers(1, 6))  # it may change from call to call
        parents = rng.integers(0, len(rows[0]), (batch, beams))
        seen = ancestry.extend(parents)
        names = [f"{step}.{k}" for k in range(beams)]
        rows = [[[*before[parents[b, k]], names[k]] for k in range(beams)] for b, before in enumerate(rows)]
        columns = [[*known, *names] for known in columns]
        assert (ancestry.used, ancestry.depth) == (len(columns[0]), length + step + 1)
        assert seen.shape == (batch, beams, ancestry.used)
        for b in range(batch):
            for k in range(beams):
                assert tokens_seen(seen, columns, b, k) == rows[b][k]


def test_the_bias_hides_what_is_not_seen_and_slots_without_a_column():
    seen = np.array([[[True, False, True, False], [False, True, False, True]]])  # two columns, two new tokens
    found = bias(seen, slots=5)
    assert found.dtype == np.float32
    hidden = np.float32(MASK_VALUE)
    np.testing.assert_array_equal(found[0, 0], [0, hidden, hidden, hidden, hidden, 0, hidden])
    np.testing.assert_array_equal(found[0, 1], [hidden, 0, hidden, hidden, hidden, hidden, 0])
    assert np.exp(hidden) == 0
    assert np.isfinite(np.float16(MASK_VALUE))


def column(rng, new):
    """What a call gives: the new keys (batch, heads, head_dim, new) and values (batch, heads, new, head_dim)."""
    shapes = {"key": (1, 3, 4, new), "value": (1, 3, new, 4)}
    return {
        f"new.{layer}.{kind}": rng.standard_normal(shape).astype(np.float32)
        for layer in range(2)
        for kind, shape in shapes.items()
    }


def test_slots_keep_every_column_in_its_place_however_often_they_grow():
    rng = np.random.default_rng(0)
    slots, calls, used, grown = Slots(FACTS, batch=1), [], 0, 0
    for new in [5, *[3] * (2 * BLOCK), 7, 1]:
        grown += slots.reserve(used + new, new)
        calls.append(column(rng, new))
        slots.write(used, calls[-1])
        used += new
        assert slots.count >= used
    assert 1 < grown <= 4  # room is made for many calls at a time
    assert set(slots.arrays) == {f"cache.{layer}.{kind}" for layer in range(2) for kind in ("key", "value")}
    for name, array in slots.arrays.items():
        axis = 3 if name.endswith("key") else 2
        expected = np.concatenate([call[name.replace("cache", "new")] for call in calls], axis=axis)
        np.testing.assert_array_equal(np.take(array, range(used), axis=axis), expected)
        assert not np.take(array, range(used, slots.count), axis=axis).any()


def test_room_that_is_there_is_not_made_again():
    slots = Slots(FACTS, batch=2)
    assert slots.reserve(4, 2)
    arrays = dict(slots.arrays)
    assert slots.count == 4 + (BLOCK - 1) * 2
    assert not slots.reserve(slots.count, 2)
    assert all(slots.arrays[name] is array for name, array in arrays.items())
    assert slots.arrays["cache.1.key"].shape == (2, 3, 4, slots.count)
    assert slots.arrays["cache.1.value"].shape == (2, 3, slots.count, 4)
