"""Help for tests of generation: random options, a decoder that recomputes whole sequences, and the choice that makes
sampling the same on both sides.
"""

import contextlib
from unittest import mock

import numpy as np
import torch

END, PAD, START = 2, 1, 0


def random_options(rng, vocabulary, beams, sampling=False):
    """Options of `generate` by their names in transformers: each present in about a third of the cases."""

    def tokens(count):
        return rng.choice(np.arange(3, vocabulary), count, replace=False).tolist()

    longest = int(rng.integers(4, 14))
    makers = {
        "repetition_penalty": lambda: float(rng.choice([0.7, 1.3, 2.5])),
        "no_repeat_ngram_size": lambda: int(rng.integers(1, 4)),
        "bad_words_ids": lambda: [tokens(n) for n in (1, 2, 1, 2, 3)] + [[END]],
        "suppress_tokens": lambda: tokens(3),
        "begin_suppress_tokens": lambda: [*tokens(2), END],
        "forced_bos_token_id": lambda: tokens(1)[0],
        "forced_eos_token_id": lambda: [END, *tokens(1)] if beams == 1 and not sampling else END,
        "min_length": lambda: int(rng.integers(2, longest)),
        "min_new_tokens": lambda: int(rng.integers(1, longest - 2)),
        "exponential_decay_length_penalty": lambda: (int(rng.integers(1, 4)), float(rng.choice([1.05, 1.4]))),
        "sequence_bias": lambda: [[tokens(1), 2.5], [tokens(2), 4.0], [tokens(2), -3.0], [tokens(3), 5.0]],
        "renormalize_logits": lambda: True,
        "remove_invalid_values": lambda: True,
    }
    if beams > 1:
        makers["length_penalty"] = lambda: float(rng.choice([-0.7, 0.0, 0.6, 1.7, 3.0]))
        makers["early_stopping"] = lambda: [True, "never"][rng.integers(2)]
        makers["num_return_sequences"] = lambda: int(rng.integers(2, beams + 1))
    found = {name: make() for name, make in makers.items() if rng.random() < 0.3}
    if "suppress_tokens" in found:  # what is forced cannot be suppressed
        found["suppress_tokens"] = sorted({*found["suppress_tokens"]} - {found.get("forced_bos_token_id")})
    if beams > 1 and {"remove_invalid_values", "exponential_decay_length_penalty"} <= {*found}:
        del found["remove_invalid_values"]  # the end token would get 1e38, in which the beams' own scores drown
    if sampling:
        found |= random_warpers(rng) | {"do_sample": True}
    found |= {"max_new_tokens": longest - 1} if rng.random() < 0.5 else {"max_length": longest}
    found["eos_token_id"] = [END, *tokens(int(rng.integers(1, 3)))] if rng.random() < 0.25 else END
    return found | {"num_beams": beams, "pad_token_id": int(rng.choice([PAD, 0]))}


def random_warpers(rng):
    """Options of sampling."""
    makers = {
        "temperature": lambda: float(rng.choice([0.6, 1.7])),
        "top_k": lambda: int(rng.choice([0, 3, 10, 1000])),
        "top_p": lambda: float(rng.choice([0.3, 0.8, 0.95])),
        "typical_p": lambda: float(rng.choice([0.2, 0.6, 0.95])),
        "min_p": lambda: float(rng.choice([0.0, 0.02, 0.2])),
        "epsilon_cutoff": lambda: float(rng.choice([0.003, 0.05])),
        "eta_cutoff": lambda: float(rng.choice([0.003, 0.2])),
    }
    return {name: make() for name, make in makers.items() if rng.random() < 0.4}


class WholeSequences:
    """A `Decoder` without a cache: `logits(sequences, utterances)` is computed anew for (rows, length) each time.

    It keeps what the loop asked for, so that tests can look at it.
    """

    def __init__(self, logits):
        self._logits = logits
        self.shapes = []  # of each call after the first

    def start(self, prompt):
        self._sequences = prompt[:, None]
        return self._logits(prompt, np.arange(len(prompt)))

    def extend(self, tokens, parents):
        batch, beams = tokens.shape
        assert tokens.dtype == parents.dtype == np.int64
        assert parents.min() >= 0
        assert parents.max() < self._sequences.shape[1]
        self.shapes.append(tokens.shape)
        kept = np.take_along_axis(self._sequences, parents[:, :, None], axis=1)
        self._sequences = np.concatenate([kept, tokens[:, :, None]], axis=2)
        utterances = np.repeat(np.arange(batch), beams)
        return self._logits(self._sequences.reshape(batch * beams, -1), utterances).reshape(batch, beams, -1)


def largest(scores, count, generator):
    """Instead of a draw: the most probable."""
    return np.argsort(-scores, kind="stable")[:count]


@contextlib.contextmanager
def no_chance():
    """The same for transformers."""

    def multinomial(probabilities, num_samples):
        return torch.topk(probabilities, num_samples).indices

    with mock.patch("torch.multinomial", multinomial):
        yield
