"""The machine behind a stream: windows of one stretch of sound, their frames to texts, texts to events.

Positions are frames and samples from the beginning of the stretch. Which windows are run, and thereby every final text,
depends on the samples alone: each ends at a frame that follows from the windows before it. Windows for partial texts
are extra; nothing follows from them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..ctc.greedy import greedy
from ..long.frame_grid import FrameGrid
from ..long.newest import Sound, Waveform
from .captions import Captions, Logits, Reading
from .endpoints import Endpoints
from .events import Event, Reason
from .intake import Clock
from .plan import AHEAD, CHECK, GUARD, LEAD, LOOK, PENDING, REST, SETTLED, SLACK, Plan
from .seams import MARGIN, Kinds, Tokens, forced, seam

NOTHING = Reading("", [], "", 0)  # of silence: a search with a language model would find words in it


class Runner(Protocol):
    """What computes logits of windows; it knows the statistics of all sound so far."""

    def add(self, samples: Waveform) -> None:
        """Take the next samples of the stream into the statistics."""

    def run(self, window: Waveform) -> Logits:
        """`[samples] -> [frames, vocabulary]`."""


@dataclass(frozen=True)
class Recipe:
    """What all stretches of a stream share."""

    runner: Runner
    geometry: FrameGrid
    plan: Plan
    endpoints: Endpoints
    kinds: Kinds
    captions: Callable[[], Captions]


@dataclass
class Utterance:
    """What is known of the utterance that goes on.

    Attributes:
        begin, seam: its first frame, and the first frame that is not final.
        is_open: whether a word had begun before the seam that may go on behind it.
        said: the frame behind the last token that is final, None while there is none.
        shown: committed and whole text of its last partial.
    """

    captions: Captions
    begin: int
    seam: int
    is_open: bool = False
    said: int | None = None
    shown: tuple[str, str] = ("", "")


class Captioner:
    """The machine (`stream.Machine`) of a model that gives logits of frames."""

    def __init__(self, recipe: Recipe, clock: Clock, number: int, tell: Callable[[Event], None]) -> None:
        """`number` is that of the first utterance; `tell` takes events."""
        self.number = number
        self._recipe, self._geometry, self._clock, self._tell = recipe, recipe.geometry, clock, tell
        self._sound, self._utterance = Sound(), Utterance(recipe.captions(), 0, 0)
        self._anchor = 0  # the first frame that a window may begin with
        self._counted = 0  # samples that are in the statistics
        self._seen = 0  # frames up to which the last window went
        self._due = self._geometry.at_least(recipe.plan.chunk)  # those up to which the next one goes
        self._slack = 0.0  # seconds that a silence may lack when that one is over

    def add(self, samples: Waveform) -> None:
        """See `Machine.add`."""
        self._sound.add(samples)

    def work(self, partials: bool) -> None:
        """Run the windows that are due; with `partials`, one for what came behind them too."""
        frames = self._geometry.frames(self._sound.end)
        while self._due <= frames:
            self._step(self._due, partials)
        if partials and self._is_stale(frames):
            self._show(self._window(frames))
            self._seen = frames
        self._sound.forget(self._first() * self._geometry.hop)

    def finish(self, reason: Reason) -> None:
        """See `Machine.finish`."""
        frames, utterance = self._geometry.frames(self._sound.end), self._utterance
        if frames > utterance.seam:
            logits = self._window(frames)
            utterance.captions.advance(logits)
            self._move(greedy(logits))
        self._end(frames, reason)

    def _is_stale(self, frames: int) -> bool:
        """Whether a partial is due. None is so shortly before a window that may end the utterance: it would be late."""
        geometry = self._geometry
        if self._slack and self._due - frames < geometry.at_least(AHEAD):
            return False
        return frames - self._seen >= geometry.at_least(self._recipe.plan.step)

    def _first(self) -> int:
        """The first frame of a window: as far back as windows go, from the first frame that is not final."""
        return max(self._anchor, self._utterance.seam - self._geometry.at_least(self._recipe.plan.left))

    def _window(self, frames: int) -> Logits:
        """Logits of the frames from the seam on, of a window that goes up to `frames`."""
        first, end, runner = self._first(), self._geometry.samples(frames), self._recipe.runner
        if end > self._counted:
            runner.add(self._sound.between(self._counted, end))
            self._counted = end
        logits = runner.run(self._sound.between(first * self._geometry.hop, end))
        return logits[self._utterance.seam - first : frames - first]

    def _step(self, frames: int, partials: bool) -> None:
        """Run a window that counts: move the seam, end the utterance where a rule says so."""
        logits = self._window(frames)
        utterance = self._utterance
        ids = greedy(logits)
        said, silence, length = self._state(ids, frames)
        reason = self._recipe.endpoints.fired(length, silence + self._slack, said is not None)
        count = self._final_frames(ids, frames, said, reason)
        utterance.captions.advance(logits[:count])
        self._seen = frames
        self._move(ids[:count])
        if reason is not None:
            self._end(utterance.seam, reason)
        if partials:
            self._show(logits[count:])
        self._schedule(frames, ids[count:])

    def _final_frames(self, ids: Tokens, frames: int, said: int | None, reason: Reason | None) -> int:
        """How many of the frames behind the seam are final."""
        geometry, utterance, kinds = self._geometry, self._utterance, self._recipe.kinds
        if reason == "silence":
            return max(0 if said is None else said - utterance.seam, len(ids) - geometry.at_least(GUARD))
        limit = len(ids) - geometry.at_least(self._recipe.plan.right)
        count = max(seam(ids, limit, kinds, utterance.is_open), self._silence_before(ids))
        is_stuck = utterance.seam == utterance.begin if reason == "length" else limit > geometry.at_least(PENDING)
        return forced(ids, limit, kinds) if not count and is_stuck else count

    def _silence_before(self, ids: Tokens) -> int:
        """How many frames before the first token of the utterance are final: silence needs no sound behind it."""
        if self._utterance.said is not None:
            return 0
        writes = np.flatnonzero(self._recipe.kinds.writes(ids))
        limit = len(ids) - self._geometry.at_least(GUARD)
        return max(0, min(limit, int(writes[0]) - MARGIN) if len(writes) else limit)

    def _said(self, ids: Tokens) -> int | None:
        """The frame behind the last token, of frames from the seam on."""
        writes = np.flatnonzero(self._recipe.kinds.writes(ids))
        return self._utterance.seam + int(writes[-1]) + 1 if len(writes) else self._utterance.said

    def _state(self, ids: Tokens, frames: int) -> tuple[int | None, float, float]:
        """The frame behind the last token; the silence behind it and the length of the utterance, in seconds.

        `ids` are the tokens of frames from the seam on, as they seem now.
        """
        said, begin = self._said(ids), self._utterance.begin
        silence = self._geometry.seconds(begin if said is None else said, frames)
        return said, silence, self._geometry.seconds(begin, frames)

    def _move(self, ids: Tokens) -> None:
        """Move the seam behind these frames."""
        utterance = self._utterance
        utterance.said = self._said(ids)
        utterance.is_open = self._recipe.kinds.is_open(ids, utterance.is_open)
        utterance.seam += len(ids)
        if utterance.said is None:
            self._anchor = max(self._anchor, utterance.seam - self._geometry.at_least(LEAD))

    def _end(self, frames: int, reason: Reason) -> None:
        """End the utterance before a frame, and begin the next one there."""
        utterance, geometry = self._utterance, self._geometry
        reading = NOTHING if utterance.said is None else utterance.captions.finish()
        if reading.text:
            self._tell(replace(self._event(reading), kind="final", reason=reason))
            self.number += 1
        else:
            self._tell_partial(reading)
        captions = utterance.captions.following() if reason == "length" else self._recipe.captions()
        self._utterance = Utterance(captions, frames, frames)
        if reason == "silence":
            self._anchor = max(self._anchor, utterance.said or 0, frames - geometry.at_least(LEAD))

    def _schedule(self, frames: int, ids: Tokens) -> None:
        """Say up to where the next window goes: when a chunk has come, or a rule may end the utterance.

        `ids` are the tokens of frames from the seam on, as they seem now.
        """
        said, silence, length = self._state(ids, frames)
        rest = self._recipe.endpoints.next(length, silence, said is not None)
        chunk, geometry = self._recipe.plan.chunk, self._geometry
        chunk = min(chunk, LOOK) if said is None else chunk
        if said is not None and rest > CHECK and silence < SETTLED:
            rest, chunk = rest - CHECK, min(chunk, rest - CHECK)  # by then the last token stands where it will
        self._slack = SLACK if rest < chunk else 0.0
        self._due = frames + geometry.at_least(max(min(chunk, rest), REST))

    def _show(self, tail: Logits) -> None:
        """A partial of the frames that are final, followed by others, if it says something new."""
        self._tell_partial(self._utterance.captions.read(tail) if self._said(greedy(tail)) is not None else NOTHING)

    def _tell_partial(self, reading: Reading) -> None:
        shown = (reading.committed, reading.text)
        if shown != self._utterance.shown:
            self._utterance.shown = shown
            self._tell(self._event(reading))

    def _event(self, reading: Reading) -> Event:
        """A partial event; times are those of the source."""
        geometry = self._geometry
        begin = self._utterance.begin * geometry.hop

        def at(seconds: float) -> float:
            return self._clock.seconds(begin + seconds * geometry.rate)

        words = [replace(word, start=at(word.start), end=at(word.end)) for word in reading.words]
        start, end = (words[0].start, words[-1].end) if words else (at(0.0), at(0.0))
        tail = reading.text[len(reading.committed) :]
        return Event(
            "partial", reading.text, start, end, words, reading.committed, tail, reading.committed_words, self.number
        )
