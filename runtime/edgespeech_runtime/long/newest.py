"""The newest samples of a stream, by their number in it. What is no longer needed is let go of."""

import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]
LEAST = 1 << 14  # samples of room


class Sound:
    """Samples `begin <= n < end` of a stream that has no end, in memory that does not grow with it."""

    def __init__(self) -> None:
        self._samples = np.empty(LEAST, np.float32)
        self.begin = self.end = 0

    def add(self, samples: Waveform) -> None:
        """Take the next ones."""
        kept, count = self.end - self.begin, len(samples)
        if kept + count > len(self._samples):
            room = np.empty(2 * (kept + count), np.float32)
            room[:kept] = self._samples[:kept]
            self._samples = room
        self._samples[kept : kept + count] = samples
        self.end += count

    def between(self, start: int, stop: int) -> Waveform:
        """Samples `start <= n < stop`, as they lie here: valid until the next call."""
        return self._samples[start - self.begin : stop - self.begin]

    def forget(self, before: int) -> None:
        """Samples before this one are not needed any more."""
        before = min(before, self.end)
        if before - self.begin < LEAST:  # it is not worth moving the others
            return
        kept = self.end - before
        source = self._samples[before - self.begin : self.end - self.begin]
        if kept < len(self._samples) // 8 and len(self._samples) > LEAST:
            self._samples = np.concatenate([source, np.empty(max(LEAST, kept), np.float32)])
        else:
            self._samples[:kept] = source  # numpy copies parts that overlap as if they did not
        self.begin = before
