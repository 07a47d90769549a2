"""Statistics of a whole recording, gathered from its blocks, so that a window of it is run as the whole would be.

Two things in a model look at a whole utterance before attention does: the normalisation of its samples, and in some
models a group norm over time behind the first convolution. Mean and variance of that convolution's output follow from
mean and covariance of the patches of samples that it reads. It reads no file and runs nothing.
"""

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio.waveform import VARIANCE_FLOOR
from ..errors import ArgumentError, AudioError

CHUNK = 2**14  # samples that are added up at once, about; where they begin does not depend on the blocks

Values = npt.NDArray[np.float64]
Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and (population) variance of a recording's samples, in float64; of its patches too, if they were gathered.

    A patch is what the first convolution sees at once: `kernel` samples, from one to the next `stride` apart.

    Attributes:
        samples: how many there were; with a memory, how many still count.
        mean, variance: of the samples as they came.
        patch_mean: float64 `[kernel]` of the patches as they came; None without patches.
        patch_covariance: float64 `[kernel, kernel]`, likewise.
    """

    samples: float
    mean: float
    variance: float
    patch_mean: Values | None = None
    patch_covariance: Values | None = None

    def normalized(self, samples: npt.NDArray[np.floating]) -> Waveform:
        """Part of the recording `[n]` as `waveform.normalize` would give it of the whole: float32 `[n]`."""
        wide = np.asarray(samples, np.float32).astype(np.float64)
        return np.asarray((wide - self.mean) / self._deviation, np.float32)

    def patches(self, is_normalized: bool) -> tuple[Waveform, Waveform]:
        """Mean `[kernel]` and spread `[kernel, kernel]` of patches, float32: as the samples came, or normalised.

        Rows r of the spread are the principal axes, each as long as the deviation along it, so that the covariance is
        their sum of r r^T, and the variance of a channel with weights w the sum of (w.r)^2. That keeps its digits in
        float32 where a channel sees only high frequencies, of which speech has least: w.C w would be a small
        difference of large numbers. Raises AudioError where no patch was gathered.
        """
        if self.patch_mean is None or self.patch_covariance is None:
            raise AudioError("expected statistics with those of patches, got none: gather them with a kernel")
        mean, covariance = self.patch_mean, self.patch_covariance
        if is_normalized:
            mean, covariance = (mean - self.mean) / self._deviation, covariance / self._deviation**2
        powers, axes = np.linalg.eigh(covariance)
        spread = np.sqrt(np.maximum(powers, 0))[:, None] * axes.T
        return mean.astype(np.float32), spread.astype(np.float32)

    @property
    def _deviation(self) -> float:
        return float(np.sqrt(self.variance + VARIANCE_FLOOR))


class Gatherer:
    """Adds up blocks of a recording, in order. The result is the same to the last bit, however blocks are cut.

    Of a stream without an end, `memory` says after how many samples one counts 1/e of what it counted when it came;
    its statistics then follow the sound of about that time. None forgets nothing.
    """

    def __init__(self, kernel: int | None = None, stride: int = 1, memory: float | None = None) -> None:
        """`kernel` and `stride` are those of the first convolution, None for statistics of samples alone."""
        if memory is not None and not memory > 0:
            raise ArgumentError(f"memory: expected a number of samples above 0, or None, got {memory!r}")
        self._kernel, self._stride = kernel, stride
        self._chunk = CHUNK // stride * stride or stride
        self._fading = 1.0 if memory is None else float(np.exp(-self._chunk / memory))
        self._samples, self._patches = Moments(1), None if kernel is None else Moments(kernel)
        self._waiting = np.zeros(self._chunk + (kernel or 1) - 1, np.float32)  # samples that are not added up yet
        self._count = 0  # of them

    def add(self, block: npt.NDArray[np.floating]) -> None:
        """Take the next samples `[n]` of the recording, any number of them. Raises AudioError for other shapes."""
        block = np.asarray(block, np.float32)
        if block.ndim != 1:
            raise AudioError(f"expected a block of shape [samples], got shape {list(block.shape)}")
        while len(block):
            taken = min(len(block), len(self._waiting) - self._count)
            self._waiting[self._count : self._count + taken] = block[:taken]
            self._count += taken
            block = block[taken:]
            if self._count == len(self._waiting):
                self._fade()
                self._sum(self._waiting, self._chunk)
                self._count -= self._chunk
                self._waiting[: self._count] = self._waiting[self._chunk :].copy()

    def statistics(self) -> Statistics:
        """Those of all samples so far. Raises AudioError where there is none, or too few for a patch."""
        whole = copy.deepcopy(self)
        whole._sum(whole._waiting[: whole._count], whole._count)
        samples, patches = whole._samples, whole._patches
        if not samples.count:
            raise AudioError("expected at least one sample to gather statistics of, got none")
        mean, variance = float(samples.mean[0]), float(samples.covariance[0, 0])
        if patches is None:
            return Statistics(samples.count, mean, variance)
        if not patches.count:
            raise AudioError(f"expected at least {self._kernel} samples, one patch of the first layer, got fewer")
        return Statistics(samples.count, mean, variance, patches.mean, patches.covariance)

    def _sum(self, samples: Waveform, chunk: int) -> None:
        """Add the first `chunk` samples, and the patches that begin in them; the rest is what those reach into."""
        wide = samples.astype(np.float64)
        self._samples.add(wide[:chunk, None])
        if self._patches is not None and self._kernel is not None and len(wide) >= self._kernel:
            self._patches.add(np.lib.stride_tricks.sliding_window_view(wide, self._kernel)[: chunk : self._stride])

    def _fade(self) -> None:
        for moments in (self._samples, self._patches):
            if moments is not None and self._fading < 1:
                moments.fade(self._fading)


class Moments:
    """Running mean and covariance of rows, joined part by part without a loss of digits.

    https://doi.org/10.2307/2683386 (Chan, Golub and LeVeque, equation 2.1, for vectors)
    """

    def __init__(self, size: int) -> None:
        self.count = 0.0
        self.mean: Values = np.zeros(size)
        self._scatter: Values = np.zeros((size, size))

    @property
    def covariance(self) -> Values:
        """Of all rows, `[size, size]`: divided by their number."""
        return self._scatter / max(self.count, 1.0)

    def add(self, rows: Values) -> None:
        """Take more rows, `[n, size]`."""
        if not len(rows):
            return
        mean = rows.mean(0)
        centred = rows - mean
        total, shift = self.count + len(rows), mean - self.mean
        self._scatter += centred.T @ centred + np.outer(shift, shift) * (self.count * len(rows) / total)
        self.mean = self.mean + shift * (len(rows) / total)
        self.count = total

    def fade(self, factor: float) -> None:
        """Let all rows so far count less."""
        self.count *= factor
        self._scatter *= factor
