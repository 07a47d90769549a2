"""Types and ranges of options, each refused in one clear line. What options mean together is not judged here."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from ..errors import ArgumentError
from ..typed import MismatchError, fitted


def unknown(name: str, names: Iterable[str]) -> str:
    """The message for an option that does not exist."""
    import difflib

    near = difflib.get_close_matches(name, list(names), n=3, cutoff=0.6)
    if near:
        return f"there is no generation option {name!r}: did you mean {' or '.join(near)}?"
    return f"there is no generation option {name!r}: expected one of {', '.join(sorted(names))}"


def refuse(name: str, expected: str, value: Any) -> NoReturn:
    """Raise the ArgumentError for `value`."""
    raise ArgumentError(str(MismatchError(name, expected, value)))


def _whole(name: str, value: Any) -> int:
    number: int = fitted(int, value, name)
    return number


def _list(name: str, expected: str, value: Any) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        refuse(name, expected, value)
    return list(value)


def _id(name: str, value: Any) -> int:
    token = _whole(name, value)
    return token if token >= 0 else refuse(name, "a token id of 0 or more", value)


def _ids(name: str, value: Any) -> tuple[int, ...]:
    return tuple(_id(name, item) for item in _list(name, "a list of token ids", value))


def _some_ids(name: str, value: Any) -> Any:
    if isinstance(value, int | np.integer):
        return _id(name, value)
    return _ids(name, value) or None


def _signed_id(name: str, value: Any) -> int | None:
    token = _whole(name, value)
    return token if token >= 0 else None  # some checkpoints write -1 for none


def _word(name: str, value: Any) -> tuple[int, ...]:
    return _ids(name, value) or refuse(name, "words of at least one token", value)


def _words(name: str, value: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(_word(name, item) for item in _list(name, "a list of lists of token ids", value))


def _biases(name: str, value: Any) -> tuple[tuple[tuple[int, ...], float], ...]:
    pairs = list(value.items()) if isinstance(value, Mapping) else _list(name, "pairs of token ids and a bias", value)
    biases = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            refuse(name, "pairs of token ids and a bias", pair)
        biases[_word(name, pair[0])] = fitted(float, pair[1], name)
    return tuple(biases.items())


def _decay(name: str, value: Any) -> tuple[int, float]:
    pair = _list(name, "a start and a factor", value)
    if len(pair) != 2:
        refuse(name, "a start and a factor", value)
    return _whole(name, pair[0]), fitted(float, pair[1], name)


# What the annotation of an option does not say: which whole numbers are token ids, and in which forms lists come.
_READERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("forced_bos_token_id", "bos_token_id", "decoder_start_token_id"), _id),
    "pad_token_id": _signed_id,
    **dict.fromkeys(("eos_token_id", "forced_eos_token_id"), _some_ids),
    **dict.fromkeys(("suppress_tokens", "begin_suppress_tokens"), _ids),
    "bad_words_ids": _words,
    "sequence_bias": _biases,
    "exponential_decay_length_penalty": _decay,
}


def of_type(name: str, kind: Any, value: Any) -> Any:
    """The value of the option `name` as a `kind`, its annotation; raises ArgumentError for a wrong one."""
    try:
        if name in _READERS and value is not None:
            return _READERS[name](name, value)
        return fitted(kind, value, name)
    except MismatchError as error:
        raise ArgumentError(str(error)) from None


_AT_LEAST = {
    **dict.fromkeys(("max_length", "max_new_tokens", "num_beams", "num_return_sequences"), 1),
    **dict.fromkeys(("min_length", "min_new_tokens", "seed", "top_k", "no_repeat_ngram_size"), 0),
}


def _in_unit(name: str, value: float | None) -> None:
    if name in ("top_p", "typical_p") and value is not None and not 0 < value <= 1:
        refuse(name, "a number above 0 and at most 1", value)
    if name == "min_p" and value is not None and not 0 <= value <= 1:
        refuse(name, "a number from 0 to 1", value)
    if name in ("epsilon_cutoff", "eta_cutoff") and value is not None and not 0 <= value < 1:
        refuse(name, "a number of at least 0 and below 1", value)


def ranges(values: Mapping[str, Any]) -> None:
    """Raise ArgumentError for a number out of its range; `values` are of the right types."""
    for name, least in _AT_LEAST.items():
        if values[name] is not None and values[name] < least:
            refuse(name, f"a whole number of at least {least}", values[name])
    for name in ("top_p", "typical_p", "min_p", "epsilon_cutoff", "eta_cutoff"):
        _in_unit(name, values[name])
    for name in ("temperature", "length_penalty"):
        if not math.isfinite(values[name]):
            refuse(name, "a finite number", values[name])
    if not 0 < values["repetition_penalty"] < math.inf:
        refuse("repetition_penalty", "a number above 0", values["repetition_penalty"])
    for _, bias in values["sequence_bias"] or ():
        if math.isnan(bias) or bias == math.inf:
            refuse("sequence_bias", "biases below infinity", bias)
