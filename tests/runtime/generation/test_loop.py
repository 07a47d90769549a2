"""The loop around a decoder: batches, certainty of streamed tokens, results as arrays, and what it refuses."""

import tracemalloc

import numpy as np
import pytest
from edgespeech_runtime.errors import ArgumentError, EngineError
from edgespeech_runtime.generation import GenerationOptions, generate, sequences
from generation_cases import END, PAD, WholeSequences, random_options

VOCABULARY = 30


def bigrams(seed=0, spread=2.0):
    """A decoder whose logits depend on the utterance, the last two tokens and the length."""
    rng = np.random.default_rng(seed)
    first, second = (rng.normal(size=(VOCABULARY, VOCABULARY)).astype(np.float32) * spread for _ in range(2))
    voices = rng.normal(size=(50, VOCABULARY)).astype(np.float32) * spread

    def logits(rows, utterances):
        found = first[rows[:, -1]] + second[rows[:, max(-2, -rows.shape[1])]] + voices[utterances]
        found[:, END] += 0.3 * rows.shape[1]
        return found

    return WholeSequences(logits)


class Only:
    """The decoder of one utterance out of a batch's."""

    def __init__(self, decoder, index):
        self._decoder, self._logits = decoder, decoder._logits
        decoder._logits = lambda rows, utterances: self._logits(rows, utterances + index)

    def start(self, prompt):
        return self._decoder.start(prompt)

    def extend(self, tokens, parents):
        return self._decoder.extend(tokens, parents)


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("sampling", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_an_utterance_depends_on_no_other(beams, sampling, seed):
    options = random_options(np.random.default_rng([seed, beams]), VOCABULARY, beams, sampling)
    made = GenerationOptions.from_defaults(None, **options, seed=seed)
    prompt = np.random.default_rng(seed).integers(3, VOCABULARY, (4, 2))
    batch = generate(bigrams(), prompt, made)
    for index in range(4):
        (alone,) = generate(Only(bigrams(), index), prompt[index : index + 1], made)
        assert alone == batch[index]
    assert len(batch[0]) == made.num_return_sequences


def test_the_first_call_has_one_row_and_the_next_as_many_as_beams():
    decoder = bigrams()
    generate(decoder, [[3], [4]], GenerationOptions(num_beams=3, max_new_tokens=4))
    assert decoder.shapes == [(2, 3)] * 3
    decoder = bigrams()
    generate(decoder, [[3], [4]], GenerationOptions(do_sample=True, num_return_sequences=5, max_new_tokens=3))
    assert decoder.shapes == [(2, 5)] * 2
    decoder = bigrams()
    generate(decoder, [[3]], GenerationOptions(max_new_tokens=1))
    assert decoder.shapes == []


def test_no_call_is_made_after_the_last_utterance_is_finished():
    lengths = np.array([2, 5, 3])

    def logits(rows, utterances):
        found = np.zeros((len(rows), VOCABULARY), np.float32)
        found[np.arange(len(rows)), np.where(rows.shape[1] >= lengths[utterances], END, 7)] = 9
        return found

    decoder = WholeSequences(logits)
    results = generate(decoder, [[3]] * 3, GenerationOptions(eos_token_id=END, pad_token_id=PAD, max_length=50))
    assert [found.tokens for (found,) in results] == [(7, END), (7, 7, 7, 7, END), (7, 7, END)]
    assert len(decoder.shapes) == 4
    array = sequences(results, np.array([[3]] * 3), PAD)
    assert array.tolist() == [[3, 7, 2, 1, 1, 1], [3, 7, 7, 7, 7, 2], [3, 7, 7, 2, 1, 1]]


def exhaustive_best(table, steps):
    """The best sequence of a fixed table of log-probabilities (steps, vocabulary) by its sum."""
    return tuple(int(token) for token in table[:steps].argmax(axis=-1))


def test_one_beam_scores_are_the_mean_log_probability():
    rng = np.random.default_rng(0)
    table = np.log(rng.dirichlet(np.ones(VOCABULARY), 6)).astype(np.float32)
    decoder = WholeSequences(lambda rows, _: np.repeat(table[None, rows.shape[1] - 1], len(rows), axis=0))
    ((found,),) = generate(decoder, [[0]], GenerationOptions(max_new_tokens=6))
    assert found.tokens == exhaustive_best(table, 6)
    np.testing.assert_allclose(found.logprobs, table.max(axis=-1), rtol=1e-5)
    assert found.score == pytest.approx(float(table.max(axis=-1).mean()), rel=1e-5)


@pytest.mark.parametrize("beams", [2, 4, 5])
def test_beams_tell_tokens_before_the_end_and_never_take_one_back(beams):
    early = 0
    for seed in range(25):
        told, calls = {0: [], 1: []}, []
        decoder = bigrams(seed, spread=3.0)
        prompt = np.array([[3], [4]])

        def tell(utterance, tokens, told=told, calls=calls, decoder=decoder):
            assert tokens
            told[utterance].extend(tokens)
            calls.append(len(decoder.shapes))

        made = GenerationOptions(num_beams=beams, eos_token_id=END, max_new_tokens=15, early_stopping="never")
        results = generate(decoder, prompt, made, on_tokens=tell)
        assert told == {index: list(found[0].tokens) for index, found in enumerate(results)}
        early += calls[0] < len(decoder.shapes)
    assert early >= 15


def test_one_beam_tells_every_token_at_once():
    told = []
    decoder = bigrams()
    made = GenerationOptions(max_new_tokens=4)
    generate(
        decoder, [[3], [4]], made, on_tokens=lambda index, ids: told.append((len(decoder.shapes), index, len(ids)))
    )
    assert told == [(call, index, 1) for call in range(4) for index in range(2)]


def test_a_callback_that_fails_ends_the_loop():
    def tell(utterance, tokens):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(bigrams(), [[3]], on_tokens=tell)


def test_of_equals_the_lowest_id_is_taken():
    decoder = WholeSequences(lambda rows, _: np.zeros((len(rows), VOCABULARY), np.float32))
    ((found,),) = generate(decoder, [[0]], GenerationOptions(max_new_tokens=2, suppress_tokens=(0, 1)))
    assert found.tokens == (2, 2)
    (beams,) = generate(decoder, [[0]], GenerationOptions(max_new_tokens=1, num_beams=3, num_return_sequences=3))
    assert [found.tokens for found in beams] == [(0,), (1,), (2,)]


def test_the_arrays_of_the_decoder_are_not_changed():
    logits = np.random.default_rng(0).normal(size=(1, VOCABULARY)).astype(np.float32)
    logits.flags.writeable = False
    frozen = WholeSequences(lambda rows, _: np.broadcast_to(logits, (len(rows), VOCABULARY)))
    for seed in range(20):
        options = random_options(np.random.default_rng(seed), VOCABULARY, 1 + seed % 3, sampling=seed % 2 == 0)
        generate(frozen, [[0]], GenerationOptions.from_defaults(None, **options))


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"do_sample": True}, {"do_sample": True, "num_beams": 2}])
@pytest.mark.parametrize("filtered", [{}, {"repetition_penalty": 2.0}])
def test_nan_is_an_error(options, filtered):
    decoder = WholeSequences(lambda rows, _: np.full((len(rows), 300), np.nan if rows.shape[1] > 2 else 0, np.float32))
    with pytest.raises(EngineError, match="NaN logits"):
        generate(decoder, [[0]], GenerationOptions(**options, **filtered))


