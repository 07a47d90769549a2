"""The gate: whether a quantized bundle is as good as the float bundle it was made of.

With labelled speech the measure is what counts, the increase of the word error rate. Without labels it is agreement
with the float model on the calibration audio, by the rules of `agreement`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from edgespeech_runtime.errors import EngineError

from edgespeech_calib.bootstrap import Difference, Interval, interval, paired_difference
from edgespeech_calib.quantization.agreement import Tally, agrees, centred, largest, same, sure_margin
from edgespeech_calib.quantization.hearing import Waveform, hear, open_model
from edgespeech_calib.results import Changed
from edgespeech_calib.scoring import Counts, score

Count = Callable[[int, int], object]  # utterances done, and in all


@dataclass(frozen=True)
class Spoken:
    """An utterance to be judged on; `reference` is what is said in it, None where that is not known."""

    id: str
    waveform: Waveform
    reference: str | None = None


@dataclass(frozen=True)
class Speech:
    """What a gate judges on, read one utterance at a time and as often as is asked.

    Attributes:
        name: of the set.
        total: utterances, roughly.
        labelled: whether word errors can be counted.
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
        words: of the references, or of the float model's texts where there are none.
        differing: words that the two models heard differently, as sclite counts them; the float model's are "right".
        positions, sure, lost: all frames or tokens, those where the float model is sure, those of them with another
            token.
        ratio: logits over their noise in dB.
        float_errors, errors, intervals: word errors of the two, and bounds of their rates; None without labels.
        increase: of the word error rate, a fraction, with its interval; None without labels.
        changed: the utterances that were heard differently: the float text first.
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

    def figures(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        labelled: dict[str, Any] = {}
        if self.increase is not None and self.float_errors is not None and self.errors is not None:
            labelled = {
                "float_wer": self.float_errors.rate,
                "wer": self.errors.rate,
                "increase": self.increase.value,
                "interval": [self.increase.low, self.increase.high],
            }
        return {
            "measure": "word errors" if labelled else "agreement with the float model",
            "result": self.sentence,
            "speech": self.speech,
            "utterances": self.utterances,
            "seconds": round(self.seconds, 3),
            "words": self.words,
            "substitutions": self.differing.substitutions,
            "insertions": self.differing.insertions,
            "deletions": self.differing.deletions,
            "utterances_changed": len(self.changed),
            "positions": self.positions,
            "sure": self.sure,
            "sure_changed": self.lost,
            "logits_db": round(self.ratio, 1) if math.isfinite(self.ratio) else None,
            **labelled,
        }


class Gate:
    """Judges quantized bundles against one float bundle, which is run once."""

    def __init__(self, floating: Path, speech: Speech, scratch: Path, allowed: float) -> None:
        """`scratch` takes the float model's logits; `allowed` is in percentage points."""
        self._floating, self._speech, self._scratch = floating, speech, scratch
        self.allowed = allowed
        self._texts: list[str] = []
        self._margin = math.inf  # by which the best logit leads where the float model is sure

    def prepare(self, count: Count = lambda done, total: None) -> None:
        """Run the float model.

        Raises:
            EngineError: it cannot be run.
            OSError: the disk is full.
        """
        power, logits_seen = 0.0, 0
        with open_model(self._floating) as model:
            for index, spoken in enumerate(self._speech.utterances()):
                count(index, self._speech.total)
                heard = hear(model, spoken.waveform, most=self._speech.most_tokens)
                values, ids = largest(heard.logits)
                power += float(np.square(centred(values), dtype=np.float64).sum())
                logits_seen += values.size
                self._texts.append(heard.text)
                np.savez(self._file(index), values=values, ids=ids, best=heard.logits.argmax(-1), tokens=heard.tokens)
        self._margin = sure_margin(math.sqrt(power / max(logits_seen, 1)))
        count(len(self._texts), len(self._texts))

    def judge(self, bundle: Path, count: Count = lambda done, total: None) -> Verdict:
        """Compare a bundle with the float bundle.

        Raises:
            EngineError: it cannot be loaded.
        """
        tally = Tally()
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
                tally.compare(values, same(heard.logits, ids), best, heard.logits.argmax(-1), self._margin)
                seconds = len(spoken.waveform) / rate
                tally.hear(spoken.id, spoken.reference, self._texts[index], heard.text, seconds)
        count(len(self._texts), len(self._texts))
        return self._verdict(tally)

    def _verdict(self, tally: Tally) -> Verdict:
        differing = score(tally.first, tally.second).counts if tally.first else Counts()
        float_errors = errors = intervals = increase = None
        if self._speech.labelled and tally.failure is None:
            before, after = (score(tally.references, texts) for texts in (tally.first, tally.second))
            float_errors, errors = before.counts, after.counts
            wrong, still, words = (
                [part.counts.errors for part in before.utterances],
                [part.counts.errors for part in after.utterances],
                [part.counts.total for part in before.utterances],
            )
            intervals = interval(wrong, words), interval(still, words)
            increase = paired_difference(still, wrong, words)
        if tally.failure is not None:
            passed, sentence = False, tally.failure
        elif increase is not None:
            passed, sentence = _errors_hold(increase, self.allowed)
        else:
            passed, sentence = agrees(tally, differing, self.allowed)
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
            changed=tuple(tally.changed),
        )

    def _file(self, index: int) -> Path:
        return self._scratch / f"heard-{index:06}.npz"


def _errors_hold(increase: Difference, allowed: float) -> tuple[bool, str]:
    points, low, high = (100 * value for value in (increase.value, increase.low, increase.high))
    between = f"95 % interval {low:+.2f} to {high:+.2f}"
    sentence = f"word error rate {points:+.2f} percentage points ({between}), {allowed:g} allowed"
    return points <= allowed + 1e-9, sentence  # rounding must not decide
