"""Where the sound of words begins and ends. CTC models emit a word's tokens inside of it: late at first, early at last.

Beside a pause the edge is where the sound is; elsewhere it is off by what the model is off by on the average, which its
bundle may say.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]

STEP = 0.005  # seconds between two measures of loudness
WINDOW = 2  # steps that one measure covers: the period of a low voice
FALL = 32.0  # dB below a word's loudest that still belong to it
RISE = 10.0  # dB above the noise
CONTRAST = 20.0  # dB between noise and word without which loudness says nothing
BEFORE, BEHIND = 0.25, 0.5  # seconds before the first token and behind the last in which a word begins and ends
PAUSE_BEFORE, PAUSE_BEHIND = 0.03, 0.1  # seconds without sound that end the search: closures of stops are shorter
LONG = 1.0  # seconds between words that show how loud the noise is there
SILENT = -100.0  # dB


class Bias(NamedTuple):
    """Seconds from a word's beginning to its first token, and from its last token to its end, on the average."""

    start: float = 0.0
    end: float = 0.0


def loudness(samples: npt.NDArray[np.float32], rate: int) -> Seconds:
    """Levels in dB of full scale, one for every `STEP`."""
    size = max(1, round(rate * STEP))
    count = len(samples) // size
    power = np.square(samples[: count * size], dtype=np.float32).reshape(count, size).mean(axis=1, dtype=np.float64)
    for _ in range(WINDOW - 1):
        power[1:] = (power[1:] + power[:-1]) / 2
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (SILENT / 10))))


def word_edges(starts: Seconds, ends: Seconds, levels: Seconds, bias: Bias) -> tuple[Seconds, Seconds]:
    """Beginnings and ends of words, `[words]` each, of the edges of their tokens, in order; none overlap.

    `levels` are the recording's, by `loudness`.
    """
    begins, stops = sound_edges(starts, ends, levels)
    duration = len(levels) * STEP
    for word in range(len(starts) + 1):
        left = float(ends[word - 1]) if word else None
        right = float(starts[word]) if word < len(starts) else None
        end, start = _by_bias(left, right, bias, duration)
        if left is not None and right is not None and np.isnan(stops[word - 1]) and right - left <= BEHIND:
            # One sound from word to word, as far as is known: the first ends where the second begins.
            end = start if np.isnan(begins[word]) else max(left, min(end, float(begins[word])))
        if left is not None:
            stops[word - 1] = end if np.isnan(stops[word - 1]) else stops[word - 1]
        if right is not None:
            begins[word] = start if np.isnan(begins[word]) else begins[word]
        if left is not None and right is not None and begins[word] < stops[word - 1]:
            begins[word], stops[word - 1] = start, end
    return begins, np.maximum(stops, begins)


def sound_edges(starts: Seconds, ends: Seconds, levels: Seconds) -> tuple[Seconds, Seconds]:
    """The same by the sound alone: NaN for an edge without a pause beside it, or in noise."""
    begins, stops = np.full(len(starts), np.nan), np.full(len(ends), np.nan)
    floor = float(np.percentile(levels, 5)) if len(levels) else SILENT
    peaks = [_peak(levels, start, end) for start, end in zip(starts, ends, strict=True)]
    for word in range(len(starts) + 1):
        low = float(ends[word - 1]) if word else 0.0
        high = float(starts[word]) if word < len(starts) else len(levels) * STEP
        near = [peaks[at] for at in (word - 1, word) if 0 <= at < len(peaks)]
        first = max(0, int((low - BEFORE) / STEP))
        part, shift = levels[first : int((high + BEFORE) / STEP) + 1], first * STEP
        is_sound = _sound(part, low - shift, high - shift, min(near, default=SILENT), floor)
        if is_sound is None:
            continue
        latest = high - shift
        if word < len(starts):
            begins[word] = _beginning(is_sound, high - shift, max(low, high - BEFORE) - shift) + shift
            latest = latest if np.isnan(begins[word]) else float(begins[word]) - shift
        if word:
            stops[word - 1] = _end(is_sound, low - shift, latest) + shift
    return begins, stops


def _peak(levels: Seconds, start: float, end: float) -> float:
    part = levels[int(start / STEP) : int(end / STEP) + 1]
    return float(part.max()) if len(part) else SILENT


def _sound(levels: Seconds, low: float, high: float, peak: float, floor: float) -> npt.NDArray[np.bool_] | None:
    """Which measures between two words, and around them, are of words; None where loudness does not say."""
    inner = levels[int(low / STEP) : int(high / STEP) + 1]
    noise = max(floor, float(np.percentile(inner, 20))) if high - low > LONG and len(inner) else floor
    return levels > max(peak - FALL, noise + RISE) if peak - noise >= CONTRAST else None


def _by_bias(left: float | None, right: float | None, bias: Bias, duration: float) -> tuple[float, float]:
    if left is None or right is None:
        return min(duration, (left or 0.0) + bias.end), max(0.0, (right or 0.0) - bias.start)
    gap, wanted = right - left, bias.start + bias.end
    scale = 1.0 if wanted <= gap or wanted <= 0 else gap / wanted
    return left + scale * bias.end, right - scale * bias.start


def _beginning(is_sound: npt.NDArray[np.bool_], token: float, earliest: float) -> float:
    """Where the sound at a first token begins: behind the last pause before it, or, in a pause, at the next sound."""
    at, first = int(token / STEP), int(earliest / STEP)
    size = round(PAUSE_BEFORE / STEP)
    before = is_sound[first : at + 1]
    if not before[-size:].any():  # the token comes before its sound
        behind = np.flatnonzero(is_sound[at : at + round(BEFORE / STEP)])
        return (at + int(behind[0])) * STEP if len(behind) else np.nan
    quiet = _last_run(~before, size)
    return np.nan if quiet is None else (first + quiet) * STEP


def _end(is_sound: npt.NDArray[np.bool_], token: float, latest: float) -> float:
    """Where the sound at a last token ends: before the first pause behind it, and at any rate before `latest`."""
    size = round(PAUSE_BEHIND / STEP)
    first = max(0, int(token / STEP) - size)
    last = min(round(latest / STEP), int((token + BEHIND) / STEP))
    behind = is_sound[first:last]
    is_reached = last == round(latest / STEP)
    quiet = _last_run(~behind[::-1], size)
    if quiet is not None:
        behind = behind[: len(behind) - quiet]
    elif not is_reached or is_sound[last - 1 : last].any():
        return latest if is_reached and last == len(is_sound) else np.nan
    sound = np.flatnonzero(behind)
    return (first + int(sound[-1]) + 1) * STEP if len(sound) else np.nan


def _last_run(flags: npt.NDArray[np.bool_], size: int) -> int | None:
    """The place behind the last run of so many flags that hold; None where there is none."""
    if len(flags) < size:
        return None
    sums = np.cumsum(np.append(0, flags))
    full = np.flatnonzero(sums[size:] - sums[:-size] == size)
    return int(full[-1]) + size if len(full) else None
