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

Of a classifier the label of each utterance stands for words and positions, of one of frames each label in each frame:
there a logit is sure by itself, by its distance from 0. Of embeddings nothing is decided but by comparing them: their
noise must be `CLEAR` dB below them. What softmax does not see is left out of logits, see `outputs`.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from edgespeech_calib.marks import Answer
from edgespeech_calib.quantization.outputs import Ids, Tokens, Values, Vector, cosines
from edgespeech_calib.scoring import Counts

FLOOR = 10.0  # dB; with more noise than a third of the logits' spread, what is said is luck
CLEAR = 20.0  # dB; a tenth of it
UNSURE = 15.0  # dB
SIGMAS = 3.0
SURE_SHARE = 0.1  # of the positions; with fewer that are sure, they say nothing of the model


@dataclass
class Tally:
    """What is added up over utterances; `first` and `second` are the answers of both models."""

    outputs: Tokens = field(default_factory=Tokens)
    signal: float = 0.0
    noise: float = 0.0
    positions: int = 0
    sure: int = 0
    lost: int = 0
    seconds: float = 0.0
    ids: list[str] = field(default_factory=list)
    references: list[Answer | None] = field(default_factory=list)
    first: list[Answer] = field(default_factory=list)
    second: list[Answer] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    failure: str | None = None

    @property
    def ratio(self) -> float:
        """Logits over noise in dB."""
        if not (0 < self.signal < math.inf and self.noise < math.inf):
            return math.nan
        return 10 * math.log10(self.signal / self.noise) if self.noise else math.inf

    def compare(
        self,
        expected: Values,
        found: Values,
        best: Ids,
        other: Ids,
        margin: float,
    ) -> None:
        """Values [positions, kept] of both models, and what each position decides by all of them."""
        with np.errstate(all="ignore"):  # what is infinite makes the ratio no number, which does not pass
            before, after = (self.outputs.centred(values).astype(np.float64) for values in (expected, found))
            self.signal += float(np.square(before).sum())
            self.noise += float(np.square(after - before).sum())
            if isinstance(self.outputs, Vector):
                self.cosines += cosines(expected, found).tolist()
        is_sure = self.outputs.lead(expected) > margin
        self.positions += best.size
        self.sure += int(is_sure.sum())
        self.lost += int((is_sure & (best != other)).sum())

    def hear(self, name: str, reference: Answer | None, before: Answer, after: Answer, seconds: float) -> None:
        """Answers of both models for the utterance `name`, and the one that is right, if that is known."""
        self.ids.append(name)
        self.references.append(reference)
        self.first.append(before)
        self.second.append(after)
        self.seconds += seconds


def sure_margin(spread: float, deviations: float = Tokens.deviations) -> float:
    """By how much the best logit leads where a model is sure; `spread` is the deviation of its centred logits."""
    return SIGMAS * deviations * spread * 10 ** (-CLEAR / 20)


def agrees(tally: Tally, differing: Counts, allowed: float, unit: str = "word") -> tuple[bool, str]:
    """Apply the rules of the module's docstring, `allowed` in percent; returns what was measured in words, too.

    A `unit` is what `differing` counts.
    """
    if isinstance(tally.outputs, Vector):
        return _embeds_alike(tally)
    ratio, few_sure = tally.ratio, tally.sure < SURE_SHARE * tally.positions
    noise = f"noise in the logits {ratio:.1f} dB below them"
    words = f"{differing.errors} of {differing.total} {unit}s differ from the float model's"
    lost = f"{tally.lost} of {tally.sure} sure positions have another {tally.outputs.choice}"
    if not ratio >= FLOOR:
        return False, f"{noise}, {FLOOR:g} needed; {words}; {lost}"
    if differing.total and 100 * differing.errors <= allowed * differing.total:
        return True, f"{words}, {allowed:g} % allowed; {noise}"
    if few_sure:
        return ratio >= UNSURE, f"{noise}, {UNSURE:g} needed where the float model is sure of next to nothing; {words}"
    return 100 * tally.lost <= allowed * tally.sure, f"{lost}, {allowed:g} % allowed; {noise}; {words}"


def _embeds_alike(tally: Tally) -> tuple[bool, str]:
    least, mean = min(tally.cosines, default=math.nan), float(np.mean(tally.cosines or [math.nan]))
    name = tally.outputs.name
    alike = f"cosine of {name} with the float model's {mean:.4f} in the mean, {least:.4f} at least"
    return tally.ratio >= CLEAR, f"noise in the {name} {tally.ratio:.1f} dB below them, {CLEAR:g} needed; {alike}"
