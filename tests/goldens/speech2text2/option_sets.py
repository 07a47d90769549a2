"""The options that the goldens of `generate` are made with. Run by make.py."""

from typing import Any

OptionSet = tuple[str, str, dict[str, Any]]  # name, input, options
PLAIN_GREEDY = {"num_beams": 1, "no_repeat_ngram_size": 0}
PLAIN_BEAMS = {"num_beams": 4, "no_repeat_ngram_size": 0, "length_penalty": 1.0}

EVERYWHERE: list[OptionSet] = [
    ("defaults", "batch", {}),
    ("greedy", "batch", PLAIN_GREEDY),
    ("greedy, one", "single", PLAIN_GREEDY),
    ("2 beams", "batch", {**PLAIN_BEAMS, "num_beams": 2}),
    ("4 beams", "batch", PLAIN_BEAMS),
    ("5 beams", "single", {**PLAIN_BEAMS, "num_beams": 5}),
    ("5 beams, 3 returned", "batch", {**PLAIN_BEAMS, "num_beams": 5, "num_return_sequences": 3}),
]
OWN: dict[str, list[OptionSet]] = {
    "plain": [
        ("long favoured", "batch", {**PLAIN_BEAMS, "length_penalty": 2.0}),
        ("short favoured", "batch", {**PLAIN_BEAMS, "length_penalty": -1.0}),
        ("no length penalty", "batch", {**PLAIN_BEAMS, "length_penalty": 0.0, "num_return_sequences": 4}),
        ("early stopping", "batch", {**PLAIN_BEAMS, "early_stopping": True, "num_return_sequences": 2}),
        ("never early, long favoured", "batch", {**PLAIN_BEAMS, "early_stopping": "never", "length_penalty": 1.5}),
        ("never early, short favoured", "batch", {**PLAIN_BEAMS, "early_stopping": "never", "length_penalty": -0.5}),
        ("greedy, no 2-gram twice", "batch", {**PLAIN_GREEDY, "no_repeat_ngram_size": 2}),
        ("beams, no 2-gram twice", "batch", {**PLAIN_BEAMS, "no_repeat_ngram_size": 2}),
        ("several ends", "batch", {**PLAIN_GREEDY, "eos_token_id": [2, 15, 33]}),
        ("up to the table", "batch", {**PLAIN_GREEDY, "max_length": 24, "min_length": 24}),
    ],
    "adapter": [
        ("greedy, repetition", "batch", {**PLAIN_GREEDY, "repetition_penalty": 1.6}),
        ("beams, repetition", "batch", {**PLAIN_BEAMS, "repetition_penalty": 1.3}),
        ("greedy, min_length", "batch", {**PLAIN_GREEDY, "min_length": 14}),
        ("beams, min_length", "batch", {**PLAIN_BEAMS, "min_length": 9, "early_stopping": True}),
        ("beams, min_new_tokens", "batch", {**PLAIN_BEAMS, "min_new_tokens": 6}),
        ("max_new_tokens", "batch", {**PLAIN_BEAMS, "max_new_tokens": 4}),
        ("max_length", "batch", {**PLAIN_GREEDY, "max_length": 6}),
        ("prompt", "batch", {**PLAIN_BEAMS, "decoder_input_ids": [[0, 7, 21]] * 3, "max_length": 15}),
        ("greedy, pad forced", "batch", {**PLAIN_GREEDY, "forced_bos_token_id": 1}),
        ("beams, pad forced", "batch", {**PLAIN_BEAMS, "forced_bos_token_id": 1}),
        ("prompt with pad", "batch", {**PLAIN_GREEDY, "decoder_input_ids": [[0, 1, 21, 5]] * 3}),
        ("prompt ends in pad", "batch", {**PLAIN_GREEDY, "decoder_input_ids": [[0, 8, 1]] * 3}),
    ],
    "odd": [
        ("greedy, start forced", "batch", {**PLAIN_GREEDY, "forced_bos_token_id": 11}),
        ("beams, start forced", "batch", {**PLAIN_BEAMS, "forced_bos_token_id": 12}),
        ("end forced", "batch", {**PLAIN_BEAMS, "forced_eos_token_id": 2, "max_length": 7}),
        ("greedy, end forced", "single", {**PLAIN_GREEDY, "forced_eos_token_id": 2, "max_length": 5}),
        ("never early, long favoured", "batch", {**PLAIN_BEAMS, "early_stopping": "never", "length_penalty": 2.0}),
        (
            "all at once",
            "batch",
            {
                "num_beams": 5,
                "num_return_sequences": 5,
                "length_penalty": 1.4,
                "early_stopping": True,
                "no_repeat_ngram_size": 2,
                "repetition_penalty": 1.2,
                "min_new_tokens": 3,
                "suppress_tokens": [6, 30],
                "begin_suppress_tokens": [2, 14],
                "forced_eos_token_id": 2,
                "max_new_tokens": 11,
            },
        ),
    ],
}


def option_sets(case: str, greedy: list[list[int]]) -> list[OptionSet]:
    """Option sets of one checkpoint; tokens are forbidden by what is generated greedily without that."""
    first, second = sorted(greedy, key=lambda row: -len(set(row)))[:2]  # the liveliest
    words = [[first[2]], [second[1], second[2]], [first[1], first[2], first[3]]]
    forbidding: list[OptionSet] = [
        ("greedy, bad words", "batch", {**PLAIN_GREEDY, "bad_words_ids": words}),
        ("beams, bad words", "batch", {**PLAIN_BEAMS, "bad_words_ids": words}),
        ("suppressed", "batch", {**PLAIN_GREEDY, "suppress_tokens": [first[1], first[3]]}),
        ("suppressed at the start", "batch", {**PLAIN_BEAMS, "begin_suppress_tokens": [2, first[1], second[1]]}),
    ]
    return [*EVERYWHERE, *OWN[case], *(forbidding if case != "plain" else forbidding[:2])]
