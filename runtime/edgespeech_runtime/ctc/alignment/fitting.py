"""Whether a text is what a recording says, and which of its words the recording does not have."""

import numpy as np
import numpy.typing as npt

from .. import greedy as ctc
from .layout import WORST, Layout
from .splitting import Part, needed
from .trellis import Ids, Scores
from .viterbi import best_paths, emitted

POOR = WORST / 2  # nats below the best token of a frame: the mean of a word's letters, if it is not what is said there
STRAY = 3 * WORST  # nats between two words that the text has next to each other: three letters
OTHER = 0.5  # letters that the model recognises, for each of a word that is not among them: it is said in another way

LARGEST = 2**26  # frames x tokens of the search that may leave out words: three bytes for each

Frames = tuple[Ids, Ids]  # the first frame of each token, and the one behind its last; -1 for a token that is left out


def token_frames(path: Ids, count: int) -> Frames:
    """The frames of each of `count` tokens on a path of states, `[count]` each."""
    first, last = np.full(count, -1), np.full(count, -1)
    begins = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    ends = np.append(begins[1:], len(path))
    is_token = path[begins] & 1 == 1
    tokens = path[begins[is_token]] >> 1
    first[tokens], last[tokens] = begins[is_token], ends[is_token]
    return first, last


def fits(emissions: Scores, layout: Layout, part: Part, path: Ids, blank: int) -> bool:
    """Whether every word of a part has sound of its own on a path, and every sound between words is short."""
    frames, tokens = part
    here = emissions[frames]
    ids = emitted(path, layout.tokens[tokens], blank)
    lacking = np.minimum(here.max(axis=1) - here[np.arange(len(ids)), ids], WORST)  # nats below the best of a frame
    return not (
        _has_poor_word(lacking, path, _words(layout, tokens)) or _has_stray_speech(lacking, path, layout, tokens)
    )


def _words(layout: Layout, tokens: slice) -> Ids:
    """The number of the word that each token is of; -1 for delimiters."""
    places = np.arange(tokens.start, tokens.stop)
    word = np.searchsorted(layout.starts, places, side="right") - 1
    return np.where(layout.is_letter[tokens], word, -1)


def _has_poor_word(lacking: Scores, path: Ids, word: Ids) -> bool:
    is_token = path & 1 == 1
    tokens = path[is_token] >> 1
    count = np.bincount(tokens, minlength=len(word))
    mean = np.bincount(tokens, lacking[is_token], minlength=len(word)) / np.maximum(count, 1)
    letters = word >= 0
    numbers = word[letters] - word[letters].min(initial=0)
    total = np.bincount(numbers, mean[letters])
    return bool((total > POOR * np.bincount(numbers)).any())


def _has_stray_speech(lacking: Scores, path: Ids, layout: Layout, tokens: slice) -> bool:
    gap = _gap_of_states(layout, tokens)[path]
    total = np.bincount(gap[gap >= 0], lacking[gap >= 0])
    return bool((total > STRAY).any())


def _gap_of_states(layout: Layout, tokens: slice) -> Ids:
    """For each state the number of the gap between words that it is in; -1 for letters, blanks in words, open gaps."""
    word = _words(layout, tokens)
    before, after = np.append(-1, word), np.append(word, -1)  # of each blank
    inside = (before == after) & (before >= 0)
    count = np.searchsorted(layout.starts, np.arange(tokens.start, tokens.stop + 1), side="left")
    gap = np.where(inside | layout.is_open[tokens.start : tokens.stop + 1], -1, count)
    states = np.full(2 * len(word) + 1, -1)
    states[::2] = gap
    states[1::2] = np.where(word < 0, gap[1:], -1)
    return states


def can_be_loose(part: Part) -> bool:
    """Whether a part is small enough for the search that may leave out words."""
    frames, tokens = part
    return (frames.stop - frames.start) * (tokens.stop - tokens.start + 1) <= LARGEST


def loosely(emissions: Scores, layout: Layout, part: Part, blank: int) -> Frames:
    """The frames of a part's tokens, where words may be left out; those of words that the recording lacks are -1."""
    frames, tokens = part
    (path,) = best_paths(emissions, [layout.piece(frames, tokens, is_loose=True)], blank)
    first, last = token_frames(path, tokens.stop - tokens.start)
    spans = ctc.collapse(ctc.greedy(emissions[frames]), blank)
    letters = np.array([span.start_frame for span in spans if span.token_id in set(layout.tokens[layout.is_letter])])
    for run in _left_out(layout, tokens, first):
        before, after = last[: run.start], first[run.stop :]
        start = int(before.max(initial=0))
        stop = int(after[after >= 0].min(initial=frames.stop - frames.start))
        there = layout.tokens[tokens][run]
        others = np.count_nonzero((letters >= start) & (letters < stop))
        if others >= OTHER * np.count_nonzero(layout.is_letter[tokens][run]) and stop - start >= needed(there):
            place = slice(frames.start + start, frames.start + stop)
            whole = slice(tokens.start + run.start, tokens.start + run.stop)
            (path,) = best_paths(emissions, [layout.piece(place, whole)], blank)
            inner = token_frames(path, len(there))
            first[run], last[run] = inner[0] + start, inner[1] + start
    return first, last


def _left_out(layout: Layout, tokens: slice, first: Ids) -> list[slice]:
    """Runs of words without frames, without the delimiters around them."""
    lacking = (first < 0) & layout.is_letter[tokens]
    word = _words(layout, tokens)
    runs: list[slice] = []
    for number in np.unique(word[lacking]):
        at = np.flatnonzero(word == number)
        if runs and not (first[runs[-1].stop : at[0]] >= 0).any():
            runs[-1] = slice(runs[-1].start, int(at[-1]) + 1)
        else:
            runs.append(slice(int(at[0]), int(at[-1]) + 1))
    return runs


def probabilities(emissions: Scores, tokens: Ids, frames: Frames) -> npt.NDArray[np.float64]:
    """The mean probability of each token in its frames, `[tokens]`; 0 where it has none."""
    first, last = frames
    count = np.maximum(last - first, 0)
    token = np.repeat(np.arange(len(tokens)), count)
    offset = np.arange(len(token)) - np.repeat(np.cumsum(count) - count, count)
    values = np.exp(emissions[np.repeat(first, count) + offset, np.repeat(tokens, count)], dtype=np.float64)
    return np.bincount(token, values, minlength=len(tokens)) / np.maximum(count, 1)
