"""From JSON values to frozen dataclasses, checked against their annotations. It knows no field of the manifest."""

import dataclasses
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import BundleError


def build(kind: Any, value: Any, where: str) -> Any:
    """Make a `kind` of the JSON `value` that stands at `where` ("audio.hop"; "" is the whole document).

    Understands dataclasses, `str`, `int`, `float`, `bool`, `Any`, `Literal`, `X | None`, `tuple[X, ...]` and
    `dict[str, X]`. Raises BundleError, one line that says where, what was expected and what came.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if kind is Any:
        return value
    if origin is Literal:
        return value if value in arguments else _refuse(where, " or ".join(map(repr, arguments)), value)
    if origin in (Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not types.NoneType)
        return None if value is None else build(inner, value, where)
    if origin is tuple:
        items = value if isinstance(value, list) else _refuse(where, "a list", value)
        return tuple(build(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        entries = value if isinstance(value, dict) else _refuse(where, "an object", value)
        return {key: build(arguments[1], item, f"{where}.{key}") for key, item in entries.items()}
    return _build_scalar(kind, value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        _refuse(where, "an object", value)
    hints = get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        place = f"{where}.{field.name}" if where else field.name
        if field.name in value:
            values[field.name] = build(hints[field.name], value[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BundleError(f"edgespeech.json: the field {place} is missing: export the bundle again")
    return kind(**values)


def _build_scalar(kind: Any, value: Any, where: str) -> Any:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    if kind is float and type(value) is int:  # JSON writes 1.0 as 1 too
        return float(value)
    return value if type(value) is kind else _refuse(where, names[kind], value)


def _refuse(where: str, expected: str, value: Any) -> Any:
    found = repr(value)
    raise BundleError(
        f"edgespeech.json: {where}: expected {expected}, got {found if len(found) < 60 else found[:57] + '...'}"
    )
