"""The speech that a model is calibrated on: drawn, read once, and kept on disk as short excerpts.

What cannot be read is left out and named, other rates are resampled and counted. Nothing is held in memory but the
utterance in hand, however many there are.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_export.proof.proof import golden_waveform
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.manifest import Audio
from edgespeech_runtime.errors import AudioError, AudioPackageError

from edgespeech_calib.errors import DataError
from edgespeech_calib.evaluation.evaluation import Reading
from edgespeech_calib.quantization.backend import Values
from edgespeech_calib.speech.sets import SpeechSet
from edgespeech_calib.speech.utterance import Skipped

# Of each utterance. Enough for a dozen words and the pauses between them, and 128 of them are eleven minutes, which a
# base-size encoder reads in one minute of two cores.
EXCERPT_SECONDS = 5.0

# The noise behind speech: seconds, and how far its level is below the excerpt's in dB. A feature extractor ends in
# a norm of each frame, which brings the rounding errors of a quiet frame up to the level of speech.
QUIET = ((0.5, 45.0), (0.5, 60.0))

GOLDEN = "golden input"

Waveform = npt.NDArray[np.float32]
Count = Callable[[int, int], object]  # utterances done, and in all


@dataclass(frozen=True)
class Excerpt:
    """A piece of an utterance, float32 [samples] in a .npy file."""

    id: str
    path: Path
    samples: int

    def read(self) -> Waveform:
        """Return the samples, not normalised."""
        waveform: Waveform = np.load(self.path, allow_pickle=False)
        return waveform


@dataclass(frozen=True)
class Calibration:
    """The excerpts and where they come from.

    Attributes:
        name: the set's name.
        resampled: utterances by their own sampling rate, where it is not the model's.
        sha256: over ids and the checksums of their files.
    """

    name: str
    seed: int
    audio: Audio
    excerpts: tuple[Excerpt, ...]
    skipped: tuple[Skipped, ...]
    resampled: dict[int, int]
    sha256: str

    def __len__(self) -> int:
        return len(self.excerpts)

    @property
    def seconds(self) -> float:
        """Length of all excerpts."""
        return sum(excerpt.samples for excerpt in self.excerpts) / self.audio.sampling_rate

    def values(self, count: Count = lambda done, total: None) -> Iterator[Values]:
        """Yield each excerpt as the graphs take it, (1, samples)."""
        for done, excerpt in enumerate(self.excerpts):
            count(done, len(self.excerpts))
            yield as_values(excerpt.read(), self.audio)
        count(len(self.excerpts), len(self.excerpts))

    def surrounded(self, excerpt: Excerpt) -> Waveform:
        """Return an excerpt and faint noise behind it, as recordings end; the same each time."""
        waveform = excerpt.read()
        generator, level = np.random.default_rng(self.seed), float(np.sqrt(np.mean(np.square(waveform))))
        behind = [
            level * 10 ** (-below / 20) * generator.standard_normal(int(seconds * self.audio.sampling_rate))
            for seconds, below in QUIET
        ]
        return np.concatenate([waveform, *behind]).astype(np.float32)

    def few(self, utterances: int, seconds: float) -> list[Values]:
        """Return the beginnings of so many excerpts, evenly spaced in the set: for what takes long per second."""
        length = max(int(seconds * self.audio.sampling_rate), self.audio.shortest)
        return [as_values(excerpt.read()[:length], self.audio) for excerpt in self.spread(utterances)]

    def ends(self, utterances: int, seconds: float) -> list[Values]:
        """Return the ends of so many excerpts, evenly spaced in the set, with the faint noise behind them."""
        length = max(int(seconds * self.audio.sampling_rate), self.audio.shortest)
        return [as_values(self.surrounded(excerpt)[-length:], self.audio) for excerpt in self.spread(utterances)]

    def spread(self, utterances: int) -> list[Excerpt]:
        """Return so many excerpts, evenly spaced in the set."""
        indices = np.unique(np.linspace(0, len(self.excerpts) - 1, min(utterances, len(self.excerpts))).round())
        return [self.excerpts[int(index)] for index in indices]

    def provenance(self) -> dict[str, Any]:
        """What a bundle says of it; no paths of this machine."""
        return {
            "set": Path(self.name).name,
            "utterances": len(self.excerpts),
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "excerpt_seconds": EXCERPT_SECONDS,
            "skipped": [skipped.id for skipped in self.skipped],
            "resampled": {str(rate): count for rate, count in sorted(self.resampled.items())},
            "sha256": self.sha256,
        }


def as_values(waveform: Waveform, audio: Audio) -> Values:
    """[samples] -> (1, samples), normalised if the model wants that."""
    return (normalize(waveform) if audio.normalize else waveform)[None]


def draw(
    data: SpeechSet,
    audio: Audio,
    folder: Path,
    *,
    samples: int | None,
    seed: int,
    count: Count = lambda done, total: None,
) -> Calibration:
    """Draw utterances spread over speakers and lengths, and write an excerpt of each into `folder`.

    The draw and where each excerpt begins in its utterance follow from the ids and the seed alone.

    Raises:
        DataError: none of the utterances can be used.
        AudioPackageError: a package that reads sound is not installed.
        OSError: the disk is full.
    """
    chosen = data.sample(samples, seed)
    reading = Reading(chosen.utterances, audio.sampling_rate, audio.shortest)
    excerpts: list[Excerpt] = []
    digest = hashlib.sha256()
    count(0, len(chosen))
    for batch in reading.batches(1):
        for utterance, waveform in batch:
            piece = _piece(waveform, audio, utterance.id, seed)
            path = folder / f"{len(excerpts):06}.npy"
            np.save(path, piece, allow_pickle=False)
            excerpts.append(Excerpt(utterance.id, path, len(piece)))
            digest.update(f"{utterance.id} {utterance.audio.sha256()}\n".encode())
        count(len(excerpts) + len(reading.skipped), len(chosen))
    if not excerpts:
        reason = f"; the first: {reading.skipped[0].reason}" if reading.skipped else ""
        raise DataError(f"none of the {len(chosen)} recordings drawn from {data.name} can be used{reason}")
    return Calibration(
        data.name,
        seed,
        audio,
        tuple(excerpts),
        (*data.skipped, *reading.skipped),
        dict(reading.resampled),
        digest.hexdigest(),
    )


def golden(audio: Audio, folder: Path) -> Calibration:
    """Return a "set" of the golden input alone, the sound that every bundle is checked by, for want of speech."""
    waveform, path = golden_waveform(audio.sampling_rate, audio.shortest), folder / "golden.npy"
    np.save(path, waveform, allow_pickle=False)
    excerpt = Excerpt(GOLDEN, path, len(waveform))
    return Calibration(GOLDEN, 0, audio, (excerpt,), (), {}, hashlib.sha256(waveform.tobytes()).hexdigest())


def require_sound(data: SpeechSet, samples: int | None, seed: int) -> None:
    """Refuse a set of which nothing can be decoded, before any long work: read until one utterance is understood.

    Raises:
        DataError: none of those that will be drawn.
        AudioPackageError: a package that reads sound is not installed.
    """
    reasons = []
    for utterance in data.sample(samples, seed):
        try:
            utterance.audio.read(utterance.audio.header().sampling_rate)
            return
        except AudioPackageError:
            raise
        except AudioError as error:
            reasons.append(str(error))
    first = f"; the first: {reasons[0]}" if reasons else ""
    raise DataError(f"none of the {len(reasons)} recordings drawn from {data.name} can be used{first}")


def _piece(waveform: Waveform, audio: Audio, name: str, seed: int) -> Waveform:
    """An excerpt that begins at a pseudo-random offset."""
    length = max(int(EXCERPT_SECONDS * audio.sampling_rate), audio.shortest)
    room = len(waveform) - length
    if room <= 0:
        return waveform
    offset = int.from_bytes(hashlib.sha256(f"{seed} excerpt {name}".encode()).digest()[:8], "big")
    start = offset % (room + 1)
    return waveform[start : start + length]
