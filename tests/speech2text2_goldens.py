"""Reads the Speech2Text2 goldens that tests/goldens/speech2text2/make.py writes; what is in them: the README there.

for case in CASES:
    model = load(checkpoint(case))
    expected = arrays(case)["batch.logits"]
"""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HOME = Path(__file__).parent / "goldens" / "speech2text2"
CASES = ("plain", "adapter", "odd")
TOKENIZERS = ("merges", "decode_only", "lower")
SEQUENCES = 10_000  # random id sequences whose texts a tokenizer's checksum covers


@dataclass(frozen=True)
class Generation:
    """What transformers' `generate` gave for one input and one set of options.

    `input` names the audio, "single" or "batch" (`arrays(case)[input]`, real samples in `input + ".lengths"`).
    `options` go over those of generation_config.json; the cache was on whatever that file says.
    `sequences` and `transitions` have a row for each returned sequence, padded as transformers pads. `transitions` are
    log-probabilities of the tokens after the prompt (`compute_transition_scores`): of the processed and normalised
    logits without beams, the processed log-probabilities with them; not telling after the end token; None is -inf.
    `without_cache` is what `use_cache=False` gives where that differs, which takes a pad token inside of a hypothesis.
    """

    name: str
    input: str
    options: dict[str, Any]
    sequences: list[list[int]]
    scores: list[float] | None
    transitions: list[list[float | None]]
    without_cache: list[list[int]] | None


@dataclass(frozen=True)
class Texts:
    """What a tokenizer makes of ids and of text.

    `decoded[skip]` are the texts of the first of `id_sequences(vocabulary, seed)` with `skip_special_tokens=skip`,
    `checksums[skip]` covers the texts of them all. `lines` and `ids` are empty for a tokenizer that cannot encode.
    """

    vocabulary: int
    seed: int
    decoded: dict[bool, list[str]]
    checksums: dict[bool, str]
    lines: list[str]
    ids: list[list[int]]


def checkpoint(case: str) -> Path:
    """Folder of the checkpoint, as `save_pretrained` of transformers 4 wrote it."""
    return HOME / case / "checkpoint"


def arrays(case: str) -> dict[str, np.ndarray]:
    """Inputs and expected outputs by name."""
    with np.load(HOME / case / "arrays.npz") as stored:
        found = dict(stored)
    for steps in [f"{source}.{ids}steps" for source in ("single", "batch") for ids in ("", "padded_")]:
        found.setdefault(steps, found[whole(steps)])  # stored only where the cache makes a difference
    return found


def whole(steps: str) -> str:
    """Name of the logits of the same ids in one call: "batch.padded_steps" -> "batch.padded_logits"."""
    return steps.removesuffix("steps") + "logits"


def gradients(case: str) -> dict[str, np.ndarray]:
    """Digest of the gradient of "batch.loss" in each parameter that has one, by parameter name."""
    with np.load(HOME / case / "gradients.npz") as stored:
        return dict(stored)


def digest(gradient: np.ndarray) -> np.ndarray:
    """Few numbers that a wrong gradient does not give: a vector is its own digest, of a larger array two projections.

    (rows, ...) -> (rows + rest,): the array as a matrix (rows, rest) times a fixed vector from the right, then from the
    left. Compare relatively to the largest number of the digest.
    """
    if gradient.ndim < 2:
        return gradient
    matrix = gradient.reshape(len(gradient), -1)
    left, right = (np.cos(np.arange(size) ** 1.5, dtype=np.float64) for size in matrix.shape)
    return np.concatenate([matrix @ right, left @ matrix])


def generations(case: str) -> list[Generation]:
    """What `generate` gave, for all option sets of this checkpoint."""
    return [Generation(**entry) for entry in json.loads((HOME / case / "generations.json").read_text("utf-8"))]


def attention_mask(case: str, name: str) -> np.ndarray:
    """(batch, samples) int64, 1 for real samples, of the audio `arrays(case)[name]`."""
    stored = arrays(case)
    return (np.arange(stored[name].shape[1]) < stored[f"{name}.lengths"][:, None]).astype(np.int64)


def tokenizer(name: str) -> Path:
    """Folder of the tokenizer's files."""
    return HOME / "tokenizers" / name


def texts(name: str) -> Texts:
    """What this tokenizer makes of ids and of text."""
    stored = json.loads((HOME / "tokenizers" / f"{name}.json").read_text("utf-8"))
    for key in ("decoded", "checksums"):
        stored[key] = {flag == "true": value for flag, value in stored[key].items()}
    return Texts(**stored)


def id_sequences(vocabulary: int, seed: int, count: int = SEQUENCES) -> list[list[int]]:
    """Random id sequences of 0 to 12 ids: every fifth id one of the first four (the special tokens), few outside."""
    generator = random.Random(seed)

    def draw() -> int:
        return generator.randrange(4) if generator.random() < 0.2 else generator.randrange(vocabulary + 2)

    return [[draw() for _ in range(generator.randrange(13))] for _ in range(count)]


def checksum(decoded: list[str]) -> str:
    """SHA-256 of texts joined by newlines, in hexadecimal."""
    return hashlib.sha256("\n".join(decoded).encode()).hexdigest()
