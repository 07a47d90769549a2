"""What is sampled from, against transformers' own processors, and how often what is drawn."""

import numpy as np
import pytest
import torch
import transformers
from edgespeech_runtime.generation import GenerationOptions, distribution, generate
from edgespeech_runtime.generation.warpers import Warpers, draw
from generation_cases import WholeSequences, random_options, random_warpers


def reference_distribution(model, logits, history, options, prompt):
    """Probabilities by the processors and warpers that transformers' `generate` would apply."""
    config = transformers.GenerationConfig(**options)
    model._prepare_special_tokens(config, device="cpu")
    if config.max_new_tokens is not None:
        config.max_length = prompt + config.max_new_tokens
    scores = torch.as_tensor(logits)
    if options["num_beams"] > 1:
        scores = scores.log_softmax(dim=-1)
    config.update(**config._get_default_generation_params(), defaults_only=True)
    processors = model._get_logits_processor(
        config, input_ids_seq_length=prompt, encoder_input_ids=None, device="cpu", model_kwargs={}
    )
    return processors(torch.as_tensor(history), scores).softmax(dim=-1).numpy()


@pytest.mark.parametrize("seed", range(60))
def test_the_distribution_is_that_of_transformers(references, seed):
    rng = np.random.default_rng([seed, 5])
    vocabulary = int(rng.choice([40, 700, 9000]))
    beams = int(rng.choice([1, 1, 4]))
    options = random_options(rng, vocabulary, beams, sampling=True) | random_warpers(rng)
    options.pop("forced_eos_token_id", None)
    prompt = int(rng.integers(1, 3))
    history = rng.integers(0, vocabulary, (3, int(rng.integers(prompt, 5))))
    logits = (rng.normal(size=(3, vocabulary)) * rng.choice([0.3, 2, 5])).astype(np.float32)
    before = logits.copy()
    found = distribution(logits, history, GenerationOptions.from_defaults(None, **options), prompt)
    expected = reference_distribution(references["gpt2"].model, logits, history, options, prompt)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("spread", [0.1, 2.0])
def test_top_p_over_a_large_vocabulary(references, top_p, spread):
    logits = (np.random.default_rng(0).normal(size=(2, 50_000)) * spread).astype(np.float32)
    options = {"do_sample": True, "top_k": 0, "top_p": top_p, "num_beams": 1, "max_length": 9}
    history = np.zeros((2, 1), np.int64)
    found = distribution(logits, history, GenerationOptions.from_defaults(None, **options))
    expected = reference_distribution(references["gpt2"].model, logits, history, options, 1)
    # at the edge of the nucleus the rounding of 50 000 sums decides: only there may they differ
    assert np.abs((found > 0).sum(axis=-1) - (expected > 0).sum(axis=-1)).max() <= 0.001 * 50_000
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_what_is_drawn_has_the_frequencies_of_the_distribution():
    probabilities = np.array([0.5, 0.0, 0.3, 0.15, 0.05])
    with np.errstate(divide="ignore"):
        scores = np.log(probabilities)
    generator = np.random.default_rng(3)
    counts = np.bincount([int(draw(scores, 1, generator)[0]) for _ in range(20_000)], minlength=5)
    np.testing.assert_allclose(counts / 20_000, probabilities, atol=4 * np.sqrt(0.25 / 20_000))
    assert counts[1] == 0


def test_without_putting_back_each_draw_follows_what_is_left():
    probabilities = np.array([0.6, 0.3, 0.1])
    generator = np.random.default_rng(4)
    counts = {}
    for _ in range(20_000):
        pair = tuple(draw(np.log(probabilities), 2, generator).tolist())
        counts[pair] = counts.get(pair, 0) + 1
    expected = {
        (a, b): probabilities[a] * probabilities[b] / (1 - probabilities[a])
        for a in range(3)
        for b in range(3)
        if a != b
    }
    assert counts.keys() == expected.keys()
    for pair, share in expected.items():
        assert counts[pair] / 20_000 == pytest.approx(share, abs=0.015)


def test_what_has_no_probability_is_drawn_last():
    scores = np.array([-np.inf, 0.0, -1e9, 1.0, -np.inf])
    drawn = draw(scores, 5, np.random.default_rng(0)).tolist()
    assert {*drawn[:2]} == {1, 3}
    assert drawn[2:] == [2, 0, 4]


def test_with_beams_enough_is_left_for_all_end_tokens():
    logits = np.linspace(0, 9, 20, dtype=np.float32)
    options = GenerationOptions(do_sample=True, num_beams=2, top_k=1, top_p=0.01, eos_token_id=(1, 2, 3))
    assert Warpers(options)(logits).ids.tolist() == [16, 17, 18, 19]


def coin(vocabulary=6, rows=2):
    """A decoder whose logits are the same after every history."""
    logits = np.random.default_rng(0).normal(size=vocabulary).astype(np.float32)
    return WholeSequences(lambda sequences, utterances: np.tile(logits, (len(sequences), 1)))


@pytest.mark.parametrize("options", [{"num_return_sequences": 3}, {"num_beams": 3, "num_return_sequences": 2}])
def test_a_seed_gives_the_same_alone_and_in_a_batch(options):
    made = GenerationOptions(do_sample=True, seed=11, eos_token_id=2, max_new_tokens=12, **options)
    (alone,) = generate(coin(), [[0]], made)
    batch = generate(coin(), [[0]] * 3, made)
    assert batch == [alone] * 3
    assert len({hypothesis.tokens for hypothesis in alone}) == len(alone)
    assert generate(coin(), [[0]], made.replace(seed=12)) != [alone]


def test_without_a_seed_every_call_and_every_utterance_draws_anew():
    made = GenerationOptions(do_sample=True, max_new_tokens=30)
    found = [hypothesis.tokens for _ in range(3) for (hypothesis,) in generate(coin(), [[0]] * 3, made)]
    assert len({*found}) == len(found)


def test_sampled_sequences_have_the_frequencies_of_the_filtered_distribution():
    made = GenerationOptions(
        do_sample=True, seed=0, max_new_tokens=1, top_k=3, temperature=1.4, num_return_sequences=6000
    )
    decoder = coin()
    (found,) = generate(decoder, [[0]], made)
    expected = distribution(decoder.start(np.zeros((1, 1), np.int64)), np.zeros((1, 1), np.int64), made)[0]
    counts = np.bincount([hypothesis.tokens[0] for hypothesis in found], minlength=6)
    np.testing.assert_allclose(counts / 6000, expected, atol=4 * np.sqrt(0.25 / 6000))
    for hypothesis in found[:20]:
        assert hypothesis.logprobs[0] == pytest.approx(np.log(expected[hypothesis.tokens[0]]), abs=1e-5)
