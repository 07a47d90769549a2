"""Which more layers go to float in a small model that passed its gate and still hears some words differently.

Words change where the float model itself wavers. They get better as often as worse, but a set of a thousand words shows
the difference that chance left, so the cure is that fewer change: less noise in the logits. What a layer's own output
loses says little of that: of layers with equal noise, one can put five hundred times as much into the logits as
another. In a small model it is measured, layer by layer, in the logits. Others are left as the gate found them: the
measurement writes and runs the bundle once for each layer.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from edgespeech_runtime import EncoderDecoderModel

from edgespeech_calib.quantization.agreement import SURE_SHARE
from edgespeech_calib.quantization.gate import Count, Verdict
from edgespeech_calib.quantization.hearing import Heard, Waveform, hear, open_model
from edgespeech_calib.quantization.layers import Layer

LARGEST = 64 * 2**20  # bytes of the float bundle; some seconds for each layer beyond
# Of the calibration speech that layers are measured on, so many excerpts as have some 250 positions: a few tokens of a
# decoder would be chance.
POSITIONS, EXCERPTS, MOST_EXCERPTS = 250, 3, 32
# A decoder hears several of them as one: noise grows with the frames that it attends to, in some layers more.
SECONDS, TOKENS = 10.0, 128
GOAL = 54.0  # dB of the logits over their noise
OF_REST = 0.25  # of the noise that a decoder in INT4 makes anyway: together 1 dB more than that alone
LEAST_SHARE = 0.3  # of the multiply-accumulates, of the encoder as of the decoder, that stays in integers
UNSEEN = 3  # changed words may be in speech of which the sample shows none, with 95 % confidence ("rule of three")


@dataclass(frozen=True)
class Part:
    """An encoder or a decoder: its layers in INT8, and the share of its multiply-accumulates that is in integers."""

    layers: Sequence[Layer]
    share: float

    @property
    def macs(self) -> int:
        """Of all these layers; a look-up multiplies nothing, though its weights are counted."""
        return sum(map(_work, self.layers))


def is_wanted(verdict: Verdict, allowed: float, float_bytes: int) -> bool:
    """Whether a bundle that passed is to be refined; `allowed` in percent of the words.

    Not if it is shown that no more words change than may, nor if the float model is sure of next to nothing, as one
    with random weights is: what it says cannot be kept.
    """
    changed = 100 * (verdict.differing.errors + UNSEEN) > allowed * verdict.differing.total
    is_sure = verdict.sure >= SURE_SHARE * max(verdict.positions, 1)
    return changed and is_sure and verdict.ratio < GOAL and float_bytes <= LARGEST


def excerpts(verdict: Verdict) -> int:
    """Return how many excerpts layers are measured on, by the positions of those that were judged."""
    wanted = math.ceil(POSITIONS * verdict.utterances / max(verdict.positions, 1))
    return min(max(wanted, EXCERPTS), MOST_EXCERPTS)


def measure(
    floating: Path,
    waveforms: Iterable[Waveform],
    names: Sequence[str],
    alone: Callable[[Sequence[str]], Path],
    count: Count,
) -> tuple[dict[str, float], float]:
    """Return what each layer puts into the logits if it alone is in INT8, and what is there with none of them.

    Both are powers of the noise over that of the logits.

    Args:
        floating: the float bundle.
        waveforms: float32 [samples] each.
        names: of the layers.
        alone: writes the bundle in which just the layers of these names are in INT8; its folder is overwritten by the
            next call.
        count: called with the layers done, and all.
    """
    with open_model(floating) as model:
        expected = [(waveform, hear(model, waveform, most=TOKENS)) for waveform in waveforms]
    rest = _noise(alone([]), expected)
    found = {}
    for done, name in enumerate(names):
        count(done, len(names))
        found[name] = max(_noise(alone([name]), expected) - rest, 0.0)
    count(len(names), len(names))
    return found, rest


def choose(parts: Sequence[Part], noise: Mapping[str, float], rest: float) -> dict[str, float]:
    """Return the layers that go to float, by name, with how far the noise that each makes lies below the logits in dB.

    Those come first that make the most noise for their part of the work, until what the others make is at the goal, or
    a quarter of the noise that remains anyway. None goes that would leave less than `LEAST_SHARE` of the work of the
    encoder, or of the decoder, in integers.

    Args:
        parts: of the model, each with its layers in INT8.
        noise: what each layer puts into the logits, as `measure` returns it.
        rest: what is there without them.
    """
    goal = max(10 ** (-GOAL / 10), OF_REST * rest)
    left, kept = sum(noise.values()), [part.macs for part in parts]
    every = [(place, layer) for place, part in enumerate(parts) for layer in part.layers]
    found: dict[str, float] = {}
    for place, layer in sorted(every, key=lambda one: -noise[one[1].name] * parts[one[0]].macs / max(one[1].macs, 1)):
        if left <= goal:
            break
        remains = kept[place] - _work(layer)
        if parts[place].share * remains < LEAST_SHARE * parts[place].macs:
            continue
        kept[place] = remains
        left -= noise[layer.name]
        found[layer.name] = decibels(noise[layer.name])
    return found


def _work(layer: Layer) -> int:
    return 0 if layer.kind == "table" else layer.macs


def decibels(noise: float) -> float:
    """Return how far noise lies below the logits, of the ratio of their powers."""
    return -10 * math.log10(noise) if noise else math.inf


def _noise(bundle: Path, expected: Sequence[tuple[Waveform, Heard]]) -> float:
    signal = noise = 0.0
    with open_model(bundle) as model:
        for waveform, before in expected:
            if isinstance(model, EncoderDecoderModel):  # after the same tokens; what it would write is not asked
                after = replace(before, logits=model.step_logits([waveform], before.tokens[None])[0])
            else:
                after = hear(model, waveform)
            exact, found = (heard.centred.astype(np.float64) for heard in (before, after))
            signal += float(np.square(exact).sum())
            noise += float(np.square(found - exact).sum())
    return noise / signal if signal else 0.0