def test_an_end_token_that_is_raised_without_bound_is_taken():
    """The lowest number, from an end token that was forbidden, raised by a multiple of itself."""
    made = GenerationOptions(
        eos_token_id=END,
        min_length=20,
        remove_invalid_values=True,
        max_length=20,
        exponential_decay_length_penalty=(1, 9.0),
    )
    ((found,),) = generate(bigrams(), [[3]], made)
    assert found.tokens[-1] == END
    assert len(found.tokens) < 19
    assert found.logprobs[-1] == 0.0


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"renormalize_logits": True}])
def test_where_all_is_forbidden_the_search_still_ends(options):
    made = GenerationOptions(suppress_tokens=range(VOCABULARY), max_new_tokens=3, **options)
    ((found,),) = generate(bigrams(), [[3]], made)
    assert not any(value > -np.inf for value in found.logprobs)


def test_sampling_from_nothing_is_an_error():
    decoder = WholeSequences(lambda rows, _: np.zeros((len(rows), 4), np.float32))
    for beams in (1, 2):
        options = GenerationOptions(do_sample=True, num_beams=beams, suppress_tokens=(0, 1, 2, 3))
        with pytest.raises(ArgumentError, match="the options leave no token to draw at position 1"):
            generate(decoder, [[0]], options)


def test_logits_of_a_wrong_shape_are_an_error():
    with pytest.raises(EngineError, match=r"expected logits \[1, 4\] of the decoder, got \[1, 1, 4\]"):
        generate(WholeSequences(lambda rows, _: np.zeros((1, 1, 4), np.float32)), [[0]])


@pytest.mark.parametrize("prompt", [[1], [[]], [[0.5]], [[-1]], np.zeros((0, 1), np.int64)])
def test_prompts_that_are_none(prompt):
    with pytest.raises(ArgumentError, match=r"prompt: expected token ids \(batch, length\)"):
        generate(bigrams(), prompt)


def test_a_prompt_outside_the_vocabulary_is_refused():
    with pytest.raises(ArgumentError, match="prompt: there is no token 9"):
        generate(WholeSequences(lambda rows, _: np.zeros((len(rows), 9), np.float32)), [[9]])


def test_beams_over_a_vocabulary_smaller_than_their_candidates():
    decoder = WholeSequences(lambda rows, _: np.tile(np.array([0.0, 1.0, 2.0], np.float32), (len(rows), 1)))
    options = GenerationOptions(num_beams=4, num_return_sequences=4, max_new_tokens=3, eos_token_id=0)
    (found,) = generate(decoder, [[1]], options)
    assert found[0].tokens == (2, 2, 2)
    assert sorted(found, key=lambda hypothesis: -hypothesis.score) == found


def test_memory_does_not_grow_from_call_to_call():
    def call(count):
        for seed in range(count):
            options = GenerationOptions(num_beams=1 + seed % 3, max_new_tokens=5, no_repeat_ngram_size=2)
            generate(bigrams(), [[3], [4]], options)

    call(30)
    tracemalloc.start()
    call(5)
    before = tracemalloc.get_traced_memory()[0]
    call(60)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000
