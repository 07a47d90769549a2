"""Random logits for beam searches, made again from their seeds wherever they are needed: numpy alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

GOLDENS = Path(__file__).parent / "goldens" / "ctc_beams"
ARPA = GOLDENS / "words.arpa"
SYLLABLES = ("ba", "ne", "ki", "to", "lu", "ra")
LETTERS = (" ", *"abeiklnortu'", "")
PIECES = ("", "▁⁇▁", *("▁" + syllable for syllable in SYLLABLES), *SYLLABLES, *"aeiou")
COUNT = 300


def words() -> list[str]:
    """The language model's words: one to three syllables."""
    rng = np.random.default_rng(7)
    made = {"".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(60)}
    return sorted(made)


@dataclass(frozen=True)
class Case:
    """What to decode: labels of the alphabet, logits `[frames, labels]`, and options of the search."""

    labels: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    has_model: bool
    hotwords: tuple[str, ...]
    options: dict[str, Any]


def case(seed: int) -> Case:
    """One case; a third is noise, two thirds are words of the language model in noise."""
    rng = np.random.default_rng(seed)
    is_bpe = seed % 3 == 2
    labels = PIECES if is_bpe else LETTERS
    frames = int(rng.integers(0, 50)) if seed % 10 else int(rng.integers(0, 4))
    logits = rng.standard_normal((frames, len(labels))) * rng.choice([1.0, 2.0, 4.0])
    if seed % 4:
        _say(logits, labels, is_bpe, rng)
    if is_bpe and seed % 2:
        logits[:, labels.index("▁⁇▁")] = -30.0
    known = words()
    chosen = rng.choice([*known, "taki", "noble", "rune"], 3, replace=False).tolist()
    options = {
        "beam_width": int(rng.choice([3, 20, 100])),
        "beam_prune_logp": float(rng.choice([-10.0, -4.0])),
        "token_min_logp": float(rng.choice([-5.0, -3.0])),
        "prune_history": bool(rng.integers(2)),
    }
    return Case(labels, logits.astype(np.float32), bool(seed // 2 % 2), tuple(chosen) if seed % 5 < 2 else (), options)


def _say(logits: npt.NDArray[np.float64], labels: tuple[str, ...], is_bpe: bool, rng: np.random.Generator) -> None:
    """Raise the logits of the tokens of some words, a few frames each."""
    known, frame = words(), 0
    while frame < len(logits):
        word = str(rng.choice(known))
        syllables = [word[i : i + 2] for i in range(0, len(word), 2)]
        tokens = ["▁" + syllables[0], *syllables[1:]] if is_bpe else [*word, " "]
        for token in tokens:
            for name in (token, "") if rng.random() < 0.7 else (token,):
                stop = frame + int(rng.integers(1, 3))
                logits[frame:stop, labels.index(name)] += rng.uniform(2.0, 9.0)
                frame = stop
