"""Which layers begin in float, and in which order others follow if that is not enough.

It decides on measured noise alone: the ratio of a layer's output to the error in it if that layer alone is quantized.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from edgespeech_calib.quantization.layers import Layer

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
    found = {}
    for layer in layers:
        ratio = noise.get(layer.name, math.inf)
        if not ratio >= limit(layer):  # NaN is not safe
            found[layer.name] = f"measured {ratio:.1f} dB in INT8, under the {limit(layer):g} dB that are safe there"
    return found


def ranked(layers: Sequence[Layer], noise: Mapping[str, float]) -> list[str]:
    """Return layers in the order in which they go back to float: most damage first, cheap ones before dear ones.

    Damage is how near a layer is to its limit, or how far below. A layer with a quarter of another's
    multiply-accumulates goes before it unless it is 3 dB farther from its own (decibels plus half of the work's). What
    was not measured goes last.
    """
    total = sum(layer.macs for layer in layers) or 1

    def key(item: tuple[int, Layer]) -> tuple[float, int]:
        place, layer = item
        ratio = noise.get(layer.name, math.inf)
        if math.isnan(ratio):
            return -math.inf, place
        return ratio - limit(layer) + 5 * math.log10(max(layer.macs, 1) / total), place

    return [layer.name for _, layer in sorted(enumerate(layers), key=key)]
