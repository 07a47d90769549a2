"""When an utterance has ended: three rules, with the meaning and the defaults of Kaldi's and sherpa-onnx's."""

from dataclasses import dataclass

from ..errors import ArgumentError
from .events import Reason

LONGEST = 300.0  # seconds that an utterance may be allowed to have: its memory is kept as long as it lasts


@dataclass(frozen=True)
class Endpoints:
    """The rules, in seconds of sound. Raises ArgumentError for what is no such number.

    `without_speech`: so much silence ends an utterance in which nothing was said (rule 1; it gives no event);
    `after_speech`: so much silence ends one in which something was (rule 2);
    `longest`: an utterance ends when it has lasted so long, at the last gap between words (rule 3).

    Silence is what the model gives the blank; `after_speech` may be None for no such rule.
    """

    without_speech: float = 2.4
    after_speech: float | None = 1.2
    longest: float = 20.0

    def __post_init__(self) -> None:
        for name, least, most in (("without_speech", 0.2, LONGEST), ("after_speech", 0.2, LONGEST)):
            if not (name == "after_speech" and self.after_speech is None):
                _require_seconds(name, getattr(self, name), least, most)
        _require_seconds("longest", self.longest, 2.0, LONGEST)

    @property
    def shortest_silence(self) -> float:
        """The silence, in seconds, that ends an utterance soonest."""
        return min(self.without_speech, self.without_speech if self.after_speech is None else self.after_speech)

    def fired(self, length: float, silence: float, has_speech: bool) -> Reason | None:
        """Which rule ends an utterance of such a length, in seconds, with so much silence at its end."""
        if silence >= self.without_speech - TINY:
            return "silence"
        if has_speech and self.after_speech is not None and silence >= self.after_speech - TINY:
            return "silence"
        return "length" if length >= self.longest - TINY else None

    def next(self, length: float, silence: float, has_speech: bool) -> float:
        """Seconds until a rule can fire at the earliest, if there is only silence from now on."""
        limit = self.without_speech
        if has_speech and self.after_speech is not None:
            limit = min(limit, self.after_speech)
        return min(limit - silence, self.longest - length)


TINY = 1e-6  # seconds: what sums of frames are off by


def _require_seconds(name: str, value: object, least: float, most: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # type: ignore[operator]  # it is a number
        raise ArgumentError(f"{name}: expected seconds from {least:g} to {most:g}, got {value!r}")
