"""One utterance of a set, and what had to be left out of one."""

from dataclasses import dataclass

from edgespeech_calib.speech.audio import AudioSource
from edgespeech_calib.speech.segments import Segment


@dataclass(frozen=True)
class Utterance:
    """A recording and what is known of it; the sound itself is read when it is asked for.

    Attributes:
        id: unique in its set.
        audio: where the sound lies; `audio.read(rate)` gives float32 [samples].
        text: what is said; None where the set does not say.
        speaker: who says it, by the set's own name; None where the set does not say.
        seconds: length; None where the sound has not been looked at.
        label: the class of the whole; None where the set does not say.
        segments: when which labels hold, () for never; None where the set does not say.
        folder: name of the folder in which it lies within its set; None where the set is none of folders.
    """

    id: str
    audio: AudioSource
    text: str | None = None
    speaker: str | None = None
    seconds: float | None = None
    label: str | None = None
    segments: tuple[Segment, ...] | None = None
    folder: str | None = None


@dataclass(frozen=True)
class Skipped:
    """An utterance that was left out, and why."""

    id: str
    reason: str
