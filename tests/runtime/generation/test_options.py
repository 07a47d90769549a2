"""Options: defaults of a generation_config.json, types, ranges, contradictions; and where they meet the model."""

import numpy as np
import pytest
import transformers
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.generation import GenerationOptions, check_vocabulary, generate, lengths
from edgespeech_runtime.generation.options import NAMES
from generation_cases import WholeSequences

make = GenerationOptions.from_defaults


def test_names_and_defaults_are_those_of_transformers():
    config = transformers.GenerationConfig()
    defaults = config._get_default_generation_params()
    assert [name for name in NAMES if not hasattr(config, name)] == ["seed"]
    same = {name: value for name, value in NAMES.items() if name in defaults and name != "max_length"}
    assert same == {name: defaults[name] for name in same}
    assert defaults["max_length"] == 20


def test_a_file_gives_defaults_and_keywords_win():
    file = {
        "num_beams": 5,
        "max_length": 200,
        "_from_model_config": True,
        "transformers_version": "4.40",
        "top_k": None,
    }
    options = make(file, num_beams=2)
    assert (options.num_beams, options.max_length, options.top_k) == (2, 200, 50)
    assert options.given == {"num_beams"}


def test_none_switches_an_option_off():
    options = make({"eos_token_id": 2, "repetition_penalty": 1.5, "do_sample": True}, eos_token_id=None, top_k=None)
    assert options.eos_token_id is None
    assert options.ends == ()
    assert options.top_k == 0
    assert make({"repetition_penalty": 1.5}, repetition_penalty=None).repetition_penalty == 1.0


def test_options_of_sampling_in_a_file_are_passed_over_where_nothing_is_sampled():
    file = {"do_sample": True, "temperature": 0.6, "top_p": 0.9}
    assert make(file).top_p == 0.9
    assert make(file, do_sample=False) == GenerationOptions()
    assert make(file).replace(do_sample=False) == GenerationOptions()


def test_numpy_numbers_lists_and_mappings_are_taken():
    options = make(None, eos_token_id=np.array([2, 3]), num_beams=np.int64(2), bad_words_ids=[[4], [5, 6]])
    assert options.ends == (2, 3)
    assert type(options.num_beams) is int
    assert options.bad_words_ids == ((4,), (5, 6))
    by_mapping = make(None, sequence_bias={(4, 5): 1.0})
    assert by_mapping == make(None, sequence_bias=[[[4, 5], 1]])
    assert hash(by_mapping) == hash(make(None, sequence_bias=[[[4, 5], 1]]))


