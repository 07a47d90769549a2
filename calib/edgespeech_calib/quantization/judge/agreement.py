"""Agreement of a quantized model with its float model: what is added up over utterances, and when it is enough.

What counts is what the model says: the share of the float model's words that changed must not be shown to be larger
than is allowed, see `evidence`. A word that changes is no error yet. Where the float model itself wavers, anything
decides, for better as often as for worse: a weak one changes a quarter of its words if the recording begins half a
millisecond later. So where more words changed than is allowed, those that change by such a delay are set
against them, and what is judged is the excess. With noise in the logits less than `FLOOR` dB below them, the answers
are chance, and nothing passes.

Of a classifier the label of each utterance stands for words, of one of frames each frame. Of embeddings nothing is
decided but by comparing them: their noise must be `CLEAR` dB below them. What softmax does not see is left out of
logits, see `outputs`.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from edgespeech_calib.quantization.judge.evidence import Evidence, of_excess, of_share
from edgespeech_calib.quantization.judge.outputs import Tokens, Values, Vector, cosines
from edgespeech_calib.scoring.labelled_frames import Answer
from edgespeech_calib.scoring.measure import AnyScore, shares

FLOOR = 10.0  # dB; with more noise than a third of the logits' spread, answers are chance
CLEAR = 20.0  # dB; a tenth of it
DELAY = 0.0005  # seconds, which no listener notices


@dataclass
class Tally:
    """What is added up over utterances; `first` and `second` are the answers of both models.

    `other` counts positions whose largest logit is another one than the float model's. Of a text decoder
    (`has_tokens`) these are tokens, each after the same ones before it.
    """

    outputs: Tokens = field(default_factory=Tokens)
    signal: float = 0.0
    noise: float = 0.0
    positions: int = 0
    other: int = 0
    has_tokens: bool = False
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

    def compare(self, expected: Values, quantized: Values) -> None:
        """Values [positions, kept] of both models."""
        with np.errstate(all="ignore"):  # what is infinite makes the ratio no number, which does not pass
            before, after = (self.outputs.centred(values).astype(np.float64) for values in (expected, quantized))
            self.signal += float(np.square(before).sum())
            self.noise += float(np.square(after - before).sum())
            if isinstance(self.outputs, Vector):
                self.cosines += cosines(expected, quantized).tolist()
        self.positions += len(expected)
        if type(self.outputs) is Tokens and expected.shape[-1] > 1:
            self.other += int((expected.argmax(-1) != quantized.argmax(-1)).sum())

    def add(self, name: str, reference: Answer | None, before: Answer, after: Answer, seconds: float) -> None:
        """Answers of both models for the utterance `name`, and the one that is right, if that is known."""
        self.ids.append(name)
        self.references.append(reference)
        self.first.append(before)
        self.second.append(after)
        self.seconds += seconds


@dataclass(frozen=True)
class Finding:
    """What the rules say.

    Attributes:
        passed: they hold.
        is_wanted: and what was seen is within what is allowed, however little it shows.
        sentence: what was measured, in words.
        share: of the changed words, or their excess over those that a delay changes; None of embeddings, and where the
            float model says nothing.
    """

    passed: bool
    is_wanted: bool
    sentence: str
    share: Evidence | None = None


def agrees(tally: Tally, differing: AnyScore | None, delayed: AnyScore | None, allowed: float, unit: str) -> Finding:
    """Apply the rules of the module's docstring.

    Args:
        tally: of all utterances.
        differing: the quantized model's answers against the float model's; None of embeddings.
        delayed: those that the float model gives to delayed recordings; None where they were not asked for.
        allowed: share of changed words, in percent.
        unit: what stands for words.
    """
    if differing is None or isinstance(tally.outputs, Vector):
        return _embeds_alike(tally)
    counts = differing.counts
    noise = f"noise in the {tally.outputs.name} {tally.ratio:.1f} dB below them"
    if tally.has_tokens and tally.positions:
        noise = f"{tally.other} of {tally.positions} tokens differ after the same ones before them; {noise}"
    words = f"{counts.errors} of {counts.total} {unit}s differ from the float model's"
    is_clear = tally.ratio >= FLOOR
    if not counts.total:
        return Finding(is_clear, is_clear, f"{words}; {noise}, {FLOOR:g} needed")
    share = of_share(*shares(differing), allowed / 100)
    if delayed is None:
        words = f"{words}, {_between(share)}"
    else:
        share = of_excess(shares(differing)[0], shares(delayed)[0], shares(differing)[1], allowed / 100)
        later = f"{delayed.counts.errors} where the same recordings begin {1000 * DELAY:g} ms later"
        words = f"{words}, {later}: {_between(share)} more"
    if not is_clear:
        return Finding(False, False, f"{noise}, {FLOOR:g} needed; {words}", share)
    sentence = f"{words}, {allowed:g} allowed: {share.conclusion}; {noise}"
    return Finding(not share.is_worse, share.value <= share.allowed, sentence, share)


def _between(share: Evidence) -> str:
    return f"{100 * share.value:.1f} % (95 % interval {100 * share.low:.1f} to {100 * share.high:.1f})"


def _embeds_alike(tally: Tally) -> Finding:
    least, mean = min(tally.cosines, default=math.nan), float(np.mean(tally.cosines or [math.nan]))
    name, is_clear = tally.outputs.name, tally.ratio >= CLEAR
    alike = f"cosine of {name} with the float model's {mean:.4f} in the mean, {least:.4f} at least"
    sentence = f"noise in the {name} {tally.ratio:.1f} dB below them, {CLEAR:g} needed; {alike}"
    return Finding(is_clear, is_clear, sentence)
