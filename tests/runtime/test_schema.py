"""JSON values to dataclasses: each annotation that it understands, and each refusal."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from edgespeech_runtime.bundle.schema import build
from edgespeech_runtime.errors import BundleError


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Outer:
    name: str
    ratio: float
    is_on: bool
    mode: Literal["a", "b"]
    inner: Inner
    sizes: tuple[int, ...]
    table: dict[str, Inner]
    maybe: str | None
    free: Any = None
    extra: dict[str, Any] = field(default_factory=dict)


GOOD = {
    "name": "x",
    "ratio": 1,
    "is_on": True,
    "mode": "a",
    "inner": {"size": 3},
    "sizes": [1, 2],
    "table": {"one": {"size": 1}},
    "maybe": None,
}


def test_every_kind_is_built():
    built = build(Outer, GOOD | {"unknown": 1}, "")
    assert built == Outer("x", 1.0, True, "a", Inner(3), (1, 2), {"one": Inner(1)}, None)
    assert type(built.ratio) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 1}, "name: expected a text, got 1"),
        ({"ratio": "1"}, "ratio: expected a number, got '1'"),
        ({"ratio": True}, "ratio: expected a number, got True"),
        ({"is_on": 1}, "is_on: expected true or false, got 1"),
        ({"mode": "c"}, "mode: expected 'a' or 'b', got 'c'"),
        ({"inner": {"size": True}}, "inner.size: expected a whole number, got True"),
        ({"inner": {"size": 3.0}}, "inner.size: expected a whole number, got 3.0"),
        ({"inner": {}}, "the field inner.size is missing"),
        ({"inner": []}, "inner: expected an object, got []"),
        ({"sizes": 3}, "sizes: expected a list, got 3"),
        ({"sizes": [1, "2"]}, "sizes[1]: expected a whole number, got '2'"),
        ({"table": []}, "table: expected an object, got []"),
        ({"table": {"one": {"size": None}}}, "table.one.size: expected a whole number, got None"),
        ({"maybe": 1}, "maybe: expected a text, got 1"),
        ({"name": list(range(100))}, "..."),
    ],
)
def test_a_wrong_value_is_named(change, message):
    with pytest.raises(BundleError) as caught:
        build(Outer, GOOD | change, "")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150
