"""The measures of classifiers: accuracy over utterances, or over frames, and how each label fares."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from edgespeech_calib.errors import DataError, EvaluationError
from edgespeech_calib.evaluation.systems import Facts
from edgespeech_calib.scoring.accuracy import BETWEEN, ClassScore, FrameScore, LabelCounts, score_classes, score_frames
from edgespeech_calib.scoring.alignment import Pair, align
from edgespeech_calib.scoring.bootstrap import interval
from edgespeech_calib.scoring.labelled_frames import Answer, LabelledFrames
from edgespeech_calib.scoring.measure import Measure, Measured, Row, Table, rate_row, right, shares
from edgespeech_calib.scoring.scoring import Counts, UtteranceScore
from edgespeech_calib.speech.segments import Segment
from edgespeech_calib.speech.sets import SpeechSet
from edgespeech_calib.speech.utterance import Skipped, Utterance

SHOWN = 8  # labels in a message
BY_LABEL = ("label", "true", "found", "both", "recall", "precision", "F1")


@dataclass(frozen=True)
class MeasuredLabels(Measured):
    """What measures of labels share."""

    score: ClassScore | FrameScore

    @property
    def utterances(self) -> tuple[UtteranceScore, ...]:
        """See `Measured.utterances`."""
        return self.score.utterances

    @property
    def counts(self) -> Counts:
        """See `Measured.counts`."""
        return self.score.counts

    def figures(self) -> dict[str, Any]:
        """See `Measured.figures`."""
        value, low, high = right(self.counts.rate, self.interval)
        bounds = {"low": low, "high": high, "level": self.interval.level}
        return {"accuracy": value, "accuracy_interval": bounds, "right": self.counts.hits, "wrong": self.counts.errors}

    def cells(self) -> list[str]:
        """See `Measured.cells`."""
        value, low, high = right(self.counts.rate, self.interval)
        between = f"{100 * low:.2f} to {100 * high:.2f}"
        return [f"{100 * value:.2f} %", between, str(self.counts.hits), str(self.counts.total)]

    def tables(self) -> list[Table]:
        """See `Measured.tables`: each label."""
        rows = [
            [
                one.label,
                str(one.true),
                str(one.found),
                str(one.both),
                *map(_percent, (one.recall, one.precision, one.f1)),
            ]
            for one in self.score.labels
        ]
        return [("By label", BY_LABEL, rows)]

    def _labels(self) -> dict[str, Any]:
        return {one.label: _figures(one) for one in self.score.labels}


@dataclass(frozen=True)
class MeasuredClasses(MeasuredLabels):
    """Labels of utterances against the true ones."""

    score: ClassScore

    def figures(self) -> dict[str, Any]:
        """See `Measured.figures`."""
        pairs = self.score.confusions.items()
        confusions = [{"reference": said, "hypothesis": answer, "utterances": count} for (said, answer), count in pairs]
        return {**super().figures(), "by_label": self._labels(), "confusions": confusions}

    def result(self, index: int) -> dict[str, Any]:
        """See `Measured.result`."""
        one = self.score.utterances[index]
        return {"reference": one.reference, "hypothesis": one.hypothesis, "right": not one.counts.errors}

    def rows(self) -> list[Row]:
        """See `Measured.rows`."""
        rows: list[Row] = [
            rate_row("accuracy", self.counts.rate, self.interval, is_of_errors=False),
            ("", f"{self.counts.hits} of {self.counts.total} labels right"),
        ]
        worst = sorted((one for one in self.score.labels if one.true), key=lambda one: (one.recall, one.label))
        rows.append(("found", [f"{one.label} {one.both} of {one.true}" for one in worst]))
        if wrong := self._wrong():
            rows.append(("mistaken", [f"{said} for {answer} ({count})" for said, answer, count in wrong]))
        return rows

    def tables(self) -> list[Table]:
        """See `Measured.tables`: each label, and which was taken for which."""
        rows = [[said, answer, str(count)] for said, answer, count in self._wrong()]
        return [*super().tables(), *([("Mistaken", ("true", "found", "utterances"), rows)] if rows else [])]

    def _wrong(self) -> list[tuple[str, str, int]]:
        return [(said, answer, count) for (said, answer), count in self.score.confusions.items() if said != answer]


@dataclass(frozen=True)
class MeasuredFrames(MeasuredLabels):
    """Labels of frames against the true ones; of each utterance, when which label holds."""

    score: FrameScore
    segments: tuple[tuple[list[list[Any]], list[list[Any]]], ...]  # [start, end, label], true and found

    def figures(self) -> dict[str, Any]:
        """See `Measured.figures`."""
        return {"frames": self.counts.total, **super().figures(), "by_label": self._labels()}

    def result(self, index: int) -> dict[str, Any]:
        """See `Measured.result`."""
        counts, (said, answer) = self.score.utterances[index].counts, self.segments[index]
        return {"reference": said, "hypothesis": answer, "frames": counts.total, "right": counts.hits}

    def rows(self) -> list[Row]:
        """See `Measured.rows`."""
        labels = [
            f"{one.label} precision {_percent(one.precision)}, recall {_percent(one.recall)}, F1 {_percent(one.f1)}"
            for one in self.score.labels
        ]
        return [
            rate_row("accuracy", self.counts.rate, self.interval, is_of_errors=False),
            ("", f"{self.counts.hits} of {self.counts.total} frames right in each label"),
            *(("", line) for line in labels),
        ]


class ClassAccuracy(Measure):
    """Share of the utterances whose most probable label is the true one."""

    name, errors, unit, key = "accuracy", "wrong labels", "label", "accuracy"
    changes = "labels then and now"
    columns = ("accuracy", "95 % interval", "right", "utterances")

    def conditions(self) -> dict[str, Any]:
        """See `Measure.conditions`."""
        return {"measure": "accuracy over utterances"}

    def labelled(self, data: SpeechSet) -> SpeechSet:
        """See `Measure.labelled`."""
        return data.labelled()

    def fitting(self, data: SpeechSet, name: str, facts: Facts) -> SpeechSet:
        """See `Measure.fitting`."""
        return _fitting(data, name, facts.labels, lambda utterance: [utterance.label or ""])

    def truth(self, utterance: Utterance, frames: int, facts: Facts) -> Answer:
        """See `Measure.truth`."""
        return utterance.label or ""

    def compare(self, references: Sequence[Answer], answers: Sequence[Answer], facts: Facts) -> ClassScore:
        """See `Measure.compare`."""
        return score_classes(list(map(str, references)), list(map(str, answers)))

    def judge(
        self, utterances: Sequence[Utterance], answers: Sequence[Answer], facts: Facts, seed: int = 0
    ) -> MeasuredClasses:
        """See `Measure.judge`."""
        score = self.compare([utterance.label or "" for utterance in utterances], answers, facts)
        return MeasuredClasses(interval(*shares(score), seed=seed), score)

    def aligned(self, reference: str, hypothesis: str) -> Iterable[Pair]:
        """See `Measure.aligned`."""
        return align([reference], [hypothesis])

    def change(self, first: UtteranceScore, second: UtteranceScore) -> str:
        """See `Measure.change`."""
        return f"{second.hypothesis} to {first.hypothesis}"


class FrameAccuracy(Measure):
    """Share of the frames in which all labels with a probability above 0.5, and no others, hold."""

    name, errors, unit, key = "accuracy", "wrong frames", "frame", "accuracy"
    changes = "wrong frames then and now"
    columns = ("accuracy", "95 % interval", "right", "frames")

    def conditions(self) -> dict[str, Any]:
        """See `Measure.conditions`."""
        return {"measure": "accuracy over frames"}

    def notes(self) -> list[str]:
        """See `Measure.notes`."""
        return ["a frame is right if each of its labels is; a label holds if the frame's middle is in its segment"]

    def labelled(self, data: SpeechSet) -> SpeechSet:
        """See `Measure.labelled`."""
        return data.segmented()

    def fitting(self, data: SpeechSet, name: str, facts: Facts) -> SpeechSet:
        """See `Measure.fitting`."""
        return _fitting(data, name, facts.labels, lambda utterance: [one.label for one in utterance.segments or ()])

    def truth(self, utterance: Utterance, frames: int, facts: Facts) -> Answer:
        """See `Measure.truth`."""
        return LabelledFrames.true(utterance.segments or (), facts.labels, frames, facts.hop / facts.sampling_rate)

    def compare(self, references: Sequence[Answer], answers: Sequence[Answer], facts: Facts) -> FrameScore:
        """See `Measure.compare`."""
        said, answered = ([_labelled_frames(answer) for answer in part] for part in (references, answers))
        return score_frames(said, answered, facts.labels, facts.hop / facts.sampling_rate)

    def judge(
        self, utterances: Sequence[Utterance], answers: Sequence[Answer], facts: Facts, seed: int = 0
    ) -> MeasuredFrames:
        """See `Measure.judge`."""
        answered, hop = [_labelled_frames(answer) for answer in answers], facts.hop / facts.sampling_rate
        pairs = list(zip(utterances, answered, strict=True))
        score = self.compare(
            [self.truth(utterance, frames.frames, facts) for utterance, frames in pairs], answered, facts
        )
        segments = tuple(
            (_lists(utterance.segments or ()), _lists(frames.segments(facts.labels, hop)))
            for utterance, frames in pairs
        )
        return MeasuredFrames(interval(*shares(score), seed=seed), score, segments)

    def aligned(self, reference: str, hypothesis: str) -> Iterable[Pair]:
        """See `Measure.aligned`."""
        return align(reference.split(BETWEEN), hypothesis.split(BETWEEN))


def _fitting(data: SpeechSet, name: str, labels_of_model: Sequence[str], labels: Any) -> SpeechSet:
    """The utterances all of whose labels the model knows."""
    kept, left = [], []
    unknown: dict[str, None] = {}
    for utterance in data:
        strange = [label for label in labels(utterance) if label not in labels_of_model]
        unknown.update(dict.fromkeys(strange))
        if strange:
            left.append(Skipped(utterance.id, f"the model does not know the label {strange[0]!r}"))
        else:
            kept.append(utterance)
    if not kept:
        raise DataError(
            f"{name} knows none of the labels in {data.name} ({few(list(unknown))}); its own are {few(labels_of_model)}"
        )
    return replace(data, utterances=tuple(kept), skipped=(*data.skipped, *left))


def few(labels: Sequence[str]) -> str:
    """The first of many labels, and how many more there are."""
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return ", ".join(map(repr, labels[:SHOWN])) + more


def _labelled_frames(answer: Answer) -> LabelledFrames:
    if not isinstance(answer, LabelledFrames):
        raise EvaluationError(f"expected the labels of frames, got {answer!r}")
    return answer


def _lists(segments: Sequence[Segment]) -> list[list[Any]]:
    return [[round(one.start, 4), round(one.end, 4), one.label] for one in segments]


def _figures(one: LabelCounts) -> dict[str, Any]:
    counts = {name: value for name, value in asdict(one).items() if name != "label"}
    return {**counts, "recall": one.recall, "precision": one.precision, "f1": one.f1}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"
