"""By how much a CTC model's tokens are off from where words begin and end, on recordings without texts.

Beside a pause, loudness shows where a word begins or ends; the greedy text shows where its first and last tokens are.
The median difference is what the manifest says (`word_edges`), and what the runtime corrects where loudness shows
nothing.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import edgespeech_runtime
import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.manifest import WordEdges
from edgespeech_runtime.ctc.alignment.edges import Seconds, loudness, sound_edges
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.errors import AudioPackageError

import edgespeech
from edgespeech_export.errors import ExportError

SAMPLES = Path(edgespeech.__file__).parent / "checkpoints" / "samples"
LONGEST = 25.0  # seconds; longer recordings are left out
FEWEST = 8  # beginnings, and ends, without which nothing is said
SPREAD = 0.1  # seconds between their quartiles, beyond which the tokens do not follow the words
LARGEST = 0.25  # seconds


@dataclass(frozen=True)
class Recordings:
    """Recordings of speech and what they are called: each takes a rate in Hz and gives float32 `[samples]`."""

    sounds: tuple[Callable[[int], npt.NDArray[np.float32]], ...]
    name: str

    @classmethod
    def of(cls, files: Iterable[str | os.PathLike[str]], name: str) -> "Recordings":
        """Those in some files."""
        return cls(tuple(partial(edgespeech_runtime.read_audio, file) for file in files), name)


def measured(bundle: Path, recordings: Recordings | None) -> tuple[WordEdges | None, dict[str, Any]]:
    """What a CTC bundle is off by, None where these recordings do not show it, and what was measured.

    None for `recordings` are those that come with edgespeech.

    Raises:
        ExportError: recordings were given, and the bundle finds too few words in them, or none where they are.
        AudioError: one of them cannot be read.
    """
    given = recordings or Recordings.of(sorted(SAMPLES.glob("*.flac")), "recordings that come with edgespeech")
    with edgespeech_runtime.load(bundle, self_check="never") as model:
        vocabulary = model.manifest.vocabulary
        if model.manifest.task != "ctc" or vocabulary is None:
            raise ExportError("edges_from is for CTC models: only these have tokens with times; leave it out")
        if not Alphabet.from_vocabulary(vocabulary).has_words:
            if recordings is not None:
                raise ExportError(
                    "edges_from: this model's vocabulary has no words, so they have no edges; leave it out"
                )
            return None, {}
        try:
            starts, ends = _off(cast("edgespeech_runtime.CtcModel", model), given)
        except AudioPackageError:
            if recordings is not None:
                raise
            return None, {}
    facts = {"recordings": given.name, "beginnings": len(starts), "ends": len(ends)}
    if reason := _doubt(starts, ends):
        if recordings is not None:
            raise ExportError(f"{given.name}: {reason}; give more speech, or none")
        return None, {**facts, "left_out": reason}
    return WordEdges(round(float(np.median(starts)), 3), round(float(np.median(ends)), 3)), facts


def _off(model: edgespeech_runtime.CtcModel, recordings: Recordings) -> tuple[Seconds, Seconds]:
    """Seconds from beginnings of sound to first tokens, and from last tokens to ends of sound."""
    rate = model.manifest.audio.sampling_rate
    starts, ends = [np.zeros(0)], [np.zeros(0)]
    for sound in recordings.sounds:
        audio = sound(rate)
        if not model.manifest.audio.shortest <= len(audio) <= LONGEST * rate:
            continue
        words = model.transcribe(audio, sampling_rate=rate, timestamps="word").words
        if words:
            first, last = np.array([word.start for word in words]), np.array([word.end for word in words])
            begins, stops = sound_edges(first, last, loudness(audio, rate))
            starts.append(first - begins)
            ends.append(stops - last)
    return _known(starts), _known(ends)


def _known(parts: Sequence[Seconds]) -> Seconds:
    values = np.concatenate(parts)
    return values[~np.isnan(values)]


def _doubt(starts: Seconds, ends: Seconds) -> str | None:
    """Why these differences say nothing of the model."""
    for what, values in (("beginnings", starts), ("ends", ends)):
        if len(values) < FEWEST:
            return f"{len(values)} {what} of words beside a pause, where at least {FEWEST} are needed"
        low, middle, high = np.percentile(values, (25, 50, 75))
        if high - low > SPREAD or abs(middle) > LARGEST:
            return f"{what} of words lie {1000 * low:.0f} to {1000 * high:.0f} ms from their tokens, which is too vague"
    return None
