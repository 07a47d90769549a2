"""Whether a text is what a recording says, and which of its words the recording does not have."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .. import greedy as ctc
from .layout import WORST, Layout
from .splitting import Part, needed
from .trellis import Ids, Scores
from .viterbi import best_paths, emitted

POOR = WORST / 2  # nats below the best token of a frame: the mean of a word's letters, if it is not what is said there
POOR_LETTERS = 5  # letters of poor words that follow each other
UNSAID = 0.75 * WORST  # nats, likewise: the mean of a word that may not be said at all
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
    positions = np.arange(tokens.start, tokens.stop)
    word = np.searchsorted(layout.starts, positions, side="right") - 1
    return np.where(layout.is_letter[tokens], word, -1)


def _has_poor_word(lacking: Scores, path: Ids, word: Ids) -> bool:
    is_token = path & 1 == 1
    tokens = path[is_token] >> 1
    count = np.bincount(tokens, minlength=len(word))
    mean = np.bincount(tokens, lacking[is_token], minlength=len(word)) / np.maximum(count, 1)
    letters = word >= 0
    numbers = word[letters] - word[letters].min(initial=0)
    size = np.bincount(numbers)
    is_poor = np.append(np.bincount(numbers, mean[letters]) > POOR * size, False)
    total = np.append(0, np.cumsum(np.where(is_poor[:-1], size, 0)))
    ends = np.flatnonzero(~is_poor)
    return bool((np.diff(total[ends], prepend=0) >= POOR_LETTERS).any())


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


def loosely(emissions: Scores, layout: Layout, parts: Sequence[Part], blank: int) -> list[Frames]:
    """The frames of each part's tokens, where words may be left out; those of words that the recording lacks are -1."""
    pieces = [layout.piece(*part, is_loose=True) for part in parts]
    paths = best_paths(emissions, pieces, blank)
    letters = _recognised(emissions, layout, blank)
    fits = []
    for (frames, tokens), path in zip(parts, paths, strict=True):
        first, last = token_frames(path, tokens.stop - tokens.start)
        for run in _left_out(layout, tokens, first):
            _restore(emissions, layout, (frames, tokens), run, (first, last), letters, blank)
        fits.append((first, last))
    return fits


def _recognised(emissions: Scores, layout: Layout, blank: int) -> Ids:
    """The frames in which the model begins a letter, of any that the text has, without the text."""
    ids = ctc.greedy(emissions)
    is_first = np.append(True, ids[1:] != ids[:-1])
    return np.flatnonzero(is_first & (ids != blank) & np.isin(ids, layout.tokens[layout.is_letter]))


def _restore(
    emissions: Scores, layout: Layout, part: Part, run: slice, fitted: Frames, letters: Ids, blank: int
) -> None:
    """Put back words that were left out, if there is speech where they belong: they are only said in another way."""
    (frames, tokens), (first, last) = part, fitted
    start = int(last[: run.start].max(initial=0))
    behind = first[run.stop :]
    stop = int(behind[behind >= 0].min(initial=frames.stop - frames.start))
    there, whole = layout.tokens[tokens][run], slice(tokens.start + run.start, tokens.start + run.stop)
    stretch = slice(frames.start + start, frames.start + stop)
    others = np.diff(np.searchsorted(letters, (stretch.start, stretch.stop)))[0]
    is_open = layout.is_open[whole.start : whole.stop + 1].any()  # the speech is that of something else
    if others < OTHER * np.count_nonzero(layout.is_letter[whole]) or stop - start < needed(there) or is_open:
        return
    (path,) = best_paths(emissions, [layout.piece(stretch, whole)], blank)
    inner = token_frames(path, len(there))
    first[run], last[run] = inner[0] + start, inner[1] + start


def leave_out_unsaid(emissions: Scores, layout: Layout, frames: Frames, blank: int) -> None:
    """Take the frames from words that have no sound of theirs, and no other between the words beside them."""
    first, last = frames
    is_there = (first >= 0) & layout.is_letter
    token, frame = _each_frame(np.where(is_there, first, 0), np.where(is_there, last, 0))
    lacking = np.minimum(emissions[frame].max(axis=1) - emissions[frame, layout.tokens[token]], WORST)
    mean = np.bincount(token, lacking, minlength=len(first)) / np.maximum(last - first, 1)
    total = np.append(0, np.cumsum(mean))
    size = layout.ends - layout.starts
    poor = np.flatnonzero(total[layout.ends] - total[layout.starts] > UNSAID * size)
    if not len(poor):
        return
    before = np.append(0, np.maximum.accumulate(np.where(is_there, last, 0)))[layout.starts[poor]]
    later = np.where(is_there, first, len(emissions))[::-1]
    behind = np.append(np.minimum.accumulate(later)[::-1], len(emissions))[layout.ends[poor]]
    letters = _recognised(emissions, layout, blank)
    is_silent = np.searchsorted(letters, before) == np.searchsorted(letters, behind)
    for word in poor[is_silent]:
        tokens = slice(layout.starts[word], layout.ends[word])
        first[tokens] = last[tokens] = -1


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
    token, frame = _each_frame(first, last)
    values = np.exp(emissions[frame, tokens[token]], dtype=np.float64)
    return np.bincount(token, values, minlength=len(tokens)) / np.maximum(last - first, 1)


def _each_frame(first: Ids, last: Ids) -> tuple[Ids, Ids]:
    """For every frame of every token, the token and the frame."""
    count = np.maximum(last - first, 0)
    token = np.repeat(np.arange(len(first)), count)
    return token, np.repeat(first, count) + np.arange(len(token)) - np.repeat(np.cumsum(count) - count, count)
