"""The gate: whether a quantized bundle is shown to be worse than the float bundle it was made of.

With labelled speech the measure is what counts, the increase of the word error rate, or of the share of wrong labels.
Without labels it is agreement with the float model on the calibration audio, by the rules of `agreement`. Either is
known within an interval, see `evidence`, and what is refused is what lies above the allowed value as a whole.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from edgespeech_runtime.bundle.contracts import LOGITS
from edgespeech_runtime.errors import EngineError
from edgespeech_runtime.tasks import AnyModel

from edgespeech_calib.evaluation.results import Changed
from edgespeech_calib.evaluation.systems import Facts, bundle_facts
from edgespeech_calib.quantization.judge.agreement import DELAY, Finding, Tally, agrees
from edgespeech_calib.quantization.judge.evidence import Evidence, of_increase
from edgespeech_calib.quantization.judge.outputs import Tokens, same
from edgespeech_calib.quantization.judge.predictions import Waveform, answer, open_model, predict
from edgespeech_calib.quantization.steps import Count
from edgespeech_calib.scoring.bootstrap import Difference, Interval, interval, paired_difference
from edgespeech_calib.scoring.labelled_frames import Answer
from edgespeech_calib.scoring.measure import AnyScore, Measure, shares
from edgespeech_calib.scoring.measures import find_measure
from edgespeech_calib.scoring.scoring import Counts
from edgespeech_calib.scoring.word_errors import WordErrors

COMPARED = 8  # utterances of a decoder whose logits are: that takes as long again as what it writes


@dataclass(frozen=True)
class JudgedUtterance:
    """An utterance to be judged on; `reference` is the answer that is right, None where that is not known."""

    id: str
    waveform: Waveform
    reference: Answer | None = None


@dataclass(frozen=True)
class Speech:
    """What a gate judges on, read one utterance at a time and as often as is asked.

    Attributes:
        name: of the set.
        total: utterances, roughly.
        labelled: whether errors can be counted.
        most_tokens: that a decoder may write for one; None for as many as its bundle says.
    """

    name: str
    total: int
    labelled: bool
    utterances: Callable[[], Iterator[JudgedUtterance]] = field(repr=False)
    most_tokens: int | None = None


@dataclass(frozen=True)
class Judgement:
    """How a quantized bundle did beside the float bundle.

    Attributes:
        passed: whether the bundle may be shipped: it is not shown to be worse than allowed.
        is_wanted: what was seen is within what is allowed, whether or not it is shown.
        sentence: what was measured and what is allowed, for people.
        words: of the references, or of the float model's texts where there are none; of classifiers, labels or frames.
        differing: words in which the two models differ, as sclite counts them; the float model's are "right".
        positions: frames or tokens whose logits were compared.
        other_positions: those of them whose largest logit is another one.
        ratio: logits over their noise in dB.
        float_errors, errors, intervals: errors of the two, and bounds of their rates; None without labels.
        increase: of the error rate, a fraction, with its interval; None without labels.
        evidence: that increase, or without labels the share of changed words or their excess over what a delay changes,
            beside what is allowed; None of embeddings, and where nothing was said.
        changed: the utterances that were answered differently: the float answer first.
        measure: how answers are judged; None of embeddings.
        output: what the noise is in.
        cosine: of embeddings with the float model's, the least and the mean.
    """

    passed: bool
    is_wanted: bool
    sentence: str
    speech: str
    utterances: int
    seconds: float
    words: int
    differing: Counts
    positions: int
    other_positions: int
    ratio: float
    float_errors: Counts | None
    errors: Counts | None
    intervals: tuple[Interval, Interval] | None
    increase: Difference | None
    evidence: Evidence | None
    changed: tuple[Changed, ...]
    measure: Measure | None = field(default_factory=lambda: WordErrors("basic"))
    output: str = LOGITS.name
    cosine: tuple[float, float] | None = None

    def figures(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        labelled = self._labelled()
        return {
            "measure": self.measure.name if labelled and self.measure else "agreement with the float model",
            "result": self.sentence,
            "speech": self.speech,
            "utterances": self.utterances,
            "seconds": round(self.seconds, 3),
            **self._differing(),
            **self._shown(),
            "positions": self.positions,
            "other_positions": self.other_positions,
            f"{self.output}_db": round(self.ratio, 1) if math.isfinite(self.ratio) else None,
            **labelled,
        }

    def _labelled(self) -> dict[str, Any]:
        if self.increase is None or self.float_errors is None or self.errors is None or self.measure is None:
            return {}
        before, after = self.float_errors.rate, self.errors.rate
        change = {"increase": self.increase.value, "interval": [self.increase.low, self.increase.high]}
        if self.measure.is_of_errors:
            return {"float_wer": before, "wer": after, **change}
        drop = {"drop": change["increase"], "interval": change["interval"]}
        return {"float_accuracy": 1 - before, "accuracy": 1 - after, **drop}

    def _shown(self) -> dict[str, Any]:
        """How certain it is; `_labelled` has the interval of an increase as it is said there."""
        if self.evidence is None:
            return {}
        shown: dict[str, Any] = {"allowed": self.evidence.allowed, "shown_to_be_within": self.evidence.is_within}
        if self.increase is None:
            shown |= {"judged": self.evidence.value, "interval": [self.evidence.low, self.evidence.high]}
        return {**shown, "utterances_that_settle_it": self.evidence.needed}

    def _differing(self) -> dict[str, Any]:
        """In what the two differ."""
        if self.measure is None:
            least, mean = self.cosine or (math.nan, math.nan)
            return {"least_cosine": _finite(least), "mean_cosine": _finite(mean)}
        changed = {"utterances_changed": len(self.changed)}
        if not self.measure.is_of_errors:
            return {f"{self.measure.unit}s": self.words, "differing": self.differing.errors, **changed}
        return {
            "words": self.words,
            "substitutions": self.differing.substitutions,
            "insertions": self.differing.insertions,
            "deletions": self.differing.deletions,
            **changed,
        }


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


class Gate:
    """Judges quantized bundles against one float bundle, which is run once."""

    def __init__(self, floating: Path, speech: Speech, scratch: Path, allowed: float) -> None:
        """`scratch` takes the float model's logits.

        `allowed` is the increase of the error rate in percentage points, or without labels the share of changed words
        in percent.
        """
        self._floating, self._speech, self._scratch, self._allowed = floating, speech, scratch, allowed
        self._answers: list[Answer] = []
        self._outputs = Tokens()
        self._measure: Measure | None = None
        self._facts: Facts
        self._delayed: list[Answer] | None = None
        self._step = 1  # between utterances whose logits are compared

    def prepare(self, count: Count = lambda done, total: None) -> None:
        """Run the float model.

        Raises:
            EngineError: it cannot be run.
            OSError: the disk is full.
        """
        with open_model(self._floating) as model:
            self._facts = bundle_facts(model.manifest)
            self._measure = find_measure(model.manifest.task, problem_type=model.manifest.problem_type)
            if model.has_costly_logits:
                self._step = math.ceil(max(self._speech.total, 1) / COMPARED)
            for index, utterance in enumerate(self._speech.utterances()):
                count(index, self._speech.total)
                if index % self._step:
                    self._answers.append(answer(model, utterance.waveform, self._speech.most_tokens))
                    continue
                prediction = predict(model, utterance.waveform, max_tokens=self._speech.most_tokens)
                self._outputs = prediction.outputs
                values, ids = prediction.outputs.kept(prediction.logits)
                self._answers.append(prediction.answer)
                arrays = {"values": values, "ids": ids, "tokens": prediction.tokens}
                stored: Any = {name: array for name, array in arrays.items() if array is not None}
                np.savez(self._file(index), **stored)
        count(len(self._answers), len(self._answers))

    def judge(self, bundle: Path, count: Count = lambda done, total: None) -> Judgement:
        """Compare a bundle with the float bundle.

        Raises:
            EngineError: it cannot be loaded.
        """
        tally = Tally(self._outputs)
        with open_model(bundle) as model:
            rate = model.manifest.audio.sampling_rate
            for index, utterance in enumerate(self._speech.utterances()):
                count(index, self._speech.total)
                try:
                    said = self._said(model, index, utterance, tally)
                except EngineError as error:  # NaN
                    tally.failure = str(error)
                    break
                seconds = len(utterance.waveform) / rate
                tally.add(utterance.id, utterance.reference, self._answers[index], said, seconds)
        count(len(self._answers), len(self._answers))
        return self._judgement(tally)

    def _said(self, model: AnyModel, index: int, utterance: JudgedUtterance, tally: Tally) -> Answer:
        """The answer of a quantized model; its logits are added to the tally, where the float model's are known."""
        if index % self._step:
            return answer(model, utterance.waveform, self._speech.most_tokens)
        with np.load(self._file(index), allow_pickle=False) as stored:
            values, ids, tokens = stored["values"], stored["ids"], stored.get("tokens")
        prediction = predict(model, utterance.waveform, tokens, self._speech.most_tokens)
        tally.compare(values, same(prediction.logits, ids))
        tally.has_tokens = tokens is not None
        return prediction.answer

    def _judgement(self, tally: Tally) -> Judgement:
        measure, cosines = self._measure, tally.cosines
        differing: AnyScore | None = None
        changed: tuple[Changed, ...] = ()
        float_errors = errors = intervals = increase = None
        finding: Finding | None = None
        if measure is not None and tally.first:
            differing = measure.compare(tally.first, tally.second, self._facts)
            pairs = zip(tally.references, tally.first, strict=True)
            references = [first if reference is None else reference for reference, first in pairs]
            before, after = (measure.compare(references, part, self._facts) for part in (tally.first, tally.second))
            changed = _changed(tally.ids, before, after)
            if self._speech.labelled and tally.failure is None:
                float_errors, errors = before.counts, after.counts
                intervals = interval(*shares(before)), interval(*shares(after))
                increase = paired_difference(shares(after)[0], *shares(before))
                evidence = of_increase(increase, shares(differing)[0], shares(before)[1], self._allowed / 100)
                increase = replace(increase, low=evidence.low, high=evidence.high)
                finding = _errors_hold(measure, evidence)
        if tally.failure is not None:
            finding = Finding(False, False, tally.failure)
        elif finding is None:
            finding = self._agrees(tally, differing)
        counts = Counts() if differing is None else differing.counts
        return Judgement(
            passed=finding.passed,
            is_wanted=finding.is_wanted,
            sentence=finding.sentence,
            speech=Path(self._speech.name).name,
            utterances=len(tally.first),
            seconds=tally.seconds,
            words=counts.total if errors is None else errors.total,
            differing=counts,
            positions=tally.positions,
            other_positions=tally.other,
            ratio=tally.ratio,
            float_errors=float_errors,
            errors=errors,
            intervals=intervals,
            increase=increase,
            evidence=finding.share,
            changed=changed,
            measure=measure,
            output=tally.outputs.name,
            cosine=(min(cosines), float(np.mean(cosines))) if cosines else None,
        )

    def _agrees(self, tally: Tally, differing: AnyScore | None) -> Finding:
        """What the rules say, and where more words changed than is wanted, what they say of the excess over a delay."""
        measure = self._measure
        unit = "word" if measure is None else measure.unit
        finding = agrees(tally, differing, None, self._allowed, unit)
        if measure is None or finding.share is None or finding.is_wanted:
            return finding
        delayed = measure.compare(tally.first, self._delayed_answers(), self._facts)
        return agrees(tally, differing, delayed, self._allowed, unit)

    def _delayed_answers(self) -> list[Answer]:
        """What the float model says to each utterance if it begins a little later."""
        if self._delayed is None:
            with open_model(self._floating) as model:
                silence = np.zeros(round(DELAY * model.manifest.audio.sampling_rate), np.float32)
                waveforms = (utterance.waveform for utterance in self._speech.utterances())
                later = (np.concatenate([silence, waveform[: -len(silence)]]) for waveform in waveforms)
                self._delayed = [answer(model, waveform, self._speech.most_tokens) for waveform in later]
        return self._delayed

    def _file(self, index: int) -> Path:
        return self._scratch / f"prediction-{index:06}.npz"


def _changed(ids: Sequence[str], before: AnyScore, after: AnyScore) -> tuple[Changed, ...]:
    return tuple(
        Changed(name, one.reference, one.hypothesis, other.hypothesis, one.counts.errors, other.counts.errors)
        for name, one, other in zip(ids, before.utterances, after.utterances, strict=True)
        if one.hypothesis != other.hypothesis
    )


def _errors_hold(measure: Measure, evidence: Evidence) -> Finding:
    shown = measure.difference(Difference(evidence.value, evidence.low, evidence.high, worse=0.0))
    value, low, high = (100 * part + 0.0 for part in (shown.value, shown.low, shown.high))  # + 0: no "-0.00"
    name, limit = ("word error rate", "") if measure.is_of_errors else (measure.name, "a drop of ")
    between = f"95 % interval {low:+.2f} to {high:+.2f}"
    sentence = f"{name} {value:+.2f} percentage points ({between}), {limit}{100 * evidence.allowed:g} allowed"
    return Finding(
        not evidence.is_worse, evidence.value <= evidence.allowed, f"{sentence}: {evidence.conclusion}", evidence
    )
