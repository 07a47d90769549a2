"""The gate: whether a quantized bundle is as good as the float bundle it was made of.

With labelled speech the measure is what counts, the increase of the word error rate.

Without labels it is agreement with the float model, on the calibration audio. A word that changes is not yet an error:
where the float model itself wavers between two tokens, rounding decides, for better as often as for worse, and a sound
INT8 model changes such words. So a bundle passes if the noise in its logits is at least `FLOOR` dB below them, and

- its words differ from the float model's by no more than is allowed: no word error rate can then have grown by more,
  since edit distances obey the triangle inequality; or
- of the positions (frames, or a decoder's tokens) where the float model is sure, no larger share has another token than
  is allowed in percent. Sure means that the best logit leads by more than three standard deviations of what noise
  `CLEAR` dB below the logits does to a difference of two; or
- the float model is sure of next to nothing, as one with random weights is, and the noise is `CLEAR` dB below.

Logits are taken relative to the mean of their position, because softmax does not see that.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import numpy.typing as npt
from edgespeech_runtime.errors import EngineError

from edgespeech_calib.bootstrap import Difference, Interval, interval, paired_difference
from edgespeech_calib.normalisation import normalise
from edgespeech_calib.quantization.hearing import Waveform, hear
from edgespeech_calib.results import Changed
from edgespeech_calib.scoring import Counts, score

FLOOR = 10.0  # dB; with more noise than a third of the logits' spread, what is said is luck
CLEAR = 20.0  # dB; a tenth of it
SIGMAS = 3.0
SURE_SHARE = 0.1  # of the positions; with fewer that are sure, they say nothing of the model
KEPT = 256  # logits of each position that are compared: the largest of the float model's, if it has more

Logits = npt.NDArray[np.float32]
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
        passed: by the rules above.
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
        with edgespeech_runtime.load(self._floating) as model:
            for index, spoken in enumerate(self._speech.utterances()):
                count(index, self._speech.total)
                heard = hear(model, spoken.waveform, most=self._speech.most_tokens)
                values, ids = _largest(heard.logits)
                power += float(np.square(_centred(values), dtype=np.float64).sum())
                logits_seen += values.size
                self._texts.append(heard.text)
                np.savez(self._file(index), values=values, ids=ids, best=heard.logits.argmax(-1), tokens=heard.tokens)
        spread = math.sqrt(power / max(logits_seen, 1))
        self._margin = SIGMAS * math.sqrt(2) * spread * 10 ** (-CLEAR / 20)
        count(len(self._texts), len(self._texts))

    def judge(self, bundle: Path, count: Count = lambda done, total: None) -> Verdict:
        """Compare a bundle with the float bundle.

        Raises:
            EngineError: it cannot be loaded.
        """
        tally = Tally()
        with edgespeech_runtime.load(bundle) as model:
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
                tally.compare(values, _same(heard.logits, ids), best, heard.logits.argmax(-1), self._margin)
                tally.hear(spoken, self._texts[index], heard.text, len(spoken.waveform) / rate)
        count(len(self._texts), len(self._texts))
        return self._verdict(tally)

    def _verdict(self, tally: "Tally") -> Verdict:
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
            passed, sentence = _agrees(tally, differing, self.allowed)
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


@dataclass
class Tally:
    """What is added up over utterances."""

    signal: float = 0.0
    noise: float = 0.0
    positions: int = 0
    sure: int = 0
    lost: int = 0
    seconds: float = 0.0
    references: list[str] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    second: list[str] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    failure: str | None = None

    @property
    def ratio(self) -> float:
        """Logits over noise in dB."""
        if not (0 < self.signal < math.inf and self.noise < math.inf):
            return math.nan
        return 10 * math.log10(self.signal / self.noise) if self.noise else math.inf

    def compare(
        self,
        expected: Logits,
        found: Logits,
        best: npt.NDArray[np.int64],
        other: npt.NDArray[np.int64],
        margin: float,
    ) -> None:
        """Logits [positions, kept] of both models, and the best token of each position in all of them."""
        with np.errstate(all="ignore"):  # what is infinite makes the ratio no number, which does not pass
            before, after = (_centred(logits).astype(np.float64) for logits in (expected, found))
            self.signal += float(np.square(before).sum())
            self.noise += float(np.square(after - before).sum())
        top = np.sort(expected, axis=-1)[:, -2:] if expected.shape[-1] > 1 else np.zeros((len(expected), 2))
        is_sure = top[:, 1] - top[:, 0] > margin
        self.positions += len(best)
        self.sure += int(is_sure.sum())
        self.lost += int((is_sure & (best != other)).sum())

    def hear(self, spoken: Spoken, before: str, after: str, seconds: float) -> None:
        """Texts of both models for one utterance."""
        first, second = normalise(before, "basic"), normalise(after, "basic")
        reference = first if spoken.reference is None else normalise(spoken.reference, "basic")
        self.references.append(reference)
        self.first.append(first)
        self.second.append(second)
        self.seconds += seconds
        if first != second:
            wrong = [score(reference, text).counts.errors for text in (first, second)]
            self.changed.append(Changed(spoken.id, reference, first, second, *wrong))


def _errors_hold(increase: Difference, allowed: float) -> tuple[bool, str]:
    points, low, high = (100 * value for value in (increase.value, increase.low, increase.high))
    between = f"95 % interval {low:+.2f} to {high:+.2f}"
    sentence = f"word error rate {points:+.2f} percentage points ({between}), {allowed:g} allowed"
    return points <= allowed + 1e-9, sentence  # rounding must not decide


def _agrees(tally: Tally, differing: Counts, allowed: float) -> tuple[bool, str]:
    """The rules of the module's docstring."""
    ratio, few_sure = tally.ratio, tally.sure < SURE_SHARE * tally.positions
    noise = f"noise in the logits {ratio:.1f} dB below them"
    words = f"{differing.errors} of {differing.total} words differ from the float model's"
    lost = f"{tally.lost} of {tally.sure} sure positions have another token"
    if not ratio >= FLOOR:
        return False, f"{noise}, {FLOOR:g} needed; {words}; {lost}"
    if differing.total and 100 * differing.errors <= allowed * differing.total:
        return True, f"{words}, {allowed:g} % allowed; {noise}"
    if few_sure:
        return ratio >= CLEAR, f"{noise}, {CLEAR:g} needed where the float model is sure of next to nothing; {words}"
    return 100 * tally.lost <= allowed * tally.sure, f"{lost}, {allowed:g} % allowed; {noise}; {words}"


def _largest(logits: Logits) -> tuple[Logits, npt.NDArray[np.int64]]:
    """The logits of each position that are kept, and their ids; [0, 0] ids for all."""
    if logits.shape[-1] <= KEPT:
        return logits, np.zeros((0, 0), np.int64)
    ids = np.sort(np.argpartition(logits, -KEPT, axis=-1)[:, -KEPT:], axis=-1)
    return np.take_along_axis(logits, ids, axis=-1), ids


def _same(logits: Logits, ids: npt.NDArray[np.int64]) -> Logits:
    """Those logits that were kept of the other model."""
    return np.take_along_axis(logits, ids, axis=-1) if ids.size else logits


def _centred(logits: Logits) -> Logits:
    return logits - logits.mean(axis=-1, keepdims=True)
