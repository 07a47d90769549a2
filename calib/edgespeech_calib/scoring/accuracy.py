"""How often a classifier is right: the label of a whole utterance, or the labels that hold in each of its frames.

Names are compared as they are. Speakers in a diarization have no order of their own; here they are the model's labels,
and no other assignment is tried.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgespeech_calib.errors import ScoringError
from edgespeech_calib.scoring.alignment import Pair, align
from edgespeech_calib.scoring.labelled_frames import LabelledFrames
from edgespeech_calib.scoring.scoring import Counts, UtteranceScore
from edgespeech_calib.speech.segments import Segment

BETWEEN = "; "  # segments in a line
NOTHING = "-"  # a line without any


@dataclass(frozen=True)
class LabelCounts:
    """Of one label: how often it holds, how often it was found, how often both, in utterances or frames."""

    label: str
    true: int
    found: int
    both: int

    @property
    def recall(self) -> float | None:
        """Share of what is true that was found; None where it never is."""
        return self.both / self.true if self.true else None

    @property
    def precision(self) -> float | None:
        """Share of what was found that is true; None where it never was."""
        return self.both / self.found if self.found else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two; None where the label neither holds nor was found."""
        return 2 * self.both / (self.true + self.found) if self.true + self.found else None


@dataclass(frozen=True)
class ClassScore:
    """Utterances, each with its label as the one word that counts; errors are substitutions."""

    utterances: tuple[UtteranceScore, ...]
    counts: Counts

    @property
    def accuracy(self) -> float:
        """Share of the utterances whose label is right."""
        return 1 - self.counts.rate

    @cached_property
    def confusions(self) -> dict[tuple[str, str], int]:
        """How often the label that is true and the one that was found came together, the most frequent first."""
        pairs = Counter((one.reference, one.hypothesis) for one in self.utterances)
        return dict(sorted(pairs.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def labels(self) -> tuple[LabelCounts, ...]:
        """Counts of each label that is true or was found, by name."""
        true, answered, both = Counter[str](), Counter[str](), Counter[str]()
        for (said, label), count in self.confusions.items():
            true[said] += count
            answered[label] += count
            both[said] += count if said == label else 0
        return tuple(LabelCounts(name, true[name], answered[name], both[name]) for name in sorted({*true, *answered}))


@dataclass(frozen=True)
class FrameScore:
    """Utterances, whose words are frames: a frame is right if each of its labels is; errors are substitutions."""

    utterances: tuple[UtteranceScore, ...]
    counts: Counts
    labels: tuple[LabelCounts, ...]

    @property
    def accuracy(self) -> float:
        """Share of the frames of which all labels are right."""
        return 1 - self.counts.rate


def score_classes(references: Sequence[str], hypotheses: Sequence[str]) -> ClassScore:
    """Compare labels of utterances, in the same order.

    Raises:
        ScoringError: different numbers of them, or none.
    """
    _require_pairs(len(references), len(hypotheses))
    scores = []
    for said, answer in zip(references, hypotheses, strict=True):
        is_right = said == answer
        pair = Pair("hit" if is_right else "substitution", said, answer)
        scores.append(
            UtteranceScore(said, answer, (pair,), Counts(hits=int(is_right), substitutions=int(not is_right)))
        )
    return ClassScore(tuple(scores), Counts.sum(score.counts for score in scores))


def score_frames(
    references: Sequence[LabelledFrames], hypotheses: Sequence[LabelledFrames], labels: Sequence[str], hop: float
) -> FrameScore:
    """Compare which labels hold in the frames of utterances, in the same order; a frame is `hop` seconds.

    Raises:
        ScoringError: different numbers of utterances, frames or labels, or none.
    """
    _require_pairs(len(references), len(hypotheses))
    table = np.zeros((3, len(labels)), np.int64)
    scores = []
    for said, answer in zip(references, hypotheses, strict=True):
        true, answered = said.flags(), answer.flags()
        if true.shape != answered.shape or true.shape[1] != len(labels):
            raise ScoringError(f"expected frames and labels {list(true.shape)}, got {list(answered.shape)}")
        table += np.stack([true.sum(0), answered.sum(0), (true & answered).sum(0)])
        right = int((true == answered).all(axis=1).sum())
        reference, hypothesis = (lines(frames.segments(labels, hop)) for frames in (said, answer))
        pairs = align(reference.split(BETWEEN), hypothesis.split(BETWEEN))
        counts = Counts(hits=right, substitutions=len(true) - right)
        scores.append(UtteranceScore(reference, hypothesis, pairs, counts))
    by_label = (LabelCounts(label, *map(int, column)) for label, column in zip(labels, table.T, strict=True))
    return FrameScore(tuple(scores), Counts.sum(score.counts for score in scores), tuple(by_label))


def lines(segments: Sequence[Segment]) -> str:
    """Segments as a line for people, `name 0.00 to 1.25; ...`."""
    return BETWEEN.join(f"{one.label} {one.start:.2f} to {one.end:.2f}" for one in segments) or NOTHING


def _require_pairs(references: int, hypotheses: int) -> None:
    if references != hypotheses:
        raise ScoringError(f"expected as many answers as references, got {hypotheses} and {references}")
    if not references:
        raise ScoringError("expected at least one reference, got none")
