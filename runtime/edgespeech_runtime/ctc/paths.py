"""The tokens that beams have emitted: a tree of those of past frames, and which beam came of which in the last ones.

Tokens are laid out once for many frames, for the beams that are left behind them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .alphabet import TokenTable
from .beams import BEGINS, EMITTED, END, FIRST, LAST, NO_TOKEN, PATH, TOKEN, Beams, Floats, Ints, Path
from .merging import INDICES

ROOT = -1
EMPTY = Path(np.zeros((4, 0), np.int64), np.zeros(0))
SAME = np.zeros(len(INDICES), np.int64)


class PathTree:
    """Finished tokens, each with the index of the one before it."""

    def __init__(self, steps: Path, before: npt.NDArray[np.int64]) -> None:
        self._count = len(before)
        self._numbers, self._emitted = steps
        self._before = before

    def __len__(self) -> int:
        return self._count

    def extend(self, numbers: Ints, emitted: Floats, before: Ints) -> None:
        """Add finished tokens, `numbers [4, tokens]`, behind those at `before`."""
        self._numbers = np.concatenate([self._numbers, numbers], axis=1)
        self._emitted = np.concatenate([self._emitted, emitted])
        self._before = np.concatenate([self._before, before])
        self._count = len(self._before)

    def word(self, beams: Beams, index: int) -> list[int]:
        """The tokens of the word that a beam is writing."""
        numbers = beams.numbers
        tokens: list[int] = []
        begins = 0
        if numbers[TOKEN, index] != NO_TOKEN:
            tokens.append(int(numbers[TOKEN, index]))
            begins = int(numbers[BEGINS, index])
        step = int(numbers[PATH, index])
        while not begins and step != ROOT:
            token, _, _, begins = self._numbers[:, step].tolist()
            tokens.append(token)
            step = int(self._before[step])
        return tokens[::-1]

    def walk(self, beams: Beams, index: int) -> Path:
        """All tokens of a beam behind those that are certain, with the one being emitted."""
        steps: list[int] = []
        step = int(beams.numbers[PATH, index])
        while step != ROOT:
            steps.append(step)
            step = int(self._before[step])
        steps.reverse()
        numbers, emitted = self._numbers[:, steps], self._emitted[steps]
        if beams.numbers[TOKEN, index] != NO_TOKEN:
            last = beams.numbers[[TOKEN, FIRST, END, BEGINS], index]
            numbers = np.concatenate([numbers, last[:, None]], axis=1)
            emitted = np.append(emitted, beams.scores[EMITTED, index])
        return Path(numbers, emitted)

    def pruned(self, ends: Ints) -> tuple[Path, Path, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What beams ending at `ends` need: whole words that all share, other tokens, those before these, new ends."""
        before, kept = self._before[: self._count].tolist(), np.zeros(self._count + 1, bool)
        for end in set(ends.tolist()):
            step = end
            while step != ROOT and not kept[step]:
                kept[step] = True
                step = before[step]
        steps = np.flatnonzero(kept[:-1])
        children = np.bincount(self._before[steps] + 1, minlength=self._count + 1)
        ended = np.isin(np.arange(-1, self._count), ends)
        shared: list[int] = []
        at = ROOT
        while not ended[at + 1] and children[at + 1] == 1:
            at = int(steps[np.flatnonzero(self._before[steps] == at)[0]])
            shared.append(at)
        begun = np.flatnonzero(self._numbers[3, shared])
        shared = shared[: begun[-1]] if len(begun) else []  # the last word may be unfinished
        rest = np.setdiff1d(steps, shared, assume_unique=True)
        renumbered = np.full(self._count + 1, ROOT, np.int64)
        renumbered[rest] = np.arange(len(rest))
        return (
            self._part(np.array(shared, np.int64)),
            self._part(rest),
            renumbered[self._before[rest]],
            renumbered[ends],
        )

    def _part(self, steps: npt.NDArray[np.int64]) -> Path:
        return Path(self._numbers[:, steps], self._emitted[steps])


