"""Ids to text: the table of tokens of a bundle and the steps that make text of them.

A detokenizer is one JSON file of a bundle, written on the build machine. It knows no model and no tokenizer by name:
what a vocabulary's tokens mean is said by its steps. It does not split text into tokens.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from typing import Any, NoReturn

from ..errors import BundleError
from .languages import language_id
from .stages import STAGES, Stage
from .stream import TextStream

DETOKENIZER_FILE = "detokenizer.json"
FORMAT = 1


@dataclass(frozen=True)
class Step:
    """One step from tokens to text: the name of a stage (see `stages.STAGES`) and its options."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in STAGES:
            hint = f"expected one of {', '.join(STAGES)}: upgrade edgespeech-runtime, or export again"
            _refuse(f"step {self.kind!r}: {hint}")
        parameters = signature(STAGES[self.kind]).parameters
        for name, value in self.options.items():
            if name not in parameters:
                _refuse(f"step {self.kind!r} has no option {name!r}: upgrade edgespeech-runtime, or export again")
            _check_option(f"step {self.kind!r}: {name}", parameters[name].annotation, value)
        if self.options.get("pattern") == "":
            _refuse(f"step {self.kind!r}: pattern: expected a text to look for, got none")
        missing = [n for n, p in parameters.items() if p.default is p.empty and n not in self.options]
        if missing:
            _refuse(f"step {self.kind!r} lacks its option {missing[0]!r}: export the bundle again")

    def stage(self) -> Stage:
        """Return a stage that starts with an empty text."""
        return STAGES[self.kind](**self.options)


@dataclass(frozen=True)
class Detokenizer:
    """The tokens (index = id; None: the id has none) and how they become text.

    `special` are the ids that stand for no text. `unknown` is the id whose token stands for ids without one; None
    skips those. `clean_up` says whether spaces before punctuation go unless a call says otherwise; None means that
    they never do. `languages` are the ids of the tokens that name languages.
    """

    tokens: tuple[str | None, ...]
    steps: tuple[Step, ...]
    special: tuple[int, ...] = ()
    unknown: int | None = None
    clean_up: bool | None = False
    languages: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {"special": self.special, "languages": self.languages.values()}
        for name, ids in {**named, "unknown": () if self.unknown is None else (self.unknown,)}.items():
            for token_id in ids:
                if not 0 <= token_id < len(self.tokens):
                    _refuse(f"{name}: expected ids below {len(self.tokens)}, got {token_id}")

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """`special` as a set."""
        return frozenset(self.special)

    def does_clean_up(self, clean_up: bool | None = None) -> bool:
        """Say whether spaces before punctuation go if a call asks for `clean_up`; None asks for the default."""
        return bool(self.clean_up is not None and (self.clean_up if clean_up is None else clean_up))

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True, clean_up: bool | None = None) -> str:
        """Turn the ids of one sequence, `[tokens]`, into text.

        `skip_special_tokens` leaves special tokens out; `clean_up` takes out spaces before punctuation, None for the
        vocabulary's own setting. Ids past the vocabulary are skipped, or stand for the unknown token. Raises
        ArgumentError for a negative id.
        """
        stream = TextStream(self, skip_special_tokens, clean_up)
        return stream.push(ids) + stream.flush()

    def stream(self, skip_special_tokens: bool = True, clean_up: bool | None = None) -> TextStream:
        """Return a stream that turns ids into text as they come, with the options of `decode`."""
        return TextStream(self, skip_special_tokens, clean_up)

    def language_id(self, name: str) -> int:
        """Return the id of a language's token: "de_DE", or "de" where only one begins so.

        Raises ArgumentError, which lists the known languages, for any other name.
        """
        return language_id(self.languages, name)

    def to_json(self) -> str:
        """Compact JSON text; the tokens are one list."""
        data = {
            "format": FORMAT,
            "steps": [{"kind": step.kind, **step.options} for step in self.steps],
            "special": self.special,
            "unknown": self.unknown,
            "clean_up": self.clean_up,
            "languages": dict(self.languages),
            "tokens": self.tokens,
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Detokenizer":
        """Read what `to_json` wrote. Raises BundleError, one line, for anything else."""
        try:
            data = json.loads(text)
        except ValueError as error:
            _refuse(f"is no JSON ({error}): export the bundle again")
        if not isinstance(data, dict):
            _refuse(f"expected an object, got {type(data).__name__}")
        form = data.get("format")
        if type(form) is int and form > FORMAT:
            _refuse(f"format {form}, this runtime reads up to {FORMAT}: upgrade edgespeech-runtime")
        if type(form) is not int or form != FORMAT:
            _refuse(f"format: expected {FORMAT}, got {form!r}")
        languages = _typed(data, "languages", dict)
        unknown, clean_up = data.get("unknown"), data.get("clean_up")
        if type(unknown) is not int and unknown is not None:
            _refuse(f"unknown: expected an id or null, got {unknown!r}")
        if type(clean_up) is not bool and clean_up is not None:
            _refuse(f"clean_up: expected true, false or null, got {clean_up!r}")
        return cls(
            tokens=_items(data, "tokens", {str, type(None)}, "texts or nulls"),
            steps=tuple(_step(entry) for entry in _items(data, "steps", {dict}, "objects")),
            special=_items(data, "special", {int}, "ids"),
            unknown=unknown,
            clean_up=clean_up,
            languages=languages if set(map(type, languages.values())) <= {int} else _refuse("languages: expected ids"),
        )


def _refuse(message: str) -> NoReturn:
    raise BundleError(f"{DETOKENIZER_FILE}: {message}")


def _typed(data: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in data:
        _refuse(f"the field {name} is missing: export the bundle again")
    if type(data[name]) is not kind:
        _refuse(f"{name}: expected {'a list' if kind is list else 'an object'}, got {type(data[name]).__name__}")
    return data[name]


def _items(data: Mapping[str, Any], name: str, kinds: set[type], meaning: str) -> tuple[Any, ...]:
    items = _typed(data, name, list)
    if not set(map(type, items)) <= kinds:  # one pass in C: there may be 250 000
        wrong = next(item for item in items if type(item) not in kinds)
        _refuse(f"{name}: expected {meaning}, got {str(wrong)[:40]!r}")
    return tuple(items)


def _step(entry: dict[str, Any]) -> Step:
    kind = entry.get("kind")
    if not isinstance(kind, str):
        _refuse(f"steps: expected the kind of each step, got {str(entry)[:40]!r}")
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Step(kind, {name: value for name, value in options.items() if name != "kind"})


def _check_option(where: str, annotation: Any, value: Any) -> None:
    """Compare an option with the annotation of its stage: `str`, `int`, `bool`, `str | None` or `tuple[str, ...]`."""
    if annotation == tuple[str, ...]:
        holds = type(value) is tuple and set(map(type, value)) <= {str}
    else:
        holds = type(value) in getattr(annotation, "__args__", (annotation,))
    if not holds:
        _refuse(f"{where}: expected {getattr(annotation, '__name__', annotation)}, got {str(value)[:40]!r}")
