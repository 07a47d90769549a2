"""Where the beams of each frame come from. What they emitted is laid out once, for those that are left at the end."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .alphabet import TokenTable
from .beams import BEGINS, EMITTED, END, FIRST, LAST, NO_TOKEN, PATH, TOKEN, Beams, Floats, Ints
from .merging import INDICES
from .paths import PathTree

SAME = np.zeros(len(INDICES), np.int64)


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
