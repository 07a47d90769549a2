"""What a stream of live captions tells, and what every kind of stream can be asked."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from ..results.transcript import TextSegment, Transcript, Word
from ..text.joining import joined

EventKind: TypeAlias = Literal["partial", "final"]
# Why an utterance ended: by silence, at its greatest length, at a gap in the sound, or because the stream was finished.
Reason: TypeAlias = Literal["silence", "length", "gap", "finish"]


@dataclass(frozen=True)
class Event:
    """The text of one utterance so far ("partial"), or for good ("final").

    `text` is `committed + tentative`. Committed text only grows: that of a later event of the same utterance begins
    with it, and so does its final text. The tentative tail may change, and even vanish: then the partial's text is
    shorter than the one before. The tail of a final event is "".

    `start` and `end` are those of the text and `words` have theirs, in seconds from the beginning of the stream, or on
    the source's clock where `feed` is told its times. The first `committed_words` of the words are committed.
    `utterance` counts from 0. `reason` says why an utterance ended; None for a partial.
    """

    kind: EventKind
    text: str
    start: float
    end: float
    words: list[Word] = field(default_factory=list)
    committed: str = ""
    tentative: str = ""
    committed_words: int = 0
    utterance: int = 0
    reason: Reason | None = None

    @property
    def is_final(self) -> bool:
        """Whether the utterance has ended, and the text stays as it is."""
        return self.kind == "final"

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and numbers, ready for JSON; the reason only of a final event."""
        plain = dataclasses.asdict(self)
        if self.reason is None:
            del plain["reason"]
        return plain


class Stream(Protocol):
    """Samples in, events out. It has no clock and no thread; final events depend on the samples alone."""

    @property
    def sampling_rate(self) -> float:
        """Of the samples that come, in Hz."""

    @property
    def seconds(self) -> float:
        """How much sound has come."""

    def feed(
        self, samples: Any, sampling_rate: float | None = None, *, time: float | None = None, partials: bool = True
    ) -> list[Event]:
        """Take the next samples, and return what they tell.

        `samples` are `[samples]` or `[samples, channels]`, of any number and any type that `transcribe` takes as an
        array. `time` is that of the first of them on the source's own clock, in seconds. Without `partials`, work that
        serves only for them is left out.

        Raises AudioError for samples that cannot be used, of which none is taken: the stream can be fed on, and
        finished.
        """

    def finish(self) -> list[Event]:
        """The last events. Nothing can be fed any more; finishing again gives none."""


def transcript(finals: list[Event]) -> Transcript:
    """All that final events say, as one transcript."""
    return Transcript(
        joined(event.text for event in finals),
        [word for event in finals for word in event.words],
        duration=max((event.end for event in finals), default=0.0),
        segments=[TextSegment(event.text, event.start, event.end, event.words) for event in finals],
    )
