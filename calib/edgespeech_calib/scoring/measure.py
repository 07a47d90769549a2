"""What a measure is: how the answers of a task's systems are judged against what is known of the utterances.

Inside, every measure counts errors among so many words, labels or frames of each utterance: intervals and differences
are of that share. How a measure says it, as errors or as what is right, is its own. `measures` holds the table of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

from edgespeech_calib.evaluation.systems import Facts
from edgespeech_calib.scoring.accuracy import ClassScore, FrameScore
from edgespeech_calib.scoring.alignment import Pair
from edgespeech_calib.scoring.bootstrap import Difference, Interval
from edgespeech_calib.scoring.labelled_frames import Answer
from edgespeech_calib.scoring.scoring import Counts, Score, UtteranceScore
from edgespeech_calib.speech.sets import SpeechSet
from edgespeech_calib.speech.utterance import Utterance

AnyScore: TypeAlias = Score | ClassScore | FrameScore
Row: TypeAlias = tuple[str, str | list[str]]  # a label and a value, or many values, of which a few may be shown
Table: TypeAlias = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, names of columns, rows


@dataclass(frozen=True)
class Measured(ABC):
    """How a system did; `interval` is that of the share of errors."""

    interval: Interval

    @property
    @abstractmethod
    def utterances(self) -> tuple[UtteranceScore, ...]:
        """Of each utterance, in the order in which they were asked."""

    @property
    @abstractmethod
    def counts(self) -> Counts:
        """Of all of them."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """What JSON says of the system."""

    @abstractmethod
    def result(self, index: int) -> dict[str, Any]:
        """What JSON says of one utterance."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """What people read of the system."""

    @abstractmethod
    def cells(self) -> list[str]:
        """A row under `Measure.columns`."""

    def tables(self) -> list[Table]:
        """What a page shows besides."""
        return []


class Measure(ABC):
    """How the systems of an evaluation are judged.

    Attributes:
        name: what is measured.
        errors, unit: what errors are called, and what they are errors among, one of them.
        key: in JSON.
        is_of_errors: whether it says how much is wrong; else how much is right.
        changes: what is said of an utterance that two systems answered differently.
        columns: of the table of systems.
    """

    name: ClassVar[str]
    errors: ClassVar[str]
    unit: ClassVar[str]
    key: ClassVar[str]
    is_of_errors: ClassVar[bool] = False
    changes: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    @abstractmethod
    def conditions(self) -> dict[str, Any]:
        """What JSON says of the measure."""

    def notes(self) -> list[str]:
        """What a page says of the measure."""
        return []

    @abstractmethod
    def labelled(self, data: SpeechSet) -> SpeechSet:
        """Return the utterances of which it is known what is right. Raises DataError for none."""

    def fitting(self, data: SpeechSet, name: str, facts: Facts) -> SpeechSet:
        """Return the utterances that the system `name` can be right about. Raises DataError for none."""
        return data

    @abstractmethod
    def truth(self, utterance: Utterance, frames: int, facts: Facts) -> Answer:
        """Return the answer that is right; `frames` are those of the utterance."""

    @abstractmethod
    def compare(self, references: Sequence[Answer], answers: Sequence[Answer], facts: Facts) -> AnyScore:
        """Compare answers with others, utterance by utterance. Raises ScoringError."""

    @abstractmethod
    def judge(
        self, utterances: Sequence[Utterance], answers: Sequence[Answer], facts: Facts, seed: int = 0
    ) -> Measured:
        """Compare answers with what is known, utterance by utterance. Raises ScoringError."""

    @abstractmethod
    def aligned(self, reference: str, hypothesis: str) -> Iterable[Pair]:
        """Put what is right beside the answer, as `UtteranceScore` holds them."""

    def change(self, first: UtteranceScore, second: UtteranceScore) -> str:
        """Say in which way an utterance changed from the second system to the first."""
        return f"{second.counts.errors} to {first.counts.errors}"

    def difference(self, errors: Difference) -> Difference:
        """A difference of shares of errors as one of what is measured."""
        if self.is_of_errors:
            return errors
        return replace(errors, value=0.0 - errors.value, low=0.0 - errors.high, high=0.0 - errors.low)  # never -0.0


def shares(score: AnyScore) -> tuple[list[int], list[int]]:
    """Errors, and among how many words, labels or frames, of each utterance."""
    return [one.counts.errors for one in score.utterances], [one.counts.total for one in score.utterances]


def rate_row(name: str, rate: float, bounds: Interval, *, is_of_errors: bool) -> Row:
    """`name: 3.50 %, 95 % interval 3.10 to 3.90`, of a share of errors."""
    value, low, high = (rate, bounds.low, bounds.high) if is_of_errors else right(rate, bounds)
    return name, f"{100 * value:.2f} %, {100 * bounds.level:.0f} % interval {100 * low:.2f} to {100 * high:.2f}"


def right(rate: float, bounds: Interval) -> tuple[float, float, float]:
    """What is right where `rate` is wrong, and its bounds."""
    return 1 - rate, 1 - bounds.high, 1 - bounds.low
