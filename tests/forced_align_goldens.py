"""Random CTC problems, and torchaudio's paths for them: python tests/forced_align_goldens.py writes the golden.

The golden was made with torchaudio 2.11.1, whose CPU kernel ran on torch 2.13. A problem follows from its number; the
sums in the golden show whether numpy still draws the same one.
"""

import json
from pathlib import Path

import numpy as np
from places import SPEECH

GOLDEN = Path(__file__).parent / "goldens" / "forced_align.npz"
UTTERANCE = GOLDEN.with_name("forced_align_utterance.json")  # of a published utterance, beside the checkout
LETTERS = " abcdefghijklmnopqrstuvwxyz'"  # of its logits, and the blank
TEXT = "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve"
COUNT = 1000


def problem(number):
    """Log-probabilities `[frames, vocabulary]` in float32, targets `[tokens]`, and the blank."""
    rng = np.random.default_rng(number)
    size = int(rng.integers(2, 33))
    blank = int(rng.integers(0, size))
    tokens = np.delete(np.arange(size), blank)[: int(rng.integers(1, size))]  # few of them: many repeats
    targets = rng.choice(tokens, int(rng.integers(1, 30)))
    least = len(targets) + int(np.count_nonzero(targets[1:] == targets[:-1]))
    frames = least + int(rng.choice([0, 1, 4, 20, 100]))
    logits = rng.choice([0.3, 1, 4]) * rng.standard_normal((frames, size))
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32), targets, blank


def utterance():
    """Log-probabilities `[371, 29]` of the published utterance in float32, targets, and the blank; None without it."""
    file = SPEECH.parent / "golden" / "ctc_logits" / "libri_logits.json"
    if not file.exists():
        return None
    logits = np.array(json.loads(file.read_text(encoding="utf-8")), np.float64)
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return scores.astype(np.float32), np.array([LETTERS.index(letter) for letter in TEXT]), len(LETTERS)


def write_utterance():
    import torch
    from torchaudio.functional import forced_align

    log_probabilities, targets, blank = utterance()
    path, _ = forced_align(torch.from_numpy(log_probabilities[None]), torch.from_numpy(targets[None]), blank=blank)
    UTTERANCE.write_text(json.dumps(path[0].tolist()) + "\n", encoding="utf-8")


def write():
    import torch
    from torchaudio.functional import forced_align

    paths, sums = [], []
    for number in range(COUNT):
        log_probabilities, targets, blank = problem(number)
        path, _ = forced_align(torch.from_numpy(log_probabilities[None]), torch.from_numpy(targets[None]), blank=blank)
        paths.append(path[0].numpy().astype(np.uint8))
        sums.append(log_probabilities.sum(dtype=np.float64))
    np.savez_compressed(GOLDEN, paths=np.concatenate(paths), frames=[len(path) for path in paths], sums=sums)


if __name__ == "__main__":
    write()
    write_utterance()
