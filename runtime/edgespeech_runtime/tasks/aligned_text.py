"""From the frames of a given text's tokens to a transcript of its words and characters, in seconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..bundle.manifest import Vocabulary
from ..ctc.alignment import Alignment, Bias, Timed
from ..ctc.alignment.edges import Seconds, word_edges
from ..ctc.alignment.spelling import ANYTHING, Letter
from ..results.transcript import AlignedCharacter, AlignedWord, Character, Timing, Transcript, Word

USUAL = 0.08  # seconds of a letter of which nothing is known but its neighbours


@dataclass
class _Letter:
    """A character of a word, with seconds; NaN as long as they are unknown."""

    word: int
    text: str
    start: float
    end: float
    probability: float
    weight: int
    timing: Timing


def transcript(
    alignment: Alignment, vocabulary: Vocabulary, frame: float, duration: float, levels: Seconds, bias: Bias
) -> Transcript:
    """The words of an alignment with times; `frame` and `duration` in seconds, `levels` the recording's loudness.

    Words and letters that were not measured are put between their neighbours.
    """
    silent = [vocabulary.blank, *vocabulary.special, vocabulary.delimiter_id or vocabulary.blank]
    letter_times: Seconds = np.flatnonzero(~np.isin(alignment.best, silent)) * np.float64(frame)
    words = [timed for timed in alignment.words if timed.word.text != ANYTHING]
    letters = [letter for number, timed in enumerate(words) for letter in _letters(number, timed, frame, duration)]
    _interpolate(letters, letter_times, frame, duration)
    edges = _edges(letters, len(words), levels, bias)
    aligned: list[Word] = list(_words(words, letters, edges))
    characters: list[Character] = [
        AlignedCharacter(each.text, each.start, each.end, each.probability, each.timing) for each in letters
    ]
    return Transcript(" ".join(timed.word.text for timed in words), aligned, characters, duration)


def _letters(number: int, timed: Timed, frame: float, duration: float) -> Iterator[_Letter]:
    """The characters of a word; of several tokens of one character, and of one token of several, there is one."""
    is_absent = len(timed.start_frames) > 0 and bool((timed.start_frames < 0).all())
    groups: dict[tuple[int, int], list[Letter]] = {}
    for letter in timed.word.letters:
        groups.setdefault((letter.first, letter.last), []).append(letter)
    for (first, last), group in groups.items():
        text = timed.word.text[first:last]
        tokens = [letter.token for letter in group if letter.token is not None]
        if is_absent or not tokens:
            yield _Letter(number, text, np.nan, np.nan, 0.0, 0, "absent" if is_absent else "interpolated")
        else:
            start, end = (float(at) * frame for at in (timed.start_frames[tokens[0]], timed.end_frames[tokens[-1]]))
            count = (timed.end_frames - timed.start_frames)[tokens]
            mean = float(np.average(timed.probability[tokens], weights=count))
            yield _Letter(number, text, min(start, duration), min(end, duration), mean, int(count.sum()), "audio")


def _interpolate(letters: list[_Letter], letter_times: Seconds, frame: float, duration: float) -> None:
    """Give times to letters that have none; `letter_times` are those of frames in which a letter is most probable."""
    at = 0
    while at < len(letters):
        stop = at
        while stop < len(letters) and letters[stop].timing != "audio":
            stop += 1
        low = letters[at - 1].end if at else 0.0
        high = letters[stop].start if stop < len(letters) else duration
        run = [letter for letter in letters[at:stop] if letter.timing == "interpolated"]
        if run:
            start, end = _room(letter_times, low, high, len(run), frame, is_first=at == 0)
            for position, letter in enumerate(run):
                letter.start = start + (end - start) * position / len(run)
                letter.end = start + (end - start) * (position + 1) / len(run)
        last = low
        for letter in letters[at:stop]:  # what the audio does not have takes no time
            if letter.timing == "absent":
                letter.start = letter.end = last
            last = letter.end
        at = stop + 1


def _room(
    letter_times: Seconds, low: float, high: float, count: int, frame: float, is_first: bool
) -> tuple[float, float]:
    """Where so many letters are between two times: where any letter is probable, else next to what is known."""
    inner = letter_times[(letter_times >= low - frame / 2) & (letter_times < high - frame / 2)]
    if len(inner):
        return max(low, float(inner[0])), min(high, float(inner[-1]) + frame)
    size = min(high - low, count * USUAL)
    return (high - size, high) if is_first else (low, low + size)


def _edges(letters: list[_Letter], count: int, levels: Seconds, bias: Bias) -> npt.NDArray[np.float64]:
    """Beginning and end of each word, `[words, 2]`, NaN for one without letters; its outer letters get them too."""
    outer: dict[int, tuple[_Letter, _Letter]] = {}
    for letter in letters:
        if letter.timing != "absent":
            outer[letter.word] = (outer.get(letter.word, (letter,))[0], letter)
    edges = np.full((count, 2), np.nan)
    starts = np.array([first.start for first, _ in outer.values()])
    ends = np.array([last.end for _, last in outer.values()])
    begins, stops = word_edges(starts, ends, levels, bias)
    for (word, (first, last)), start, end in zip(outer.items(), begins.tolist(), stops.tolist(), strict=True):
        edges[word] = start, end
        first.start, last.end = start, end
    for one, other in pairwise(letters):  # edges may have moved over the letters beside them
        one.end = max(one.start, one.end)
        other.start, other.end = max(one.start, other.start), max(one.start, other.end)
    return edges


def _words(words: list[Timed], letters: list[_Letter], edges: npt.NDArray[np.float64]) -> Iterator[AlignedWord]:
    """Each word with its times; those without any stand at the end of the word before, or the beginning of the next."""
    own: list[list[_Letter]] = [[] for _ in words]
    for letter in letters:
        own[letter.word].append(letter)
    aligned = np.flatnonzero(~np.isnan(edges[:, 0]))
    last = float(edges[aligned[0], 0]) if len(aligned) else 0.0
    for timed, mine, (start, end) in zip(words, own, edges.tolist(), strict=True):
        measured = [letter for letter in mine if letter.timing == "audio"]
        timing: Timing = "audio" if measured else ("absent" if timed.word.tokens else "interpolated")
        weights = [letter.weight for letter in measured]
        mean = float(np.average([letter.probability for letter in measured], weights=weights)) if measured else 0.0
        if start != start:  # NaN
            start = end = last
        for letter in mine:
            if letter.timing == "absent":
                letter.start = letter.end = last
        yield AlignedWord(timed.word.text, start, end, mean, timing)
        last = end
