"""Beams over a cache whose columns make room for others: the hypotheses are those of a decoder that keeps sequences."""

import numpy as np
import pytest
from edgespeech_runtime.bundle.contracts import Decoder
from edgespeech_runtime.generation import GenerationOptions, generate
from edgespeech_runtime.generation.cache.columns import BLOCK
from edgespeech_runtime.generation.cache.decoder import CachedDecoder

VOCABULARY, LONGEST = 23, 120
FACTS = Decoder(1, 2, 3, VOCABULARY, None, "text.json", {})
TABLE = np.random.default_rng(0).integers(0, 1000, (VOCABULARY, LONGEST, VOCABULARY))


def logits(tokens, positions):
    """Numbers that depend on each token of a sequence and its position, and on no order in which they are summed."""
    return (TABLE[tokens, positions].sum(axis=0) % 997 / 100).astype(np.float32)


class Remembering:
    """A decoder that keeps whole sequences."""

    def start(self, prompt):
        self.rows = [[list(row)] for row in prompt]
        return np.stack([logits(row, np.arange(len(row))) for row in prompt])

    def extend(self, tokens, parents):
        pairs = [list(zip(*each, strict=True)) for each in zip(tokens, parents, strict=True)]
        self.rows = [
            [[*before[parent], token] for token, parent in each] for before, each in zip(self.rows, pairs, strict=True)
        ]
        return np.stack([[logits(row, np.arange(len(row))) for row in each] for each in self.rows])


class Binding:
    """A graph that reads sequences out of the columns that it is told to see: a value holds token and position."""

    def __init__(self):
        self.inputs, self.most_slots = {}, 0

    def set(self, inputs):
        self.inputs |= inputs

    def run(self):
        tokens, positions, seen = self.inputs["tokens"], self.inputs["positions"], self.inputs["bias"] == 0
        slots = self.inputs["cache.0.value"]
        self.most_slots = max(self.most_slots, slots.shape[2])
        own = np.repeat(tokens * LONGEST + positions, 2, axis=0).reshape(len(tokens), 2, -1)[..., None]
        new = np.repeat(own, 3, axis=3).astype(np.float32)
        columns = np.concatenate((slots, new), axis=2)
        np.testing.assert_array_equal(
            self.inputs["cache.0.key"][:, :, :, : slots.shape[2]].transpose(0, 1, 3, 2), slots
        )
        found = [
            [logits(*np.divmod(each[0, row, 0].astype(int), LONGEST)) for row in mask]
            for each, mask in zip(columns, seen, strict=True)
        ]
        return {"logits": np.array(found), "new.0.value": new, "new.0.key": new.transpose(0, 1, 3, 2)}


class Graphs:
    def __init__(self):
        self.binding = Binding()

    def can_stay(self, name):
        return False

    def bind(self, name, staying=()):
        return self.binding


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("options", "slots"), [({"num_beams": 5}, 2), ({"num_beams": 2}, 2), ({"num_beams": 20}, 7)])
def test_hypotheses_are_those_of_whole_sequences(batch, options, slots):
    prompt = np.arange(1, 2 * batch + 1).reshape(batch, 2)
    cross = {"cross.0.key": np.zeros((batch, 2, 3, 4)), "cross.0.value": np.zeros((batch, 2, 4, 3))}
    graphs = Graphs()
    chosen = GenerationOptions(max_new_tokens=80, num_return_sequences=2, **options)
    found = generate(CachedDecoder(FACTS, graphs, cross, [4] * batch), prompt, chosen)
    assert found == generate(Remembering(), prompt, chosen)
    assert {len(hypothesis.tokens) for each in found for hypothesis in each} == {80}
    assert graphs.binding.most_slots <= slots * batch * BLOCK  # so many beams make far more columns
