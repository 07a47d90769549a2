"""Values against annotations, whoever asks: what is taken, what becomes of it, and what is said of the rest."""

from typing import Any, Literal

import numpy as np
import pytest
from edgespeech_runtime.typed import JSON, MismatchError, expected, fitted


@pytest.mark.parametrize(
    ("kind", "value", "right"),
    [
        (int, np.int64(3), 3),
        (float, 3, 3.0),
        (float, np.float32(0.5), 0.5),
        (bool, np.bool_(True), True),
        (tuple[int, ...], range(3), (0, 1, 2)),
        (tuple[int, ...], np.array([4, 5]), (4, 5)),
        (tuple[int, float], [1, 2], (1, 2.0)),
        (int | tuple[int, ...] | None, [7], (7,)),
        (int | tuple[int, ...] | None, None, None),
        (bool | Literal["never"], "never", "never"),
        (dict[str, tuple[int, ...]], {"a": [1]}, {"a": (1,)}),
        (Any, object, object),
    ],
)
def test_what_fits_becomes_of_the_type(kind: Any, value: Any, right: Any) -> None:
    found = fitted(kind, value, "x")
    assert found == right
    assert type(found) is type(right)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (int, True, "x: expected a whole number, got True"),
        (int, 3.0, "x: expected a whole number, got 3.0"),
        (float, False, "x: expected a number, got False"),
        (tuple[int, ...], "12", "x: expected a list, got '12'"),
        (tuple[int, float], [1], r"x: expected a list of 2, got \[1\]"),
        (tuple[int, ...] | None, [1, "2"], r"x\[1\]: expected a whole number, got '2'"),
        (int | tuple[int, ...] | None, "a", "x: expected a whole number or a list, got 'a'"),
        (bool | Literal["never"], 1, "x: expected True or False or 'never', got 1"),
        (dict[str, int], {"a": None}, "x.a: expected a whole number, got None"),
    ],
)
def test_what_does_not_fit_is_named(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(MismatchError, match=f"^{message}$"):
        fitted(kind, value, "x")


def test_json_has_words_of_its_own() -> None:
    assert (expected(bool | None, JSON), expected(dict[str, int], JSON)) == ("true or false", "an object")
