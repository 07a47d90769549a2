"""What an export says of the edges of words: tokens that are off by a known time, and speech that shows nothing."""

import json

import numpy as np
import pytest
from edgespeech_export import ExportError
from edgespeech_export.word_edges import Recordings, measured
from edgespeech_runtime import load
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE
from tone_bundles import build
from tones import FRAME, spoken

BEFORE, BEHIND = 3, 5  # frames of sound before the first token of a word and behind its last


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return build("onnx", tmp_path_factory.mktemp("tones"))


def words(before=BEFORE, behind=BEHIND, count=9):
    """Recordings of one word each: silence, sound without a token, the letters, sound, silence."""
    frames = ["." * (10 + at) + "_" * before + "A_BB" + "_" * behind + "." * 40 for at in range(count)]
    return Recordings(tuple(lambda rate, text=text: spoken(text) for text in frames), "words")


def test_what_tokens_are_off_by_is_the_sound_around_them(bundle):
    edges, facts = measured(bundle, words())
    assert edges.start == pytest.approx(BEFORE * FRAME / 16000, abs=0.01)
    assert edges.end == pytest.approx(BEHIND * FRAME / 16000, abs=0.01)
    assert facts == {"recordings": "words", "beginnings": 9, "ends": 9}


def test_it_corrects_words_whose_edges_the_sound_does_not_show(bundle, tmp_path):
    edges, _ = measured(bundle, words())
    data = json.loads((bundle / MANIFEST_FILE).read_text(encoding="utf-8"))
    changed = build("onnx", tmp_path)
    (changed / MANIFEST_FILE).write_text(json.dumps(data | {"word_edges": vars(edges)}), encoding="utf-8")
    one_sound = spoken("_" * 12 + "AB" + "_" * 12)  # no pause anywhere
    with load(changed) as model:
        (word,) = model.align(one_sound, "ab").words
    assert (word.start, word.end) == pytest.approx((0.24 - edges.start, 0.28 + edges.end), abs=0.001)


@pytest.mark.parametrize(
    ("recordings", "reason"),
    [
        (words(count=7), "7 beginnings of words beside a pause, where at least 8 are needed"),
        (Recordings((), "nothing"), "0 beginnings"),
        (
            Recordings(tuple(s for n in (0, 12) for s in words(behind=n, count=6).sounds), "uneven"),
            "ends of words lie .* ms from their tokens, which is too vague",
        ),
    ],
)
def test_recordings_that_show_nothing_are_refused(bundle, recordings, reason):
    with pytest.raises(ExportError, match=reason):
        measured(bundle, recordings)


def test_without_recordings_of_ones_own_nothing_is_said_where_nothing_shows(bundle):
    edges, facts = measured(bundle, None)  # English, of which tones understand nothing
    assert edges is None
    assert "left_out" in facts


def test_too_long_and_too_short_recordings_are_left_out(bundle):
    few = words()
    others = (lambda rate: np.zeros(10, np.float32), lambda rate: np.zeros(26 * rate, np.float32))
    assert measured(bundle, Recordings((*few.sounds, *others), "more"))[0] == measured(bundle, few)[0]
