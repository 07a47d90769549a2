"""Which more layers go to float in a small model that passed its gate and still hears some words differently.

Words change where the float model itself wavers. They get better as often as worse, but a set of a thousand words shows
the difference that chance left, so the cure is that fewer change: less noise in the logits. What a layer's own output
loses says little of that: of layers with equal noise, one can put five hundred times as much into the logits as
another. In a small model it is measured, layer by layer, in the logits. Others are left as the gate found them: the
measurement writes and runs the bundle once for each layer.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgespeech_calib.quantization.agreement import SURE_SHARE, centred
from edgespeech_calib.quantization.gate import Count, Verdict
from edgespeech_calib.quantization.hearing import EXCERPT_TOKENS, Heard, Waveform, hear, open_model
from edgespeech_calib.quantization.layers import Layer

LARGEST = 64 * 2**20  # bytes of the float bundle; some seconds for each layer beyond
EXCERPTS = 3  # of the calibration speech that layers are measured on
GOAL = 54.0  # dB of the logits over their noise
OF_REST = 0.25  # of the noise that a decoder in INT8 makes anyway: together 1 dB more than that alone
LEAST_SHARE = 0.3  # of the multiply-accumulates that stays in integers
UNSEEN = 3  # changed words may be in speech of which the sample shows none, with 95 % confidence ("rule of three")


def is_wanted(verdict: Verdict, allowed: float, float_bytes: int) -> bool:
    """Whether a bundle that passed is to be refined; `allowed` in percent of the words.

    Not if it is shown that no more words change than may, nor if the float model is sure of next to nothing, as one
    with random weights is: what it says cannot be kept.
    """
    changed = 100 * (verdict.differing.errors + UNSEEN) > allowed * verdict.differing.total
    is_sure = verdict.sure >= SURE_SHARE * max(verdict.positions, 1)
    return changed and is_sure and verdict.ratio < GOAL and float_bytes <= LARGEST


def measure(
    floating: Path,
    waveforms: Iterable[Waveform],
    names: Sequence[str],
    alone: Callable[[Sequence[str]], Path],
    count: Count,
) -> tuple[dict[str, float], float]:
    """Return what each layer puts into the logits if it alone is in INT8, and what is there with none of them.

    Both are powers of the noise over that of the logits. A decoder is quantized in all of these bundles.

    Args:
        floating: the float bundle.
        waveforms: float32 [samples] each.
        names: of the layers.
        alone: writes the bundle in which just the layers of these names are in INT8; its folder is overwritten by the
            next call.
        count: called with the layers done, and all.
    """
    with open_model(floating) as model:
        expected = [(waveform, hear(model, waveform, most=EXCERPT_TOKENS)) for waveform in waveforms]
    rest = _noise(alone([]), expected)
    found = {}
    for done, name in enumerate(names):
        count(done, len(names))
        found[name] = max(_noise(alone([name]), expected) - rest, 0.0)
    count(len(names), len(names))
    return found, rest


def choose(layers: Sequence[Layer], noise: Mapping[str, float], rest: float, share: float) -> dict[str, float]:
    """Return the layers that go to float, by name, with how far the noise that each makes lies below the logits in dB.

    Those come first that make the most noise for their work, until what the others make is at the goal, or a quarter
    of the noise that remains anyway, or until less than `LEAST_SHARE` of the work would be in integers.

    Args:
        layers: those in INT8.
        noise: what each puts into the logits, as `measure` returns it.
        rest: what is there without them.
        share: of the multiply-accumulates that is in integers now.
    """
    total = sum(layer.macs for layer in layers) or 1
    goal = max(10 ** (-GOAL / 10), OF_REST * rest)
    left, kept = sum(noise.values()), total
    found: dict[str, float] = {}
    for layer in sorted(layers, key=lambda layer: -noise[layer.name] / max(layer.macs, 1)):
        if left <= goal:
            break
        if share * (kept - layer.macs) / total < LEAST_SHARE:
            continue
        kept -= layer.macs
        left -= noise[layer.name]
        found[layer.name] = decibels(noise[layer.name])
    return found


def decibels(noise: float) -> float:
    """Return how far noise lies below the logits, of the ratio of their powers."""
    return -10 * math.log10(noise) if noise else math.inf


def _noise(bundle: Path, expected: Sequence[tuple[Waveform, Heard]]) -> float:
    signal = noise = 0.0
    with open_model(bundle) as model:
        for waveform, before in expected:
            after = hear(model, waveform, before.tokens, EXCERPT_TOKENS)
            exact, found = (centred(heard.logits).astype(np.float64) for heard in (before, after))
            signal += float(np.square(exact).sum())
            noise += float(np.square(found - exact).sum())
    return noise / signal if signal else 0.0
