"""A long recording whose parts are run as utterances of their own, since zeros stand between them.

That is for models in which no window is exact, because they know absolute positions: what stands before and behind an
utterance changes their words, so that each part is run as if it were alone. See `windows` for all others.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from ..errors import AudioError
from .digital_silence import Waveform, ZeroGaps
from .windows import AT_ONCE, PROBE, SILENT_LOGIT, Geometry, Output, Run, Windows

GAP = 0.8  # seconds of zeros between two parts


class Utterances:
    """Frames of a recording in order, as `Windows` gives them; iterating runs it.

    Attributes:
        geometry: sizes of the windows.
        done: frames that have been given.
    """

    def __init__(
        self,
        blocks: Iterable[Waveform],
        geometry: Geometry,
        run: Run,
        windows: Callable[[int, Iterable[Waveform]], Windows],
        whole: int,
        blank: int | None,
    ) -> None:
        """`run` takes a part of at most `whole` samples, `windows` begins the windows of a longer one, told where it
        begins. Between parts is the token `blank`; None: their zeros are run too.
        """
        self.geometry, self._run, self._windows, self._whole, self._blank = geometry, run, windows, whole, blank
        self._parts = ZeroGaps(blocks, round(GAP * geometry.rate))
        self.done = 0

    @property
    def samples(self) -> int:
        """Of the recording, as far as it has been read."""
        return self._parts.samples

    @property
    def seconds(self) -> float:
        """To the end of the frames that have been given."""
        return self.done * self.geometry.hop / self.geometry.rate

    def __iter__(self) -> Iterator[Output]:
        size = None
        damage: AudioError | None = None
        try:
            for start, blocks in self._parts:
                for output in self._outputs(start, blocks):
                    if size is None:
                        size = output.shape[1]
                    yield from self._between(round(start / self.geometry.hop), size)
                    yield self._counted(output)
        except AudioError as error:
            damage = error
        if size is None:
            size = self._run(np.zeros(int(PROBE * self.geometry.rate), np.float32)).shape[1]
        yield from self._between(self.geometry.frames(self.samples), size)
        if damage is not None:
            raise damage

    def _outputs(self, start: int, blocks: Iterator[Waveform]) -> Iterator[Output]:
        """The frames of a part; none of one that is too short to be run."""
        taken: list[Waveform] = []
        damage: AudioError | None = None
        try:
            while sum(map(len, taken)) <= self._whole and (block := next(blocks, None)) is not None:
                taken.append(block)
        except AudioError as error:
            damage = error
        samples = np.concatenate(taken)
        if len(samples) > self._whole:
            yield from self._windows(start, chain([samples], blocks))
        elif self.geometry.frames(len(samples)):
            yield self._run(samples)
        if damage is not None:
            raise damage

    def _between(self, end: int, size: int) -> Iterator[Output]:
        """Frames up to `end` in which there is nothing but zeros."""
        while self.done < end:
            if self._blank is None:
                frames = min(self.geometry.window, end - self.done)
                output = self._run(np.zeros(self.geometry.samples(frames), np.float32))
            else:
                output = np.zeros((min(AT_ONCE, end - self.done), size), np.float32)
                output[:, self._blank] = SILENT_LOGIT
            yield self._counted(output)

    def _counted(self, output: Output) -> Output:
        self.done += len(output)
        return output
