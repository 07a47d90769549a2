"""An archive of the numpy engine's weights with matrices and kernels in 8 bits. It computes in float32 all the same."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from edgespeech_runtime.engines.numpy_weights import INTEGERS, SCALE

from edgespeech_export.writers.numpy import Archive
from edgespeech_export.writers.traced_graph import Values
from edgespeech_export.writers.weight_folding import TRANSPOSED

# By operator: which input is its weight, and the axis that has a scale for each index: output channels, or entries.
WEIGHTS = {"Conv": (1, 0), "Gather": (0, 0), "Gemm": (1, 1), "MatMul": (1, 1)}
LEAST = 512  # bytes in float32; an array in two parts has two headers


@dataclass(frozen=True)
class Weight:
    """A weight that can be stored in integers: its operator, and the axis that has a scale for each index."""

    operator: str
    axis: int


def quantize_archive(
    programs: Iterable[Path], source: Path, target: Path, floating: Collection[str] = frozenset()
) -> list[str]:
    """Write `target`, the archive `source` in 8 bits; the programs that read it stay as they are.

    Args:
        programs: all programs of the bundle, which say what each weight is for.
        source: an archive in float32.
        target: the archive to write; same source, same bytes.
        floating: weights, by their names in the archive, that stay in float32.

    Returns:
        The names of the weights that are now integers.
    """
    weights = find_weights(programs)
    done = []
    with np.load(source, allow_pickle=False) as arrays, Archive(target) as archive:
        for name in arrays.files:
            values = arrays[name]
            if name in weights and name not in floating and is_large(values):
                archive.write(quantized(name, values, weights[name].axis))
                done.append(name)
            else:
                archive.write({name: values})
    return done


def quantized(name: str, values: Values, axis: int) -> dict[str, Values]:
    """A weight as integers in [-127, 127] with a scale for each index of `axis`: symmetric, to the nearest."""
    others = tuple(index for index in range(values.ndim) if index != axis)
    largest = np.abs(values).max(axis=others, keepdims=True, initial=0)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return {name + INTEGERS: np.clip(np.rint(values / scale), -127, 127).astype(np.int8), name + SCALE: scale}


def find_weights(programs: Iterable[Path]) -> dict[str, Weight]:
    """Return the weights of programs that are factors of products or tables, by their names in the archive."""
    weights: dict[str, Weight] = {}
    for path in programs:
        program = json.loads(path.read_text(encoding="utf-8"))
        for step in program["steps"]:
            index, axis = WEIGHTS.get(step["op"], (0, 0))
            if step["op"] in WEIGHTS and step["inputs"][index] in program["weights"]:
                is_turned = step["op"] == "Gemm" and step["attributes"].get("transB", 0)
                name = program["weights"][step["inputs"][index]]
                if name.removesuffix(TRANSPOSED).endswith((".weight", ".weights")):  # not what is derived
                    weights[name] = Weight(step["op"], 0 if is_turned else axis)
    return weights


def is_large(values: Values) -> bool:
    """Whether a weight is worth the scales beside it, and is one of the numbers that are computed with."""
    return values.dtype == np.float32 and values.ndim > 1 and values.nbytes >= LEAST
