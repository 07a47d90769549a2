"""Waveforms as the graphs take them: normalised, and padded to one length. It reads and resamples nothing."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import AudioError

VARIANCE_FLOOR = 1e-7  # added to the variance, so that silence stays silence


def normalize(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Shift to zero mean and scale to unit (population) variance: `[n] -> [n]`, float32.

    Computed in float64 and rounded once, so that it is the same to the last bit wherever it is computed so: an INT8
    model can write another letter for such a bit.

    Raises AudioError for an array that is empty or not one-dimensional.
    """
    wide = _waveform(samples).astype(np.float64)
    return np.asarray((wide - wide.mean()) / np.sqrt(wide.var() + VARIANCE_FLOOR), np.float32)


def pad(
    waveforms: Sequence[npt.NDArray[np.floating]], value: float = 0.0, length: int | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Stack waveforms `[n_i]`, filled with `value` on the right up to the longest, or to `length` samples.

    Returns the batch, float32 `[batch, n]`, and the true lengths in samples, int64 `[batch]`.
    Raises AudioError for no waveform, for one that is empty or not one-dimensional, and for one longer than `length`.
    """
    rows = [_waveform(samples) for samples in waveforms]
    if not rows:
        raise AudioError("expected at least one waveform to pad, got none")
    lengths = np.array([len(row) for row in rows], np.int64)
    longest = int(lengths.max())
    if length is not None and length < longest:
        raise AudioError(f"cannot pad to {length} samples: the longest waveform has {longest}")
    batch = np.full((len(rows), longest if length is None else length), value, np.float32)
    for target, row in zip(batch, rows, strict=True):
        target[: len(row)] = row
    return batch, lengths


def padded(
    waveforms: Sequence[npt.NDArray[np.floating]], is_normalized: bool
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """See `pad`; each waveform is normalised first where the model takes them so."""
    return pad([normalize(waveform) for waveform in waveforms] if is_normalized else waveforms)


def _waveform(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not samples.size:
        raise AudioError(
            f"expected a waveform of shape [samples] with at least one sample, got shape {list(samples.shape)}"
        )
    return samples
