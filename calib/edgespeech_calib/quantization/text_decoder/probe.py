"""A step of a decoder with random numbers, to see how an engine runs it. It knows no engine."""

from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.contracts import POSITIONS, TOKENS
from edgespeech_runtime.bundle.manifest import Manifest

DECODER = "decoder"  # the graph
FRAMES, SLOTS = 25, 8  # half a second of speech, and a few tokens


def probe(manifest: Manifest) -> dict[str, npt.NDArray[Any]]:
    """Return the inputs of the graph for one new token of one utterance."""
    facts = manifest.decoder
    if facts is None:
        return {}
    sizes = {"batch": 1, "new": 1, "slots": SLOTS, "columns": SLOTS + 1, "frames": FRAMES}
    sizes |= {"heads": facts.heads, "head_dim": facts.head_dim}
    generator = np.random.default_rng(0)
    inputs: dict[str, npt.NDArray[Any]] = {}
    for tensor in manifest.graphs[DECODER].inputs:
        shape = [sizes[axis] for axis in tensor.axes]
        if tensor in (TOKENS, POSITIONS):
            inputs[tensor.name] = np.zeros(shape, np.int64)
        else:
            inputs[tensor.name] = 0.1 * generator.standard_normal(shape, np.float32)
    return inputs
