"""How much sound a stream waits for, how far it looks back, and how often it looks: what `latency` means."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ..errors import ArgumentError
from .endpoints import Endpoints

LatencyName: TypeAlias = Literal["low", "balanced", "high"]
Latency: TypeAlias = LatencyName | int | float
NAMED: dict[str, int] = {"low": 800, "balanced": 2000, "high": 4000}  # milliseconds
LEAST, MOST = 100, 5000  # milliseconds

LEFT = 8.0  # seconds of sound before the first frame that is not final
LEAD = 0.5  # seconds of silence that an utterance begins with
GUARD = 0.4  # seconds at the end of a silence that belong to what follows: a word may have begun there unseen
LOOK = 0.2  # seconds between windows while nothing is said: those of silence are short
CHECK = 0.3  # seconds before a silence is long enough, in which a window says again where it has begun
SETTLED = 0.6  # seconds of silence with which the window before does say it
AHEAD = 0.15  # seconds before the end of an utterance in which no partial text is computed
REST = 0.06  # seconds between two windows at the least
SLACK = 0.06  # seconds that a silence may be shorter than was foreseen: with more sound, tokens move a little
PENDING = 4.0  # seconds without a gap between words, after which a seam is made all the same


@dataclass(frozen=True)
class Plan:
    """In seconds: a frame is final with `right` of sound behind it; `left` is how far a window reaches back before the
    frames that are not final. A window is run every `chunk`; one for partial texts every `step`.
    """

    right: float
    chunk: float
    step: float
    left: float = LEFT

    @classmethod
    def by_latency(cls, latency: object, endpoints: Endpoints) -> "Plan":
        """`latency` is a name, or `right` in milliseconds. Raises ArgumentError.

        A window that counts must end in each silence that ends an utterance, before that is long enough.
        """
        value = NAMED.get(latency) if isinstance(latency, str) else latency
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not LEAST <= value <= MOST:  # type: ignore[operator]  # it is a number
            names = ", ".join(map(repr, get_args(LatencyName)))
            raise ArgumentError(f"latency: expected {names}, or {LEAST} to {MOST} milliseconds, got {latency!r}")
        right = value / 1000  # type: ignore[operator]
        if endpoints.longest < 2 * right:
            raise ArgumentError(
                f"longest: expected at least twice the latency, {2 * right:g} s, got {endpoints.longest:g}"
            )
        return cls(right, min(right, endpoints.shortest_silence), min(0.3, right / 2))
