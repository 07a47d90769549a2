"""Where a recording is not silence of zeros: its parts, which editors, gates and encoders have put zeros between.

Whatever was recorded has noise; so many zeros in a row are of no microphone, and what stands beside them are recordings
of their own.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ZERO = 1e-6  # of full scale, -120 dB: what resampling and coding leave of zeros

Waveform = npt.NDArray[np.float32]


class Piece(NamedTuple):
    """Samples of a part that begins at the sample `start` of the recording; those of one part follow each other."""

    start: int
    samples: Waveform


class ZeroGaps:
    """Leaves out runs of at least so many zeros; what is left are parts.

    Attributes:
        samples: of the recording, as far as it has been read, silence too.
    """

    def __init__(self, blocks: Iterable[Waveform], least: int) -> None:
        self._blocks, self._least = blocks, least
        self.samples = 0

    def __iter__(self) -> Iterator[tuple[int, Iterator[Waveform]]]:
        """The parts in order, each with the sample where it begins; its blocks are to be taken before the next one."""
        for start, pieces in groupby(self._pieces(), key=lambda piece: piece.start):
            yield start, (piece.samples for piece in pieces)

    def _pieces(self) -> Iterator[Piece]:
        self.samples = 0
        waiting, quiet = [np.zeros(0, np.float32)], 0  # zeros that belong to no piece yet, and how many have been read
        start: int | None = 0  # of the part that goes on; short silence at the beginning belongs to the first one
        for block in self._blocks:
            sounding = np.flatnonzero(np.abs(block) > ZERO)
            if len(sounding):
                gaps = np.flatnonzero(np.diff(sounding) > self._least)
                begins = [int(sounding[0]), *sounding[gaps + 1].tolist()]
                ends = [*(sounding[gaps] + 1).tolist(), int(sounding[-1]) + 1]
                if start is not None and quiet + begins[0] < self._least:
                    yield Piece(start, np.concatenate([*waiting, block[: ends[0]]]))
                else:
                    yield Piece(self.samples + begins[0], block[begins[0] : ends[0]])
                    start = self.samples + begins[0]
                for begin, end in zip(begins[1:], ends[1:], strict=True):
                    start = self.samples + begin
                    yield Piece(start, block[begin:end])
                waiting, quiet = [block[ends[-1] :]], len(block) - ends[-1]
            elif quiet < self._least:
                waiting, quiet = [*waiting, block], quiet + len(block)
            self.samples += len(block)
        if 0 < quiet < self._least and start is not None:
            yield Piece(start, np.concatenate(waiting))
