"""Agreement of a quantized model with its float model: what is added up over utterances, and when it is enough.

A word that changes is not yet an error: where the float model itself wavers between two tokens, rounding decides, for
better as often as for worse, and a sound INT8 model changes such words. So a bundle agrees if the noise in its logits
is at least `FLOOR` dB below them, and

- its words differ from the float model's by no more than is allowed: no word error rate can then have grown by more,
  since edit distances obey the triangle inequality; or
- of the positions (frames, or a decoder's tokens) where the float model is sure, no larger share has another token than
  is allowed in percent. Sure means that the best logit leads by more than three standard deviations of what noise
  `CLEAR` dB below the logits does to a difference of two; or
- the float model is sure of next to nothing, as one with random weights is, and the noise is `UNSURE` dB below: its
  tokens say nothing, so only gross damage can be told.

Logits are taken relative to the mean of their position, because softmax does not see that.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgespeech_calib.normalisation import normalise
from edgespeech_calib.results import Changed
from edgespeech_calib.scoring import Counts, score

FLOOR = 10.0  # dB; with more noise than a third of the logits' spread, what is said is luck
CLEAR = 20.0  # dB; a tenth of it
UNSURE = 15.0  # dB
SIGMAS = 3.0
SURE_SHARE = 0.1  # of the positions; with fewer that are sure, they say nothing of the model
KEPT = 256  # logits of each position that are compared: the largest of the float model's, if it has more

Logits = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


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
        best: Ids,
        other: Ids,
        margin: float,
    ) -> None:
        """Logits [positions, kept] of both models, and the best token of each position in all of them."""
        with np.errstate(all="ignore"):  # what is infinite makes the ratio no number, which does not pass
            before, after = (centred(logits).astype(np.float64) for logits in (expected, found))
            self.signal += float(np.square(before).sum())
            self.noise += float(np.square(after - before).sum())
        top = np.sort(expected, axis=-1)[:, -2:] if expected.shape[-1] > 1 else np.zeros((len(expected), 2))
        is_sure = top[:, 1] - top[:, 0] > margin
        self.positions += len(best)
        self.sure += int(is_sure.sum())
        self.lost += int((is_sure & (best != other)).sum())

    def hear(self, name: str, said: str | None, before: str, after: str, seconds: float) -> None:
        """Texts of both models for the utterance `name`; `said` is what is said in it, if that is known."""
        first, second = normalise(before, "basic"), normalise(after, "basic")
        reference = first if said is None else normalise(said, "basic")
        self.references.append(reference)
        self.first.append(first)
        self.second.append(second)
        self.seconds += seconds
        if first != second:
            wrong = [score(reference, text).counts.errors for text in (first, second)]
            self.changed.append(Changed(name, reference, first, second, *wrong))


def sure_margin(spread: float) -> float:
    """By how much the best logit leads where a model is sure; `spread` is the deviation of its centred logits."""
    return SIGMAS * math.sqrt(2) * spread * 10 ** (-CLEAR / 20)


def agrees(tally: Tally, differing: Counts, allowed: float) -> tuple[bool, str]:
    """Apply the rules of the module's docstring, `allowed` in percent; returns what was measured in words, too."""
    ratio, few_sure = tally.ratio, tally.sure < SURE_SHARE * tally.positions
    noise = f"noise in the logits {ratio:.1f} dB below them"
    words = f"{differing.errors} of {differing.total} words differ from the float model's"
    lost = f"{tally.lost} of {tally.sure} sure positions have another token"
    if not ratio >= FLOOR:
        return False, f"{noise}, {FLOOR:g} needed; {words}; {lost}"
    if differing.total and 100 * differing.errors <= allowed * differing.total:
        return True, f"{words}, {allowed:g} % allowed; {noise}"
    if few_sure:
        return ratio >= UNSURE, f"{noise}, {UNSURE:g} needed where the float model is sure of next to nothing; {words}"
    return 100 * tally.lost <= allowed * tally.sure, f"{lost}, {allowed:g} % allowed; {noise}; {words}"


def largest(logits: Logits) -> tuple[Logits, Ids]:
    """Return the logits of each position that are kept, and their ids; [0, 0] ids for all."""
    if logits.shape[-1] <= KEPT:
        return logits, np.zeros((0, 0), np.int64)
    ids = np.sort(np.argpartition(logits, -KEPT, axis=-1)[:, -KEPT:], axis=-1)
    return np.take_along_axis(logits, ids, axis=-1), ids


def same(logits: Logits, ids: Ids) -> Logits:
    """Return those logits that were kept of the other model."""
    return np.take_along_axis(logits, ids, axis=-1) if ids.size else logits


def centred(logits: Logits) -> Logits:
    """Logits relative to the mean of their position."""
    return logits - logits.mean(axis=-1, keepdims=True)