def test_replace_keeps_the_rest_and_what_was_asked_for():
    options = make({"max_length": 50}, num_beams=3).replace(length_penalty=2.0)
    assert (options.num_beams, options.max_length, options.length_penalty) == (3, 50, 2.0)
    assert options.given == {"num_beams", "length_penalty"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beam": 2}, "no generation option 'num_beam': did you mean num_beams"),
        ({"temprature": 2}, "did you mean temperature"),
        ({"qqqq": 2}, "expected one of bad_words_ids, "),
        ({"num_beams": 0}, "num_beams: expected a whole number of at least 1, got 0"),
        ({"num_beams": True}, "num_beams: expected a whole number, got True"),
        ({"num_beams": 2.0}, "num_beams: expected a whole number, got 2.0"),
        ({"num_beams": "2"}, "num_beams: expected a whole number, got '2'"),
        ({"max_length": 0}, "max_length: expected a whole number of at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens: expected"),
        ({"min_length": -1}, "min_length: expected"),
        ({"seed": -1}, "seed: expected"),
        ({"do_sample": 1}, "do_sample: expected True or False, got 1"),
        ({"early_stopping": "always"}, "early_stopping: expected True or False or 'never'"),
        ({"early_stopping": 1}, "early_stopping: expected"),
        ({"length_penalty": True}, "length_penalty: expected a number"),
        ({"length_penalty": float("nan")}, "length_penalty: expected a finite number"),
        ({"length_penalty": "1"}, "length_penalty: expected a number"),
        ({"repetition_penalty": 0}, "repetition_penalty: expected a number above 0"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size: expected"),
        ({"do_sample": True, "temperature": 0}, "temperature: sampling needs a number above 0"),
        ({"do_sample": True, "temperature": -1.0}, "temperature: sampling needs a number above 0"),
        ({"do_sample": True, "temperature": float("inf")}, "temperature: expected a finite number"),
        ({"do_sample": True, "top_p": 0.0}, "top_p: expected a number above 0 and at most 1"),
        ({"do_sample": True, "top_p": 1.1}, "top_p: expected"),
        ({"do_sample": True, "typical_p": 0.0}, "typical_p: expected"),
        ({"do_sample": True, "min_p": 1.5}, "min_p: expected a number from 0 to 1"),
        ({"do_sample": True, "epsilon_cutoff": 1.0}, "epsilon_cutoff: expected"),
        ({"do_sample": True, "top_k": -1}, "top_k: expected"),
        ({"temperature": 0.5}, "temperature is for sampling only: set do_sample=True"),
        ({"temperature": 0.0}, "temperature is for sampling only"),
        ({"top_p": 0.5, "num_beams": 3}, "top_p is for sampling only"),
        ({"num_return_sequences": 2}, r"num_return_sequences \(2\) is above num_beams \(1\)"),
        ({"num_return_sequences": 4, "num_beams": 3, "do_sample": True}, "is above num_beams"),
        ({"min_length": 9, "max_length": 8}, r"min_length \(9\) is above max_length \(8\)"),
        ({"min_new_tokens": 9, "max_new_tokens": 8}, "min_new_tokens"),
        ({"bad_words_ids": [3]}, "bad_words_ids: expected a list of token ids, got 3"),
        ({"bad_words_ids": [[]]}, "bad_words_ids: expected words of at least one token"),
        ({"bad_words_ids": [[-1]]}, "bad_words_ids: expected a token id of 0 or more"),
        ({"suppress_tokens": "12"}, "suppress_tokens: expected a list of token ids"),
        ({"suppress_tokens": [1.5]}, "suppress_tokens: expected a whole number"),
        ({"forced_bos_token_id": "de"}, "forced_bos_token_id: expected"),
        ({"forced_bos_token_id": 7, "suppress_tokens": [6, 7]}, "among suppress_tokens"),
        ({"sequence_bias": [[[1], float("inf")]]}, "sequence_bias: expected biases below infinity"),
        ({"sequence_bias": [[1, 2, 3]]}, "sequence_bias: expected pairs"),
        ({"exponential_decay_length_penalty": (1, 2.0)}, "set eos_token_id"),
        ({"exponential_decay_length_penalty": 1}, "expected a start and a factor"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        make(None, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0, "top_k": 50, "top_p": 1.0},  # the defaults, said aloud
        {"early_stopping": True, "length_penalty": 2.0},  # one beam has nothing to apply them to
        {"seed": 3},
        {"do_sample": True, "num_return_sequences": 7},
        {"min_length": 9, "max_length": 5, "max_new_tokens": 20},
        {"top_k": 0},
    ],
)
def test_harmless_options_pass(options):
    make(None, **options)


@pytest.mark.parametrize(
    ("options", "limit", "expected"),
    [
        (make(None), None, (3, 0, 23)),
        (make(None), 10, (3, 0, 10)),
        (make({"max_length": 200}), 128, (3, 0, 128)),
        (make(None, max_length=128), 128, (3, 0, 128)),
        (make(None, max_new_tokens=5, max_length=90), None, (3, 0, 8)),
        (make({"max_new_tokens": 5}, max_length=90), None, (3, 0, 8)),
        (make(None, min_new_tokens=2, min_length=9), None, (3, 5, 23)),
        (make({"min_length": 50}, max_length=6), None, (3, 50, 6)),
    ],
)
def test_lengths(options, limit, expected):
    assert lengths(options, 3, limit) == expected


@pytest.mark.parametrize(
    ("options", "prompt", "message"),
    [
        (make(None, max_length=129), 1, "max_length: sequences of 129 tokens are above the 128 positions"),
        (GenerationOptions(max_length=129), 1, "max_length: sequences of 129"),
        (make(None, max_new_tokens=127), 2, "max_new_tokens: sequences of 129"),
        (make({"max_length": 200}).replace(max_length=300), 1, "above the 128 positions"),
        (make(None, max_length=4), 4, "max_length: at most 4 tokens leave no room after a prompt of 4"),
        (make(None), 128, "leave no room after a prompt of 128"),
        (
            make(None, min_new_tokens=9, max_length=8),
            1,
            "min_new_tokens: at least 10 tokens cannot be had of at most 8",
        ),
        (make(None, min_length=60, max_new_tokens=3), 1, "min_length: at least 60"),
    ],
)
def test_lengths_that_cannot_be(options, prompt, message):
    with pytest.raises(ArgumentError, match=message):
        lengths(options, prompt, 128)


@pytest.mark.parametrize(
    "options",
    [
        {"forced_bos_token_id": 40},
        {"forced_eos_token_id": [2, 40]},
        {"suppress_tokens": [3, 40]},
        {"begin_suppress_tokens": [40]},
        {"bad_words_ids": [[1], [2, 40]]},
        {"sequence_bias": [[[40], 1.0]]},
        {"eos_token_id": 40},
        {"pad_token_id": 40},
    ],
)
def test_a_token_outside_the_vocabulary_is_refused(options):
    (name,) = options
    with pytest.raises(ArgumentError, match=f"{name}: there is no token 40: the decoder's vocabulary has 40"):
        check_vocabulary(make(None, **options), 40)
    with pytest.raises(ArgumentError, match=name):
        generate(WholeSequences(lambda rows, _: np.zeros((len(rows), 40), np.float32)), [[0]], make(None, **options))
    check_vocabulary(make(None, **options), 41)


def test_an_end_token_of_a_file_that_no_model_has_never_comes():
    options = make({"eos_token_id": 99, "pad_token_id": -1}, max_length=6, min_length=4)
    ((found,),) = generate(WholeSequences(lambda rows, _: np.eye(len(rows), 9, 4, np.float32)), [[0]], options)
    assert found.tokens == (4,) * 5


def test_the_prompt_is_the_start_token():
    assert make({"decoder_start_token_id": 5, "bos_token_id": 1}).prompt(2).tolist() == [[5], [5]]
    assert make({"bos_token_id": 1}).prompt(1).tolist() == [[1]]
    with pytest.raises(ArgumentError, match="set decoder_start_token_id"):
        GenerationOptions().prompt(1)


def test_padding_is_what_transformers_fills_up_with():
    assert make({"eos_token_id": [4, 5]}).padding == 4
    assert make({"eos_token_id": 4, "pad_token_id": 0}).padding == 0
    assert make({"eos_token_id": 4, "pad_token_id": 0}, num_beams=2).padding == 4
    assert make({"eos_token_id": 4, "pad_token_id": 1}, num_beams=2).padding == 1
    assert make({}).padding == 0
