"""Values of annotated types: the check that manifests, options of generation and configurations have in common.

It knows no field of any of them; what values mean together is the business of those who ask.
"""

import dataclasses
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

SHOWN = 60  # characters of a wrong value in a message
PYTHON = {str: "a text", int: "a whole number", float: "a number", bool: "True or False", dict: "a dict"}
JSON = {**PYTHON, bool: "true or false", dict: "an object"}
Names = Mapping[type, str]  # what messages call a kind of value


class MismatchError(ValueError):
    """A value is of another type than its annotation says. Callers make an error of their own of it."""

    def __init__(self, where: str, expected: str, value: Any) -> None:
        shown = repr(value)
        shown = shown if len(shown) < SHOWN else f"{shown[: SHOWN - 3]}..."
        super().__init__(f"{where}: expected {expected}, got {shown}")
        self.where = where


class MissingError(ValueError):
    """A field that has no default is not there; `where` names it."""

    def __init__(self, where: str) -> None:
        super().__init__(f"the field {where} is missing")
        self.where = where


def fitted(kind: Any, value: Any, where: str, names: Names = PYTHON) -> Any:
    """The `value` that stands at `where` ("audio.hop"; "" is the whole) as a `kind`; `names` are for messages.

    Understands dataclasses, which are made of mappings, `str`, `int`, `float`, `bool`, `Any`, `Literal`, unions,
    `tuple[X, ...]`, which any series becomes, `tuple[X, Y]` and `dict[K, X]`. A whole number will do as a float, a bool
    as neither; scalars of numpy count as those of Python. Raises MismatchError and MissingError.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _fitted_dataclass(kind, value, where, names)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        return _fitted_choice(kind, value, where, names)
    if origin is tuple:
        return _fitted_tuple(kind, value, where, names)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise MismatchError(where, names[dict], value)
        return {key: fitted(arguments[1], item, f"{where}.{key}", names) for key, item in value.items()}
    if origin is Literal and not (isinstance(value, str) and value in arguments):
        raise MismatchError(where, expected(kind, names), value)
    return value if origin is Literal else _fitted_scalar(kind, value, where, names)


def expected(kind: Any, names: Names = PYTHON) -> str:
    """A type as messages name it; None is not mentioned where something else will do."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(expected(choice, names) for choice in arguments if choice is not types.NoneType)
    if origin is tuple:
        return "a list"
    return names.get(origin or kind) or f"a {getattr(kind, '__name__', kind)}"


def _fitted_dataclass(kind: Any, value: Any, where: str, names: Names) -> Any:
    if not isinstance(value, Mapping):
        raise MismatchError(where, names[dict], value)
    hints = get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        inside = f"{where}.{field.name}" if where else field.name
        if field.name in value:
            values[field.name] = fitted(hints[field.name], value[field.name], inside, names)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise MissingError(inside)
    return kind(**values)


def _fitted_choice(kind: Any, value: Any, where: str, names: Names) -> Any:
    choices = [choice for choice in get_args(kind) if choice is not types.NoneType]
    if value is None and len(choices) < len(get_args(kind)):
        return None
    errors = []
    for choice in choices:
        try:
            return fitted(choice, value, where, names)
        except MismatchError as error:
            errors.append(error)
    deepest = max(errors, key=lambda error: len(error.where))
    raise deepest if deepest.where != where else MismatchError(where, expected(kind, names), value)


def _fitted_tuple(kind: Any, value: Any, where: str, names: Names) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise MismatchError(where, "a list", value)
    items, kinds = list(value), get_args(kind)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    if len(items) != len(kinds):
        raise MismatchError(where, f"a list of {len(kinds)}", value)
    pairs = enumerate(zip(kinds, items, strict=True))
    return tuple(fitted(item_kind, item, f"{where}[{index}]", names) for index, (item_kind, item) in pairs)


def _fitted_scalar(kind: Any, value: Any, where: str, names: Names) -> Any:
    is_truth = isinstance(value, bool | np.bool_)
    if kind is bool and is_truth:
        return bool(value)
    if kind is int and not is_truth and isinstance(value, int | np.integer):
        return int(value)
    if kind is float and not is_truth and isinstance(value, int | float | np.integer | np.floating):
        return float(value)
    if kind not in (bool, int, float) and isinstance(value, kind):
        return value
    raise MismatchError(where, expected(kind, names), value)
