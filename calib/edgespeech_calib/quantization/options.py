"""How to quantize."""

from dataclasses import dataclass
from typing import Literal, get_args

from edgespeech.choices import MAX_CHANGED_WORDS, MAX_WER_INCREASE, SAMPLES, DecoderWeights, Ranges, Scheme, Target
from edgespeech_calib.errors import QuantizationError


@dataclass(frozen=True)
class QuantizationOptions:
    """How to quantize a bundle, and what it may cost.

    Attributes:
        samples: calibration utterances, drawn spread over speakers and lengths; None takes all.
        seed: decides the draw; same inputs and same seed give the same bundle, bit for bit.
        scheme: "static" fixes the ranges of activations from calibration audio, "dynamic" takes them from each input.
        ranges: how a static range follows from what was seen; None is the engine's best by measurement.
        decoder_weights: how a text decoder's weights are stored.
        target: the instruction set that the bundle is for; None is this machine's.
        max_wer_increase: percentage points by which the word error rate may grow, where it is known what is said.
        max_changed_words: percent of the words that may change, where it is not.
        revert: return layers to float until the cost is within that; without, exceeding it is an error.
    """

    samples: int | None = SAMPLES
    seed: int = 0
    scheme: Scheme = "static"
    ranges: Ranges | None = None
    decoder_weights: DecoderWeights = "int8"
    target: Target | None = None
    max_wer_increase: float = MAX_WER_INCREASE
    max_changed_words: float = MAX_CHANGED_WORDS
    revert: bool = True

    def __post_init__(self) -> None:
        choices = {"scheme": Scheme, "ranges": Ranges, "decoder_weights": DecoderWeights, "target": Target}
        for name, kind in choices.items():
            value = getattr(self, name)
            if value not in get_args(kind) and not (value is None and name in ("ranges", "target")):
                raise QuantizationError(f"{name} must be one of {', '.join(get_args(kind))}, got {value!r}")
        if self.samples is not None and self.samples < 1:
            raise QuantizationError(f"samples must be at least 1, got {self.samples}")
        if not self.max_wer_increase >= 0:
            raise QuantizationError(f"max_wer_increase must be at least 0 points, got {self.max_wer_increase}")
        if not self.max_changed_words >= 0:
            raise QuantizationError(f"max_changed_words must be at least 0 percent, got {self.max_changed_words}")


@dataclass(frozen=True)
class Types:
    """Number types that run fast and exactly on a target.

    Attributes:
        activation, weight: of the factors of a product.
        reduce_range: weights use 7 of their 8 bits, so that sums of products of pairs fit into 16 bits.
        why: one sentence for the report.
    """

    activation: Literal["int8", "uint8"]
    weight: Literal["int8", "uint8"]
    reduce_range: bool
    why: str
