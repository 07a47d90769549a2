"""Words with times as subtitles: which words make a cue, where its line breaks, how long it stays.

The rules are those of broadcasters. Netflix's Timed Text Style Guide (English): at most two lines of 42 letters, 7 s at
most, about 17 letters a second (20 for adults), lines that break behind punctuation and before conjunctions; the
BBC's Subtitle Guidelines: cues follow the sentences and clauses of speech, and no word stands alone without need. A
cue is one sequence of words without a long pause; which sequences, is the cheapest way through all of them.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from .caption_units import WIDTH, Unit, units, width
from .transcript import Word

LEAST, LONGEST = 0.7, 7.0  # seconds that a cue is shown
PAUSE = 0.8  # seconds of silence that end a cue
READING = 17.0  # letters a second; a cue stays as long as it takes, if no other one follows
SHORT_WORD = 8  # letters up to which a word does not stand alone if it can be helped
LITTLE = 16  # letters of a cue below which it had better be more
LITTLE_TIME = 1.0  # seconds, likewise
JOINING_WORD = 3  # letters of a word that belongs to the next one more often than not: articles, prepositions
AT_ONCE = 160  # words without a pause that are divided together

SENTENCE_ENDS, CLAUSE_ENDS = ".?!…。！？؟।", ",;:،、，；：—–"
QUOTES = "\"'”’»)]}」』）"
ABBREVIATIONS = frozenset({"mr", "mrs", "ms", "dr", "st", "prof", "vs", "no", "jr", "sr", "rev", "gen", "col", "capt"})

# What it costs to divide words so; the numbers are of our own, tried on read speech and on letters.
CUE = 1.0  # each one
BREAK = 1.2  # a cue's end where no clause ends and nobody pauses
INSIDE = 1.1  # a sentence's end within a cue
FULL = 0.5  # a cue of the greatest size; it is squared, so that sizes become alike
ALONE, FLEETING = 100.0, 30.0  # a short word alone; a cue that cannot be shown for `LEAST`
JOINED_WORD = 0.4  # an end behind a short word


class Cue(NamedTuple):
    """One subtitle of one or two lines; times in seconds, in whole milliseconds."""

    text: str
    start: float
    end: float


class CueBuilder:
    """Gives cues as soon as nothing can change them: the same ones however the words come."""

    def __init__(self) -> None:
        self._group: list[Unit] = []  # units since the last pause
        self._last: Unit | None = None
        self._free = 0.0  # seconds from which on the next cue may be shown

    def add(self, text: str, words: Iterable[Word]) -> list[Cue]:
        """Take the next words, and the text that they are in; return cues that are final."""
        cues: list[Cue] = []
        for unit, replaces in units(text, words, self._last):
            if replaces:
                self._group[-1] = unit
            else:
                cues += self._ended_by(unit)
                self._group.append(unit)
            self._last = unit
        return cues

    def open_cues(self) -> list[Cue]:
        """The last cues as they are if nothing follows."""
        return timed(divided(self._group, is_whole=True), self._free, math.inf)

    def finish(self) -> list[Cue]:
        """The last cues."""
        cues, self._group = self.open_cues(), []
        return cues

    def _ended_by(self, unit: Unit) -> list[Cue]:
        """The cues that end where this unit follows: before a pause, or the first ones of many words without any."""
        group, count = self._group, 0
        if group and unit.start - group[-1].end >= PAUSE:
            parts = divided(group, is_whole=True)
            count, following = len(group), unit.start
        elif len(group) >= AT_ONCE:
            parts = []
            for part in divided(group, is_whole=False):
                if count + len(part) > AT_ONCE // 2:
                    break
                parts.append(part)
                count += len(part)
            following = group[count].start
        if not count:
            return []
        cues = timed(parts, self._free, following)
        self._free, self._group = cues[-1].end, group[count:]
        return cues


def timed(parts: Sequence[Sequence[Unit]], free: float, following: float) -> list[Cue]:
    """Cues of units, not before `free`; `following` is when the unit behind all of them begins.

    A cue is shown from its first word on, until its last one has ended and it can be read, but never for less than
    `LEAST`, which only the words of odd times do not leave.
    """
    starts = [*(part[0].start for part in parts), following]
    cues = []
    for part, behind in zip(parts, starts[1:], strict=True):
        start = _milliseconds(max(part[0].start, free))
        text = lines(part)
        readable = max(part[-1].end, start + width(text) / READING)
        end = max(start + LEAST, min(readable, behind, start + LONGEST))
        free = _milliseconds(end)
        cues.append(Cue(text, start, free))
    return cues


def _milliseconds(seconds: float) -> float:
    return math.floor(1000 * seconds + 0.5) / 1000


def lines(part: Sequence[Unit]) -> str:
    """The text of a cue: one line where it fits, else two of about the same width, best broken behind a clause."""
    sizes = _sizes(part)
    if sizes[-1] <= WIDTH:
        return _text(part)

    def cost(at: int) -> float:
        first, second = sizes[at], sizes[-1] - sizes[at] - len(part[at].gap)
        badness = 0.3 * (1 - strength(part[at - 1], part[at])) + 0.15 * _joins(part[at - 1])
        return abs(first - second) / WIDTH + badness + 0.05 * (first > second) + 100 * (max(first, second) > WIDTH)

    best = min(range(1, len(part)), key=cost)
    return f"{_text(part[:best])}\n{_text(part[best:])}"


def _text(part: Sequence[Unit]) -> str:
    return part[0].text + "".join(unit.gap + unit.text for unit in part[1:])


def _sizes(part: Sequence[Unit]) -> list[float]:
    """[units + 1]: the width of so many units, with what stands between them."""
    first, *others = part
    return list(accumulate([width(first.text), *(len(unit.gap) + width(unit.text) for unit in others)], initial=0.0))


def strength(before: Unit, behind: Unit) -> float:
    """How clearly speech pauses between two units: 1 at a sentence's end, less at a clause's, by the silence else."""
    text = before.text.rstrip(QUOTES) or before.text
    silence = min(1.0, max(0.0, behind.start - before.end) / PAUSE)
    if text[-1] in SENTENCE_ENDS and not (text[-1] == "." and _is_abbreviation(text[:-1])):
        return 1.0
    return max(silence, 0.6 if text[-1] in CLAUSE_ENDS else 0.0)


def _is_abbreviation(text: str) -> bool:
    return text.lower() in ABBREVIATIONS or (len(text) == 1 and text.isupper())


def _joins(unit: Unit) -> bool:
    """Whether a unit had better stand with what follows: a short word without punctuation."""
    return len(unit.text) <= JOINING_WORD and unit.text[-1].isalpha()


def divided(group: Sequence[Unit], is_whole: bool) -> list[Sequence[Unit]]:
    """Units in cues, the cheapest way. `is_whole` says that a pause follows, or nothing."""
    if not group:
        return []
    costs = _Costs(group, is_whole)
    best, origins = [0.0], [0]
    for end in range(1, len(group) + 1):
        options = ((best[start] + costs.cue(start, end), start) for start in costs.starts(end))
        cost, start = min(options)
        best.append(cost)
        origins.append(start)
    parts, end = [], len(group)
    while end:
        parts.append(group[origins[end] : end])
        end = origins[end]
    return parts[::-1]


class _Costs:
    """What a cue of some units of a group costs."""

    def __init__(self, group: Sequence[Unit], is_whole: bool) -> None:
        count = len(group)
        self._group, self._count, self._is_whole = group, count, is_whole
        self._sizes = _sizes(group)
        # Units of odd times end where the next one begins.
        self._ends = [min(unit.end, behind.start) for unit, behind in pairwise(group)] + [group[-1].end]
        pauses = [0.0, *(strength(*pair) for pair in pairwise(group))]
        joins = [False, *(_joins(unit) for unit in group[:-1])]
        # [units]: a cue's end before each, and the sum of what those cost that stand within a cue
        self._breaks = [BREAK * (1 - pause) + JOINED_WORD * join for pause, join in zip(pauses, joins, strict=True)]
        self._inside = list(accumulate((INSIDE * max(0.0, 2 * pause - 1) for pause in pauses), initial=0.0))
        self._lines = [self._line_end(start) for start in range(count)]

    def starts(self, end: int) -> Iterable[int]:
        """Where a cue can begin that ends there, from the last unit on backwards."""
        yield end - 1
        for start in range(end - 2, -1, -1):
            if self._width(start, end) > 2 * WIDTH + 1 or self._ends[end - 1] - self._group[start].start > LONGEST:
                return
            if self._lines[start] >= end or self._width(self._lines[start], end) <= WIDTH:
                yield start

    def cue(self, start: int, end: int) -> float:
        """The cost of units `start` to `end`."""
        is_last = end == self._count
        size = self._width(start, end)
        cost = CUE + FULL * (size / (2 * WIDTH)) ** 2 + self._inside[end] - self._inside[start + 1]
        if start == 0 and is_last and self._is_whole:
            return cost
        cost += 0.0 if is_last else self._breaks[end]
        cost += 1.5 * max(0.0, 1 - size / LITTLE) + ALONE * (end - start == 1 and size <= SHORT_WORD)
        if is_last:
            return cost
        seconds = self._group[end].start - self._group[start].start
        too_fast = max(0.0, 1 - seconds * READING / size)
        return cost + 0.5 * too_fast + max(0.0, LITTLE_TIME - seconds) + FLEETING * (seconds < LEAST)

    def _width(self, start: int, end: int) -> float:
        return self._sizes[end] - self._sizes[start] - (len(self._group[start].gap) if start else 0)

    def _line_end(self, start: int) -> int:
        """The unit that does not fit any more into a line that begins there."""
        end = start + 1
        while end < self._count and self._width(start, end + 1) <= WIDTH:
            end += 1
        return end
