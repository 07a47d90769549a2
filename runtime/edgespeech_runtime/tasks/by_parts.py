"""Long recordings by models that write text of an utterance: each part with speech alone, the texts as one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from ..audio.batching import MOST_SAMPLES
from ..audio.blocks import AudioBlocks
from ..audio.inputs import named, require_length
from ..errors import ArgumentError, AudioError
from ..long.activity import Activity
from ..long.parts import Part, speech_parts
from ..long.speech import Span, SpeechOptions, speech_spans
from ..results.transcript import TextSegment, Transcript
from ..text.joining import JoinedStream, joined
from .model import OnText, Waveform

WHOLE = 30.0  # seconds of a recording that is run as a whole: longer utterances are rare where models learn
LONGEST = 20.0  # seconds of a part of a longer one: memory grows with it, errors do not become fewer
BEFORE, BEHIND = 0.3, 0.5  # seconds of the sound around speech that a part has
TAIL = 0.2  # seconds of silence behind a part: some decoders say everything again where speech does not seem to end
NEAR = 3.0  # seconds between speech that belongs together: with more of it a model is wrong less often

OnSegment: TypeAlias = Callable[[TextSegment], None]
OnProgress: TypeAlias = Callable[[float, float | None], None]  # seconds that are done, and of how many (None: unknown)


class Written(NamedTuple):
    """The text of a part, and whether the model came to its end."""

    text: str
    is_complete: bool


Write: TypeAlias = Callable[[list[Waveform], OnText | None], list[Written]]  # the callback is for one part alone


@dataclass(frozen=True)
class Callbacks:
    """What a caller is told while a recording is transcribed."""

    on_text: OnText | None = None
    on_segment: OnSegment | None = None
    on_progress: OnProgress | None = None

    def require_single(self, count: int) -> None:
        """Raise ArgumentError where there are several inputs, which they could not tell apart."""
        for name in ("on_text", "on_segment", "on_progress"):
            if count != 1 and getattr(self, name) is not None:
                raise ArgumentError(f"{name} takes one input at a time, got {count}")

    def segment(self, segment: TextSegment, before: str) -> None:
        """Tell of a segment; `before` is what stands between it and the one before in the text."""
        if self.on_text is not None:
            self.on_text(before + segment.text)
        if self.on_segment is not None:
            self.on_segment(segment)

    def progress(self, done: float, total: float | None) -> None:
        """Tell how far it is, in seconds."""
        if self.on_progress is not None:
            self.on_progress(done, total)


@dataclass(frozen=True)
class Cutting:
    """How recordings are cut: their rate in Hz, samples of the shortest and the longest that the model takes, how many
    parts run together.
    """

    rate: int
    shortest: int
    longest: int | None
    batch_size: int

    @property
    def whole(self) -> int:
        """Samples of the longest recording that is run as a whole."""
        whole = round(WHOLE * self.rate)
        return whole if self.longest is None else min(whole, self.longest)

    @property
    def longest_part(self) -> float:
        """Seconds of the longest part of a longer recording."""
        return min(LONGEST, max(self.whole / self.rate - TAIL, self.whole / self.rate / 2))

    @property
    def options(self) -> SpeechOptions:
        """For the detector."""
        longest = self.longest_part
        before, behind = (min(margin, longest / 8) for margin in (BEFORE, BEHIND))
        shortest = min(SpeechOptions.shortest, longest / 4)
        return SpeechOptions(before=before, behind=behind, longest=longest, shortest=shortest)

    def with_silence(self, samples: Waveform) -> Waveform:
        """A part as the model gets it: some silence follows, and more where it is shorter than what the model takes."""
        tail = min(round(TAIL * self.rate), self.whole - len(samples))
        return np.pad(samples, (0, max(tail, self.shortest - len(samples))))


def transcribe_all(
    recordings: Sequence[AudioBlocks],
    cutting: Cutting,
    activity: Callable[[], Activity] | None,
    write: Write,
    callbacks: Callbacks,
) -> list[Transcript]:
    """A transcript of each recording. Short ones are run as a whole, in batches, where no `activity` is to cut them.

    Raises AudioError, which names the item of several.
    """
    transcripts: dict[int, Transcript] = {}
    short: dict[int, Waveform] = {}
    for index, recording in enumerate(recordings):
        with named(index, len(recordings)):
            samples = recording.whole_up_to(cutting.whole)
            if samples is not None:
                require_length(samples, recording.file, cutting.rate, cutting.shortest)
                short[index] = samples
    if activity is None and short:
        texts = write(list(short.values()), callbacks.on_text)
        for (index, samples), written in zip(short.items(), texts, strict=True):
            transcripts[index] = _whole(samples, cutting, written, callbacks)
    for index, recording in enumerate(recordings):
        if index not in transcripts:
            samples = short.get(index)
            blocks, seconds = (recording, recording.duration) if samples is None else ([samples], None)
            with named(index, len(recordings)):
                transcripts[index] = by_parts(blocks, seconds, cutting, activity and activity(), write, callbacks)
    return [transcripts[index] for index in range(len(recordings))]


def by_parts(
    blocks: Iterable[Waveform],
    duration: float | None,
    cutting: Cutting,
    activity: Activity | None,
    write: Write,
    callbacks: Callbacks,
) -> Transcript:
    """The transcript of a recording, of which blocks of samples come; `duration` in seconds, None: not known."""
    writer = _Writer(cutting, write, callbacks)
    count = 0
    try:
        for count, parts in speech_parts(blocks, cutting.rate, cutting.options, activity, NEAR):
            for part in parts:
                writer.add(part)
            callbacks.progress((writer.waiting[0].start if writer.waiting else count) / cutting.rate, duration)
    except AudioError:
        writer.write()
        raise
    writer.write()
    seconds = count / cutting.rate
    if callbacks.on_progress is not None:
        callbacks.on_progress(seconds, seconds)
    text = joined(segment.text for segment in writer.segments)
    return Transcript(text, duration=seconds, is_complete=writer.is_complete, segments=writer.segments)


class _Writer:
    """Collects parts until they are worth running together, and the segments that come of them."""

    def __init__(self, cutting: Cutting, write: Write, callbacks: Callbacks) -> None:
        self._cutting, self._write, self._callbacks = cutting, write, callbacks
        self._stream = JoinedStream()
        self.waiting: list[Part] = []
        self.segments: list[TextSegment] = []
        self.is_complete = True

    def add(self, part: Part) -> None:
        """Take the next part; those that wait are run when they are enough."""
        if self.waiting and sum(len(each.samples) for each in (*self.waiting, part)) > MOST_SAMPLES:
            self.write()
        self.waiting.append(part)
        if len(self.waiting) == self._cutting.batch_size or self._callbacks.on_text is not None:
            self.write()

    def write(self) -> None:
        """Run the parts that wait."""
        if not self.waiting:
            return
        samples = [self._cutting.with_silence(part.samples) for part in self.waiting]
        transcripts = self._write(samples, None if self._callbacks.on_text is None else self._on_piece)
        self._stream.end()
        for part, (text, is_complete) in zip(self.waiting, transcripts, strict=True):
            self.is_complete &= is_complete
            if text:
                segment = TextSegment(text, part.start / self._cutting.rate, part.end / self._cutting.rate)
                self.segments.append(segment)
                if self._callbacks.on_segment is not None:
                    self._callbacks.on_segment(segment)
        self.waiting = []

    def _on_piece(self, piece: str) -> None:
        if (text := self._stream.add(piece)) and self._callbacks.on_text is not None:
            self._callbacks.on_text(text)


def _whole(samples: Waveform, cutting: Cutting, written: Written, callbacks: Callbacks) -> Transcript:
    """The transcript of a recording that was run as a whole; it is one segment, from the first sound to the last."""
    rate = cutting.rate
    seconds = len(samples) / rate
    segments = []
    if written.text:
        spans = speech_spans(samples, rate) or [Span(0, len(samples))]
        segments = [TextSegment(written.text, spans[0].start / rate, spans[-1].end / rate)]
        if callbacks.on_segment is not None:
            callbacks.on_segment(segments[0])
    if callbacks.on_progress is not None:
        callbacks.on_progress(seconds, seconds)
    return Transcript(written.text, duration=seconds, is_complete=written.is_complete, segments=segments)
