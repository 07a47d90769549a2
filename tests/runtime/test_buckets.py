"""Graphs of fixed shapes: which bucket hears an utterance, what it is given, and where longer audio is cut."""

import numpy as np
import pytest
from edgespeech_runtime.audio.buckets import CONTEXT_SECONDS, Buckets
from edgespeech_runtime.bundle.contracts import Decoder, Static, static_contract
from edgespeech_runtime.bundle.manifest import Audio, Frames
from edgespeech_runtime.errors import ArgumentError, AudioError, BundleError
from edgespeech_runtime.generation.cache.columns import Ancestry
from edgespeech_runtime.generation.cache.static_decoder import StaticDecoder

RATE = 16000  # Hz
PUBLISHED = Frames((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), (0,) * 7)
ADAPTER = Frames((9, 4, 3, 3), (4, 3, 2, 2), (0, 0, 0, 1))
CASES = {"published": (PUBLISHED, 320, 400), "adapter": (ADAPTER, 48, 29)}


def buckets(case, *samples):
    frames, hop, shortest = CASES[case]
    return Buckets(Static(samples, (1, 3), -1e4), Audio(RATE, True, hop, shortest), frames)


def test_the_smallest_bucket_that_holds_an_utterance_hears_it():
    found = buckets("published", 32000, 80000)
    assert [found.choose(samples) for samples in (400, 31999, 32000, 32001, 80000)] == [32000] * 3 + [80000] * 2


def test_an_utterance_that_none_holds_is_refused_with_the_longest():
    with pytest.raises(AudioError, match=r"at most 5 s of audio.*got 5\.00006 s"):
        buckets("published", 32000, 80000).choose(80001)


def test_masks_are_one_on_real_frames_alone():
    found = buckets("published", 32000).inputs(np.ones((1, 20000), np.float32), 32000)
    assert found["input_values"].shape == (1, 32000)
    assert found["input_values"].sum() == 20000
    for depth in (1, 3):
        mask = found[f"mask.{depth}"]
        assert mask.shape == (1, PUBLISHED.count(32000, depth))
        assert mask.dtype == np.float32
        assert mask.sum() == mask[0, : PUBLISHED.count(20000, depth)].sum() == PUBLISHED.count(20000, depth)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("longest", [32000, 48017, 160000])