class Lineage:
    """The frames of a search since some beams: which beam before each came of, with which token."""

    def __init__(self, table: TokenTable, beams: Beams, tree: PathTree) -> None:
        self._table, self._start, self.tree = table, beams, tree
        self._frames: list[int] = []
        self._widths: list[int] = []  # beams before
        self._origins: list[Ints] = []  # by beam: a cell of the grid of tokens and beams before
        self._rows: list[Ints] = []  # of that grid
        self._nodes: list[Ints] = []
        self._tokens: list[Ints] = []
        self._logp: list[Floats] = []

    def note(self, frame: int, origins: Ints, rows: Ints, width: int, tokens: Ints, logp: Floats, nodes: Ints) -> None:
        """Add a frame that tries `tokens [tokens, 1]` over `width` beams."""
        self._frames.append(frame)
        self._widths.append(width)
        self._origins.append(origins)
        self._rows.append(rows)
        self._nodes.append(nodes)
        self._tokens.append(tokens)
        self._logp.append(logp)

    def repeat(self, frame: int, token: int, logp: float, nodes: Ints) -> None:
        """Add a frame in which all beams emit once more what they did before."""
        width = len(nodes)
        if width > len(INDICES):
            same, zeros = np.arange(width), np.zeros(width, np.int64)
        else:
            same, zeros = INDICES[:width], SAME[:width]
        self.note(frame, same, zeros, width, np.array([[token]]), np.array([[logp]]), nodes)

    def laid_out(self, width: int, lengths: Ints) -> tuple[Ints, Floats]:
        """The rows PATH to BEGINS of the `width` beams that are left, and their row EMITTED.

        Tokens that are finished go into the tree. `lengths`: those of words, by the rows of texts.
        """
        start = self._start
        rows = slice(PATH, BEGINS + 1)
        if not self._frames:
            return start.numbers[rows], start.scores[EMITTED]
        index = self._index(width)  # (frames + 1, beams): positions among the beams of each frame
        first, numbers = index[0], start.numbers.take(index[0], axis=1)
        offsets = np.cumsum([0, *map(len, self._nodes)])[:-1, None]
        cells = (index[1:] + offsets).T  # (beams, frames)
        options = np.concatenate(self._rows).take(cells) + np.cumsum([0, *map(len, self._tokens)])[:-1]
        tokens = np.concatenate(self._tokens)[:, 0].take(options)
        before = np.concatenate([numbers[LAST][:, None], tokens[:, :-1]], axis=1)
        emits = tokens != self._table.blank
        shown = np.where(self._table.lengths > 0, np.arange(len(self._table.lengths)), NO_TOKEN)
        begins = lengths.take(np.concatenate(self._nodes).take(cells)) == self._table.lengths.take(tokens)
        frames = np.broadcast_to(np.array(self._frames), tokens.shape)
        spans = _Spans(
            _with(np.ones(width, bool), emits & (tokens != before)),
            _with(np.ones(width, bool), emits),
            _with(numbers[TOKEN], shown.take(tokens)),
            _with(numbers[FIRST], frames),
            _with(numbers[END], frames + 1),
            _with(numbers[BEGINS], begins),
            _with(start.scores[EMITTED].take(first), np.exp(np.concatenate(self._logp)[:, 0]).take(options)),
        )
        return self._written(spans, index, numbers[PATH])

    def _index(self, width: int) -> Ints:
        bounds = np.cumsum([0, *map(len, self._origins)]).tolist()
        widths = np.repeat(self._widths, np.diff(bounds))
        parents = np.concatenate(self._origins) - np.concatenate(self._rows) * widths
        index = np.empty((len(self._frames) + 1, width), np.int64)
        here = np.arange(width)
        for frame in range(len(self._frames), 0, -1):
            index[frame] = here
            here = parents[bounds[frame - 1] : bounds[frame]].take(here)
        index[0] = here
        return index

    def _written(self, spans: "_Spans", index: Ints, paths: Ints) -> tuple[Ints, Floats]:
        """Write finished spans into the tree: one for all beams that came of the same beam in the same frame."""
        beam, frame = spans.beam, spans.frame
        last = np.append(beam[1:] != beam[:-1], True).nonzero()[0]  # spans that go on
        is_finished = spans.numbers[0] != NO_TOKEN
        is_finished[last] = False
        finished = is_finished.nonzero()[0]
        left = frame.take(finished + 1, mode="clip")  # where the next span begins
        owners = beam.take(finished)
        _, chosen, steps = np.unique(
            left * (index.max() + 1) + index[left - 1, owners], return_index=True, return_inverse=True
        )
        steps = steps.reshape(-1) + len(self.tree)
        goes_on = np.append(False, owners[1:] == owners[:-1]) if len(owners) else np.zeros(0, bool)
        before = np.where(goes_on, np.roll(steps, 1), paths.take(owners))
        ends = paths.copy()
        ends[owners] = steps  # of several, the last
        which = finished.take(chosen)
        self.tree.extend(spans.numbers[:, which], spans.emitted.take(which), before.take(chosen))
        return np.concatenate([ends[None], spans.numbers[:, last]]), spans.emitted.take(last)


class _Spans:
    """What beams emit, one after the other, as arrays over spans: their beam, the frame, as an index, in which they
    begin, `numbers` as in `Path`, and probabilities, summed."""

    def __init__(
        self, starts: Ints, emits: Ints, tokens: Ints, first: Ints, end: Ints, begins: Ints, probability: Floats
    ) -> None:
        """All are `[beams, frames]`, behind a column of what was being emitted before."""
        span = np.cumsum(starts.ravel()) - 1
        at = starts.ravel().nonzero()[0]
        self.beam, self.frame = np.divmod(at, starts.shape[1])
        which = emits.ravel().nonzero()[0]
        ends = np.zeros(len(at), np.int64)
        ends[span.take(which)] = end.ravel().take(which)  # of several, the last
        self.emitted: Floats = np.bincount(span.take(which), probability.ravel().take(which), len(at)).astype(
            np.float64
        )
        parts = [tokens.ravel().take(at), first.ravel().take(at), ends, begins.ravel().take(at)]
        self.numbers = np.stack(parts).astype(np.int64)
        silent = (self.numbers[0] == NO_TOKEN).nonzero()[0]
        self.numbers[1:, silent], self.emitted[silent] = 0, 0.0


def _with(before: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([before[:, None], values], axis=1)
