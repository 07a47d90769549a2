"""Token for token what transformers' `generate` gives, with its scores, over random options."""

import numpy as np
import pytest
from edgespeech_runtime.generation import GenerationOptions, generate, sequences
from generation_cases import largest, no_chance, random_options

CASES = [(kind, beams, seed) for kind in ("speech-bert", "gpt2") for beams in (1, 2, 4, 5) for seed in range(30)]
SAMPLED = [(kind, beams, seed) for kind in ("speech-bert", "gpt2") for beams in (1, 3) for seed in range(12)]


def compare(reference, states, prompt, options):
    """Both sides' generations, their scores and their log-probabilities."""
    expected = reference.generate(states, prompt, **options)
    made = GenerationOptions.from_defaults(None, **options)
    told = {index: [] for index in range(len(prompt))}
    results = generate(
        reference.decoder(states), prompt, made, on_tokens=lambda index, ids: told[index].extend(ids), draw=largest
    )
    array = sequences(results, prompt, made.padding)
    np.testing.assert_array_equal(array, expected.sequences.numpy())
    assert told == {index: list(found[0].tokens) for index, found in enumerate(results)}
    flat = [hypothesis for found in results for hypothesis in found]
    if made.num_beams > 1:
        found = np.array([hypothesis.score for hypothesis in flat])
        np.testing.assert_allclose(found, expected.sequences_scores.numpy(), rtol=1e-4, atol=1e-5)
    indices = expected.beam_indices if made.num_beams > 1 else None
    logprobs = reference.model.compute_transition_scores(
        expected.sequences, expected.scores, indices, normalize_logits=True
    ).numpy()
    for hypothesis, row in zip(flat, logprobs, strict=True):
        np.testing.assert_allclose(hypothesis.logprobs, row[: len(hypothesis.tokens)], rtol=1e-4, atol=1e-4)
    return results


@pytest.fixture(autouse=True)
def numbers(references, monkeypatch):
    """`compute_transition_scores` looks for the vocabulary where a SpeechEncoderDecoderConfig has none."""
    config = references["speech-bert"].model.config
    monkeypatch.setattr(type(config), "get_text_config", lambda self, **_: self.decoder, raising=False)


@pytest.mark.parametrize(("kind", "beams", "seed"), CASES)
def test_random_options_give_the_tokens_of_transformers(references, make_prompt, kind, beams, seed):
    rng = np.random.default_rng([seed, beams])
    options = random_options(rng, 40, beams)
    batch = int(rng.integers(1, 4))
    reference = references[kind]
    compare(reference, reference.inputs(batch, seed), make_prompt(kind, batch, rng), options)


@pytest.mark.parametrize(("kind", "beams", "seed"), SAMPLED)
def test_sampling_takes_the_same_tokens_where_chance_is_taken_out(references, make_prompt, kind, beams, seed):
    rng = np.random.default_rng([seed, beams, 1])
    options = random_options(rng, 40, beams, sampling=True)
    reference = references[kind]
    with no_chance():
        compare(reference, reference.inputs(2, seed), make_prompt(kind, 2, rng), options)
