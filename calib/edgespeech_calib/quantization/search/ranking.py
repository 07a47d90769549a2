"""Which layers begin in float, and which follow if that is not enough: few that make most of the noise for little work.

In a trained network the noise of all layers in INT8 comes from a handful of them, and how much each makes is measured
in the answers (see `onnx_damage`). Where an engine does not measure that, it is estimated from the noise in each
layer's own output.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from edgespeech_calib.quantization.search.layers import Layer

# dB. Rounded to 8 bits, a bell-shaped signal keeps 32 to 40 dB, a spiky one less. The ratio is that of a whole
# utterance, so loud frames make it. Behind the feature extractor each frame is normalised, which brings the noise of
# quiet ones up to that of loud ones: there 20 dB is where a layer stops being safe, elsewhere 10.
FEATURES_LIMIT = 20.0
LIMIT = 10.0


def limit(layer: Layer) -> float:
    """Return the signal-to-noise ratio in dB below which a layer is not safe in INT8."""
    return FEATURES_LIMIT if layer.stage == "features" else LIMIT


def unsafe(layers: Iterable[Layer], noise: Mapping[str, float]) -> dict[str, str]:
    """Return the layers that begin in float, with the reason of each."""
    reasons = {}
    for layer in layers:
        ratio = noise.get(layer.name, math.inf)
        if not ratio >= limit(layer):  # NaN is not safe
            reasons[layer.name] = f"measured {ratio:.1f} dB in INT8, under the {limit(layer):g} dB that are safe there"
    return reasons


def estimated(layers: Iterable[Layer], noise: Mapping[str, float]) -> dict[str, float]:
    """Return what each layer may put into the answers, up to a factor, by its own noise and how near that is its limit.

    What was not measured puts nothing there; what is no number, more than any other.
    """
    estimates = {}
    for layer in layers:
        margin = noise.get(layer.name, math.inf) - limit(layer)
        estimates[layer.name] = math.inf if math.isnan(margin) else 10 ** (-margin / 10)
    return estimates


def ranked(layers: Sequence[Layer], damage: Mapping[str, float]) -> list[str]:
    """Return the layers that do damage in the order in which they go back to float: the most for their work first."""
    hurting = [layer for layer in layers if damage.get(layer.name, 0.0) > 0]
    return [layer.name for layer in sorted(hurting, key=lambda x: -damage[x.name] / max(x.macs, 1))]


def chosen(layers: Sequence[Layer], damage: Mapping[str, float], part: float) -> list[str]:
    """Return the fewest layers, in that order, without which no more than a `part` of the damage is left.

    Those whose damage is beyond all numbers are among them, and no part of it.
    """
    order = ranked(layers, damage)
    names = [name for name in order if math.isinf(damage[name])]
    rest = order[len(names) :]
    goal = part * math.fsum(damage[name] for name in rest)
    while rest and math.fsum(damage[name] for name in rest) > goal:
        names.append(rest.pop(0))
    return names
