"""The one place where options meet the model: its vocabulary, its position table and the length of the prompt."""

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import ArgumentError
from .options import NEW_TOKENS, GenerationOptions, as_tuple
from .results import Hypothesis


class Lengths(NamedTuple):
    """Tokens of a sequence, its prompt included."""

    prompt: int
    minimum: int
    maximum: int


def lengths(options: GenerationOptions, prompt: int, limit: int | None = None) -> Lengths:
    """What the options make of a prompt of so many tokens and a decoder of at most `limit` positions (None: no limit).

    Without any option at most 20 tokens follow the prompt. Raises ArgumentError where a length that was asked for is
    above `limit`, below the minimum length that was asked for, or leaves no room for a token.
    """
    given = options.given or frozenset()
    if options.max_new_tokens is not None:
        name, maximum = "max_new_tokens", prompt + options.max_new_tokens
    elif options.max_length is not None:
        name, maximum = "max_length", options.max_length
    else:
        name, maximum = "max_length", prompt + NEW_TOKENS
    if limit is not None and maximum > limit:
        if name in given:
            raise ArgumentError(f"{name}: sequences of {maximum} tokens are above the {limit} positions of the decoder")
        maximum = limit
    if maximum <= prompt:
        raise ArgumentError(f"{name}: at most {maximum} tokens leave no room after a prompt of {prompt}")
    least, minimum = "min_length", options.min_length
    if options.min_new_tokens is not None:
        least, minimum = "min_new_tokens", prompt + options.min_new_tokens
    if least in given and minimum > maximum:
        raise ArgumentError(f"{least}: at least {minimum} tokens cannot be had of at most {maximum}")
    return Lengths(prompt, minimum, maximum)


def ended(hypothesis: Hypothesis, options: GenerationOptions, limit: int | None = None) -> bool:
    """Whether a hypothesis ends because the model said so, and not because of the longest length that it may have.

    An end token that was forced at that length is no end of the model's own.
    """
    prompt = options.prompt(1).shape[1]
    is_longest = prompt + len(hypothesis.tokens) >= lengths(options, prompt, limit).maximum
    if is_longest and options.forced_eos_token_id is not None:
        return False
    return bool(hypothesis.tokens) and hypothesis.tokens[-1] in options.ends


def check_vocabulary(options: GenerationOptions, vocabulary: int) -> None:
    """Raise ArgumentError for a token id in `options` that a decoder of so many tokens does not have.

    An end, start or padding token passes unless it was asked for: configurations name some that no model has.
    """
    for name, token in _tokens(options):
        if token >= vocabulary:
            raise ArgumentError(f"{name}: there is no token {token}: the decoder's vocabulary has {vocabulary}")


def _tokens(options: GenerationOptions) -> Iterator[tuple[str, int]]:
    for name in ("forced_bos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens"):
        for token in as_tuple(getattr(options, name)):
            yield name, token
    for word in options.bad_words_ids or ():
        for token in word:
            yield "bad_words_ids", token
    for word, _ in options.sequence_bias or ():
        for token in word:
            yield "sequence_bias", token
    for name in ("eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id"):
        for token in as_tuple(getattr(options, name)) if name in (options.given or ()) else ():
            yield name, token
