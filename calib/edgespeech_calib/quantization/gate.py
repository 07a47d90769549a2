"""The gate: whether a quantized bundle is as good as the float bundle it was made of.

With labelled speech the measure is what counts, the increase of the word error rate, or of the share of wrong labels.
Without labels it is agreement with the float model on the calibration audio, by the rules of `agreement`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from edgespeech_runtime.errors import EngineError

from edgespeech_calib.bootstrap import Difference, Interval, interval, paired_difference
from edgespeech_calib.marks import Answer
from edgespeech_calib.measure import AnyScore, Measure, shares
from edgespeech_calib.measures import find_measure
from edgespeech_calib.quantization.agreement import Tally, agrees, sure_margin
from edgespeech_calib.quantization.hearing import Waveform, hear, open_model
from edgespeech_calib.quantization.outputs import Tokens, same
from edgespeech_calib.results import Changed
from edgespeech_calib.scoring import Counts
from edgespeech_calib.systems import Facts, bundle_facts
from edgespeech_calib.word_errors import WordErrors

Count = Callable[[int, int], object]  # utterances done, and in all


@dataclass(frozen=True)
class Spoken:
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
    utterances: Callable[[], Iterator[Spoken]] = field(repr=False)
    most_tokens: int | None = None


@dataclass(frozen=True)
class Verdict:
    """How a quantized bundle did beside the float bundle.

    Attributes:
        passed: whether the bundle may be shipped.
        sentence: what was measured and what is allowed, for people.
        words: of the references, or of the float model's texts where there are none; of classifiers, labels or frames.
        differing: words that the two models heard differently, as sclite counts them; the float model's are "right".
        positions, sure, lost: all frames or tokens, those where the float model is sure, those of them with another
            token.
        ratio: logits over their noise in dB.
        float_errors, errors, intervals: errors of the two, and bounds of their rates; None without labels.
        increase: of the error rate, a fraction, with its interval; None without labels.
        changed: the utterances that were heard differently: the float answer first.
        measure: how answers are judged; None of embeddings.
        output: what the noise is in.
        cosine: of embeddings with the float model's, the least and the mean.
    """

    passed: bool
    sentence: str
    speech: str
    utterances: int
    seconds: float
    words: int
    differing: Counts
    positions: int
    sure: int
    lost: int
    ratio: float
    float_errors: Counts | None
    errors: Counts | None
    intervals: tuple[Interval, Interval] | None
    increase: Difference | None
    changed: tuple[Changed, ...]
    measure: Measure | None = field(default_factory=lambda: WordErrors("basic"))
    output: str = Tokens.name
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
            "positions": self.positions,
            "sure": self.sure,
            "sure_changed": self.lost,
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

    def _differing(self) -> dict[str, Any]:
        """What the two heard differently."""
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
        """`scratch` takes the float model's logits; `allowed` is in percentage points."""
        self._floating, self._speech, self._scratch = floating, speech, scratch
        self.allowed = allowed
        self._answers: list[Answer] = []
        self._outputs = Tokens()
        self._measure: Measure | None = None
        self._facts: Facts
        self._margin = math.inf  # by which the best logit leads where the float model is sure

    def prepare(self, count: Count = lambda done, total: None) -> None:
        """Run the float model.

        Raises:
            EngineError: it cannot be run.
            OSError: the disk is full.
        """
        power, values_seen = 0.0, 0
        with open_model(self._floating) as model:
            self._facts = bundle_facts(model.manifest)
            self._measure = find_measure(model.manifest.task, problem_type=model.manifest.problem_type)
            for index, spoken in enumerate(self._speech.utterances()):
                count(index, self._speech.total)
                heard = hear(model, spoken.waveform, most=self._speech.most_tokens)
                self._outputs = heard.outputs
                values, ids = heard.outputs.kept(heard.logits)
                power += float(np.square(heard.outputs.centred(values), dtype=np.float64).sum())
                values_seen += values.size
                self._answers.append(heard.answer)
                best = heard.outputs.decided(heard.logits)
                np.savez(self._file(index), values=values, ids=ids, best=best, tokens=heard.tokens)
        self._margin = sure_margin(math.sqrt(power / max(values_seen, 1)), self._outputs.deviations)
        count(len(self._answers), len(self._answers))

    def judge(self, bundle: Path, count: Count = lambda done, total: None) -> Verdict:
        """Compare a bundle with the float bundle.

        Raises:
            EngineError: it cannot be loaded.
        """
        tally = Tally(self._outputs)
        with open_model(bundle) as model:
            rate = model.manifest.audio.sampling_rate
            for index, spoken in enumerate(self._speech.utterances()):
                count(index, self._speech.total)
                with np.load(self._file(index), allow_pickle=False) as stored:
                    values, ids, best, tokens = (stored[name] for name in ("values", "ids", "best", "tokens"))
                try:
                    heard = hear(model, spoken.waveform, tokens, self._speech.most_tokens)
                except EngineError as error:  # NaN
                    tally.failure = str(error)
                    break
                tally.compare(values, same(heard.logits, ids), best, heard.outputs.decided(heard.logits), self._margin)
                seconds = len(spoken.waveform) / rate
                tally.hear(spoken.id, spoken.reference, self._answers[index], heard.answer, seconds)
        count(len(self._answers), len(self._answers))
        return self._verdict(tally)

    def _verdict(self, tally: Tally) -> Verdict:
        measure, cosines = self._measure, tally.cosines
        differing = Counts()
        changed: tuple[Changed, ...] = ()
        float_errors = errors = intervals = increase = None
        if measure is not None and tally.first:
            differing = measure.compare(tally.first, tally.second, self._facts).counts
            pairs = zip(tally.references, tally.first, strict=True)
            references = [heard if known is None else known for known, heard in pairs]
            before, after = (measure.compare(references, part, self._facts) for part in (tally.first, tally.second))
            changed = _changed(tally.ids, before, after)
            if self._speech.labelled and tally.failure is None:
                float_errors, errors = before.counts, after.counts
                intervals = interval(*shares(before)), interval(*shares(after))
                increase = paired_difference(shares(after)[0], *shares(before))
        if tally.failure is not None:
            passed, sentence = False, tally.failure
        elif increase is not None and measure is not None:
            passed, sentence = _errors_hold(measure, increase, self.allowed)
        else:
            passed, sentence = agrees(tally, differing, self.allowed, "word" if measure is None else measure.unit)
        return Verdict(
            passed=passed,
            sentence=sentence,
            speech=Path(self._speech.name).name,
            utterances=len(tally.first),
            seconds=tally.seconds,
            words=differing.total if errors is None else errors.total,
            differing=differing,
            positions=tally.positions,
            sure=tally.sure,
            lost=tally.lost,
            ratio=tally.ratio,
            float_errors=float_errors,
            errors=errors,
            intervals=intervals,
            increase=increase,
            changed=changed,
            measure=measure,
            output=tally.outputs.name,
            cosine=(min(cosines), float(np.mean(cosines))) if cosines else None,
        )

    def _file(self, index: int) -> Path:
        return self._scratch / f"heard-{index:06}.npz"


def _changed(ids: Sequence[str], before: AnyScore, after: AnyScore) -> tuple[Changed, ...]:
    return tuple(
        Changed(name, one.reference, one.hypothesis, other.hypothesis, one.counts.errors, other.counts.errors)
        for name, one, other in zip(ids, before.utterances, after.utterances, strict=True)
        if one.hypothesis != other.hypothesis
    )


def _errors_hold(measure: Measure, increase: Difference, allowed: float) -> tuple[bool, str]:
    points = 100 * increase.value
    shown = measure.difference(increase)
    value, low, high = (100 * part + 0.0 for part in (shown.value, shown.low, shown.high))  # + 0: no "-0.00"
    name, limit = ("word error rate", "") if measure.is_of_errors else (measure.name, "a drop of ")
    between = f"95 % interval {low:+.2f} to {high:+.2f}"
    sentence = f"{name} {value:+.2f} percentage points ({between}), {limit}{allowed:g} allowed"
    return points <= allowed + 1e-9, sentence  # rounding must not decide
