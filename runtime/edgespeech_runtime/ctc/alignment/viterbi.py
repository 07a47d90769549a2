"""The best path through the states of a trellis, of many pieces at once and within a bounded memory.

Small pieces run side by side, a frame of all of them at a time. A large one is gone through once for the scores at
every `BLOCK`-th frame, and then from its end, block by block, over the few states that the path can come from: its
memory grows with its tokens, not with frames times tokens.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .trellis import Flags, Ids, Piece, Scores, Trellis, Ways

CELLS = 2**25  # frames x tokens of the pieces that run side by side: three bytes for each
BLOCK = 512  # frames


def best_paths(emissions: Scores, pieces: Sequence[Piece], blank: int) -> list[Ids]:
    """The most probable path of each piece: the number of its state in each of its frames, `[frames]`.

    `emissions` are log-probabilities `[frames, vocabulary]` in float32 or float64, in which scores are summed too.
    Every piece has at least one frame, and at least as many as its tokens and the blanks between equal ones.
    """
    paths: list[Ids | None] = [None] * len(pieces)
    for group in _groups(pieces):
        if len(group) == 1 and _cells(pieces[group[0]]) > CELLS and pieces[group[0]].gaps is None:
            results = [_large(emissions, pieces[group[0]], blank)]
        else:
            results = _small(emissions, [pieces[index] for index in group], blank)
        for index, path in zip(group, results, strict=True):
            paths[index] = path
    return [path for path in paths if path is not None]


def _cells(piece: Piece) -> int:
    return piece.frames * (len(piece.tokens) + 1)


def _groups(pieces: Sequence[Piece]) -> Iterator[list[int]]:
    """Indices of pieces that run together: of like lengths, the longest first, padded to at most `CELLS`."""
    group: list[int] = []
    frames = tokens = 0
    for index in sorted(range(len(pieces)), key=lambda i: (-pieces[i].frames, -len(pieces[i].tokens))):
        piece = pieces[index]
        wider = max(tokens, len(piece.tokens) + 1)
        if group and (len(group) + 1) * max(frames, piece.frames) * wider > CELLS:
            yield group
            group, frames, wider = [], 0, len(piece.tokens) + 1
        group.append(index)
        frames, tokens = max(frames, piece.frames), wider
    if group:
        yield group


def _ends(trellis: Trellis, pieces: Sequence[Piece], rows: Sequence[int]) -> Ids:
    """The states in which the pieces in these rows end: the last blank, unless the last token is as good."""
    last = np.array([len(pieces[row].tokens) for row in rows])
    is_blank = (last == 0) | (trellis.blanks[rows, last] > trellis.tokens[rows, last])
    return np.asarray(2 * last - ~is_blank, np.int64)


def _small(emissions: Scores, pieces: Sequence[Piece], blank: int) -> list[Ids]:
    """Paths of pieces that run side by side, in the order of their frames, the most first."""
    trellis = Trellis(emissions, pieces, blank)
    frames = np.array([piece.frames for piece in pieces])
    count, width, longest = len(pieces), trellis.blanks.shape[1], int(frames[0])
    left_out = trellis.begin()
    gaps = None if left_out is None else np.zeros((longest, *left_out.shape), bool)
    if gaps is not None and left_out is not None:
        gaps[0] = left_out
    ways = Ways(
        np.zeros((longest, count, width), bool),
        np.zeros((longest, count, width - 1), bool),
        np.zeros((longest, count, width - 1), bool),
        gaps,
    )
    active = np.searchsorted(-frames, -np.arange(longest + 1), side="left")  # pieces with more frames than that
    states = np.zeros(count, np.int64)
    for frame in range(longest):
        if frame:
            here = Ways(*(None if part is None else part[frame] for part in ways))  # type: ignore[arg-type]
            trellis.step(frame, int(active[frame]), here)
        if ended := list(range(active[frame + 1], active[frame])):
            states[ended] = _ends(trellis, pieces, ended)
    return _back(ways, frames, states, None if gaps is None else _gap_numbers(pieces, width))


def _gap_numbers(pieces: Sequence[Piece], width: int) -> Ids:
    """The number of the gap that each blank is, `[pieces, blanks]`; -1 for one that is none."""
    numbers = np.full((len(pieces), width), -1)
    for row, piece in enumerate(pieces):
        if piece.gaps is not None:
            numbers[row, piece.gaps] = np.arange(len(piece.gaps))
    return numbers


def _back(ways: Ways, frames: Ids, states: Ids, gaps: Ids | None = None) -> list[Ids]:
    """Follow the ways back from the last states: one path for each piece. `gaps` are those of `_gap_numbers`."""
    longest, rows = int(frames[0]), np.arange(len(frames))
    paths = np.zeros((longest, len(frames)), np.int64)
    states = states.copy()
    for frame in range(longest - 1, -1, -1):
        here = rows[: np.searchsorted(-frames, -frame, side="left")]
        if ways.gap is not None and gaps is not None:
            states[here] = _before_gaps(ways.gap[frame], gaps, here, states[here])
        paths[frame, here] = states[here]
        if frame:
            states[here] -= _steps(ways, frame, here, states[here])
    return [paths[:count, row] for row, count in enumerate(frames)]


def _before_gaps(gained: Flags, gaps: Ids, rows: Ids, states: Ids) -> Ids:
    """The states themselves, or where words were left out to reach one, the gap before these words."""
    number = np.where(states & 1, -1, gaps[rows, states >> 1])
    for at in np.flatnonzero((number >= 0) & gained[rows, number]):
        row = rows[at]
        source = np.flatnonzero(~gained[row, : number[at]])[-1]
        states[at] = 2 * np.flatnonzero(gaps[row] == source)[0]
    return states


def _steps(ways: Ways, frame: int, rows: Ids, states: Ids) -> Ids:
    """Over how many states each of these states was entered in a frame."""
    token = states >> 1
    column = np.minimum(token, max(ways.by_one.shape[2] - 1, 0))
    if not ways.by_one.shape[2]:
        return np.zeros_like(states)
    from_blank = np.where(ways.by_two[frame, rows, column], 2, ways.by_one[frame, rows, column])
    return np.where(states & 1, from_blank, ways.blank[frame, rows, token])


def _large(emissions: Scores, piece: Piece, blank: int) -> Ids:
    """The path of one piece that is too large for all its ways to be kept."""
    trellis = Trellis(emissions, [piece], blank)
    trellis.begin()
    kept = [(trellis.tokens.copy(), trellis.blanks.copy())]
    for frame in range(1, piece.frames):
        trellis.step(frame, 1, None)
        if frame % BLOCK == 0:
            kept.append((trellis.tokens.copy(), trellis.blanks.copy()))
    path = np.zeros(piece.frames, np.int64)
    state, stop = int(_ends(trellis, [piece], [0])[0]), piece.frames
    for block in range(len(kept) - 1, -1, -1):
        start = block * BLOCK
        path[start:stop] = _block(emissions, piece, blank, kept[block], slice(start, stop), state)
        state, stop = int(path[start]), start + 1
    return path


def _block(emissions: Scores, piece: Piece, blank: int, kept: tuple[Scores, Scores], frames: slice, state: int) -> Ids:
    """The part of a path that ends in `state`: scores before it are `kept`, and few states lead to it."""
    count, last = frames.stop - frames.start, (state + 1) >> 1
    first = max(0, last - count - 1)
    part = Piece(
        piece.first + frames.start,
        count,
        piece.tokens[first:last],
        None if piece.blank_floor is None else piece.blank_floor[first : last + 1],
        None if piece.token_floor is None else piece.token_floor[first:last],
    )
    trellis = Trellis(emissions, [part], blank)
    trellis.begin()
    trellis.tokens[:, 1:] = kept[0][:, first + 1 : last + 1]
    trellis.blanks[:] = kept[1][:, first : last + 1]
    width = last - first
    ways = Ways(
        np.zeros((count, 1, width + 1), bool), np.zeros((count, 1, width), bool), np.zeros((count, 1, width), bool)
    )
    for frame in range(1, count):
        trellis.step(frame, 1, Ways(*(part[frame] for part in ways[:3])))
    return _back(ways, np.array([count]), np.array([state - 2 * first]))[0] + 2 * first


def emitted(path: Ids, tokens: Ids, blank: int) -> Ids:
    """Token ids of a path of states: `[frames] -> [frames]`."""
    return np.where(path & 1, np.append(tokens, blank)[np.minimum(path >> 1, len(tokens))], blank)


__all__ = ["Flags", "best_paths", "emitted"]
