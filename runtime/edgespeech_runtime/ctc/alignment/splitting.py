"""A recording and its text in pieces that are aligned one by one."""

from collections.abc import Iterator

import numpy as np

from .. import greedy as ctc
from .anchors import meeting_points
from .layout import Layout
from .trellis import Ids, Scores

WHOLE = 2**25  # frames x tokens that are aligned in one piece
LENGTH = 400  # frames of a piece at least, 8 s at 20 ms
FAR = 600  # letters between points: where they are further apart, more are looked for

Part = tuple[slice, slice]  # frames, tokens


def needed(tokens: Ids) -> int:
    """The fewest frames that tokens fit into: one for each, and a blank between two that are equal."""
    return len(tokens) + int(np.count_nonzero(tokens[1:] == tokens[:-1]))


def split(emissions: Scores, layout: Layout, blank: int) -> list[Part]:
    """The whole as one part, or as many that follow each other where the model certainly recognises the text.

    Parts have whole words wherever words are short enough, and frames.
    """
    frames, tokens = len(emissions), len(layout.tokens)
    if frames * (tokens + 1) <= WHOLE:
        return [(slice(0, frames), slice(0, tokens))]
    starts = [(0, 0), *_cuts(emissions, layout, blank)]
    stops = [*starts[1:], (frames, tokens)]
    return [
        (slice(frame, last), slice(token, stop)) for (frame, token), (last, stop) in zip(starts, stops, strict=True)
    ]


def _cuts(emissions: Scores, layout: Layout, blank: int) -> Iterator[tuple[int, int]]:
    """Frames and tokens at which a part begins."""
    ids = ctc.greedy(emissions)
    letters = np.unique(layout.tokens[layout.is_letter])
    first = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]) & np.isin(ids, letters))
    positions = np.flatnonzero(layout.is_letter)
    left, right = meeting_points(ids[first], layout.tokens[positions], FAR)
    cut_frames, cut_tokens = first[left], positions[right]
    begins = np.isin(cut_tokens, layout.starts) & ~layout.is_open[cut_tokens]
    last_frame, last_token = 0, 0
    for frame, token in zip(cut_frames[begins].tolist(), cut_tokens[begins].tolist(), strict=True):
        if frame - last_frame >= LENGTH and token > last_token and layout.tokens[token - 1] != layout.tokens[token]:
            yield frame, token
            last_frame, last_token = frame, token
