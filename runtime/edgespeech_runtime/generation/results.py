"""What generation gives: hypotheses, and the padded array that transformers returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .decoder import Ids


@dataclass(frozen=True)
class Hypothesis:
    """One generated sequence. `tokens` are the generated ones, without the prompt and with the end token, if any.

    `logprobs[i]` is the natural logarithm of the probability that `tokens[i]` had in the distribution that it was
    chosen from: the softmax of its row of logits after all filters (and, with sampling, warpers), so 0.0 for a forced
    token. `compute_transition_scores(normalize_logits=True)` of transformers gives the same.

    `score` with several beams is transformers' `sequences_scores`: the sum of the log-probabilities *as filtered* (a
    forced token has 0, others are not renormalised) over `len(tokens) ** length_penalty`. With one beam it is the sum
    of `logprobs` over the same. Hypotheses of beams are ordered by it; samples are in the order they were drawn in.

    `parents[i]`, with several beams, is the beam of the utterance that `tokens[i]` extended.
    """

    tokens: tuple[int, ...]
    score: float
    logprobs: tuple[float, ...]
    parents: tuple[int, ...] = ()


def sequences(results: Sequence[Sequence[Hypothesis]], prompt: Ids, padding: int) -> Ids:
    """All hypotheses as one array (batch * hypotheses, longest): the utterance's row of `prompt` (batch, length),
    the tokens, then `padding` (`GenerationOptions.padding`).
    """
    flat = [
        (row, hypothesis.tokens) for row, hypotheses in zip(prompt, results, strict=True) for hypothesis in hypotheses
    ]
    start = prompt.shape[1]
    longest = max((len(tokens) for _, tokens in flat), default=0)
    array = np.full((len(flat), start + longest), padding, np.int64)
    for target, (row, tokens) in zip(array, flat, strict=True):
        target[:start] = row
        target[start : start + len(tokens)] = tokens
    return array