def test_windows_keep_each_frame_of_the_whole_once_and_in_order(case, longest):
    frames, hop, _ = CASES[case]
    context = min(CONTEXT_SECONDS * RATE, longest / 4)
    for samples in (400, longest, longest + 1, longest + hop, 2 * longest - 1, 2 * longest, 5 * longest + 12345):
        windows = list(buckets(case, longest).windows(samples))
        kept = [window.start // hop + frame for window in windows for frame in range(window.first, window.last)]
        assert kept == list(range(frames.count(samples)))
        for index, window in enumerate(windows):
            assert window.start % hop == 0
            assert 0 < window.stop - window.start <= longest
            assert window.stop <= samples
            assert 0 <= window.first < window.last <= frames.count(window.stop - window.start)
            if index > 0:
                assert window.first * hop >= context - 2 * hop
            if window.stop < samples:
                assert window.stop - window.start - window.last * hop >= context - 2 * hop


def test_audio_that_fits_is_one_window():
    (window,) = buckets("published", 32000).windows(31999)
    assert tuple(window) == (0, 31999, 0, PUBLISHED.count(31999))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"buckets": ()}, "buckets"),
        ({"buckets": (5, 2)}, "buckets"),
        ({"buckets": (2, 2)}, "buckets"),
        ({"masks": (0,)}, "masks"),
        ({"hidden": 0.0}, "hidden"),
        ({"slots": -1}, "slots"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(values, message):
    with pytest.raises(BundleError, match=message):
        Static(**{"buckets": (2, 5), "masks": (1,), "hidden": -1e4, **values})


def test_what_the_last_rows_see_is_all_that_is_kept():
    ancestry = Ancestry()
    ancestry.begin(1, 2)  # columns 0, 1
    ancestry.extend(np.array([[0, 0, 0]]))  # 2, 3, 4
    ancestry.extend(np.array([[1, 1, 2]]))  # 5 and 6 of 3, 7 of 4
    kept = ancestry.forget(np.array([[0, 1]]))
    np.testing.assert_array_equal(kept, [0, 1, 3, 5, 6])
    seen = ancestry.extend(np.array([[0, 1]]))  # the rows that were named, in their order
    np.testing.assert_array_equal(seen[0], [[1, 1, 1, 1, 0, 1, 0], [1, 1, 1, 0, 1, 0, 1]])


FACTS = Decoder(1, 1, 2, 5, 100, "text.json", {})


class Watched:
    """A graph that writes each token into its column, and checks nothing."""

    def __init__(self, new, slots):
        self.new, self.slots, self.inputs, self.calls = new, slots, {}, []

    def set(self, inputs):
        self.inputs.update(inputs)

    def run(self):
        tokens = self.inputs["tokens"]
        mask = self.inputs["attention_mask"]
        assert tokens.shape == self.inputs["cache_position"].shape == (1, self.new)
        assert mask.shape == (1, self.new, self.slots + self.new)
        known = np.concatenate((self.inputs["cache.0.value"][0, 0, :, 0], tokens[0].astype(np.float32)))
        seen = [[int(token) for token in known[row == 0]] for row in mask[0]]
        self.calls.append(seen)
        value = np.repeat(tokens[:, None, :, None], 2, axis=3).astype(np.float32)
        logits = np.zeros((1, self.new, 5), np.float32)
        logits[0, :, 0] = [sum(row) for row in seen]
        return {"logits": logits, "new.0.key": value.transpose(0, 1, 3, 2), "new.0.value": value}


def decoder(slots):
    graphs = {4: Watched(4, slots), 1: Watched(1, slots)}
    cross = {"cross.0.key": np.zeros((1, 1, 2, 6), np.float32), "cross.0.value": np.zeros((1, 1, 6, 2), np.float32)}
    return StaticDecoder(FACTS, Static((2,), (1,), -99.0, 4, slots), graphs, cross, frames=4), graphs


def test_the_frames_behind_an_utterance_are_hidden():
    _, graphs = decoder(8)
    np.testing.assert_array_equal(graphs[1].inputs["cross_bias"], [[0, 0, 0, 0, -99, -99]])


def test_a_long_prompt_and_many_beams_are_read_in_pieces():
    found, graphs = decoder(32)
    found.start(np.array([[1, 2, 3, 4, 5, 6]]))  # 4 and 2
    assert [row for call in graphs[4].calls for row in call][:6] == [list(range(1, n + 1)) for n in range(1, 7)]
    sums = found.extend(np.array([[10, 20, 30, 40, 50]]), np.zeros((1, 5), np.int64))[0, :, 0]  # 4 and 1
    np.testing.assert_array_equal(sums, 21 + np.array([10, 20, 30, 40, 50]))
    sums = found.extend(np.array([[100, 200]]), np.array([[4, 0]]))[0, :, 0]
    np.testing.assert_array_equal(sums, [21 + 50 + 100, 21 + 10 + 200])


def test_a_full_cache_forgets_what_no_row_descends_from():
    found, _ = decoder(8)
    found.start(np.array([[1]]))
    total = 1
    for token in range(2, 8):  # 1 + 6 * 2 columns in 8 slots; both rows always descend from the first
        sums = found.extend(np.array([[token, 100]]), np.array([[0, 0]]))[0, :, 0]
        total += token
        np.testing.assert_array_equal(sums, [total, total - token + 100])


def test_a_cache_that_cannot_hold_the_rows_says_so():
    found, _ = decoder(8)
    with pytest.raises(ArgumentError, match=r"8 columns, and 9 are needed: use fewer beams or tokens, or export"):
        found.start(np.arange(9)[None])
    found, _ = decoder(8)
    found.start(np.arange(1, 5)[None])
    with pytest.raises(ArgumentError, match=r"8 columns, and 9 are needed"):
        found.extend(np.arange(5)[None], np.zeros((1, 5), np.int64))


def test_the_contract_names_a_graph_for_each_bucket():
    static = Static((32, 80), (1, 7), -1e4, 4, 64)
    assert list(static_contract("ctc", static)) == ["single_32", "single_80"]
    inputs, _ = static_contract("ctc", static)["single_32"]
    assert [tensor.name for tensor in inputs] == ["input_values", "mask.1", "mask.7"]
    found = static_contract("encoder-decoder", static, FACTS)
    assert list(found) == ["encoder_32", "encoder_80", "prefill", "step"]
    names = [tensor.name for tensor in found["step"][0]]
    assert names[:4] == ["tokens", "cache_position", "attention_mask", "cross_bias"]
