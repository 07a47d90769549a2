"""What all configurations share: dataclasses that read and write `config.json`, checked whenever a field changes.

What a file holds beyond the fields of its class is kept in `extra` and written back; it is read and assigned like a
field, unchecked.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

from edgespeech_runtime.typed import MismatchError, fitted

from edgespeech.checkpoint.folder import read_json, write_json
from edgespeech.checkpoint.resolving import HubOptions, resolve
from edgespeech.choices import CONFIG as CONFIG
from edgespeech.errors import CheckpointError, ConfigError

ConfigT = TypeVar("ConfigT", bound="Config")
SLIP = 0.93  # likeness, as difflib measures it, from which an unknown name is taken for a misspelt field
HINTS: dict[Any, dict[str, Any]] = {}  # of the classes met so far; they take long to work out


class Alias:
    """Another name of a field: reading and assigning go to the field."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __get__(self, config: Any, owner: type) -> Any:
        return self if config is None else getattr(config, self.field)

    def __set__(self, config: Any, value: Any) -> None:
        setattr(config, self.field, value)


class TakesExtra(type):
    """Lets a configuration be made with names beyond its fields, which go to `extra`; aliases go to their fields."""

    def __call__(cls, *args: Any, **values: Any) -> Any:
        """Make a configuration.

        Raises:
            ConfigError: a name is a field's but for a slip, or follows from fields.
        """
        names = parameters(cls)
        extra = dict(values.pop("extra", {}))
        for name in [name for name in values if name not in names]:
            value, there = values.pop(name), getattr(cls, name, None)
            if name == "model_type" and value == there:
                continue
            if isinstance(there, Alias):
                values.setdefault(there.field, value)
            elif hasattr(cls, name):
                raise ConfigError(f"{name} of a {cls.__name__} follows from its fields; leave it out")
            else:
                refuse_slip(cls, name)
                extra[name] = value
        return super().__call__(*args, **values, extra=extra)


@dataclass(kw_only=True)
class Config(metaclass=TakesExtra):
    """What all configurations share: the way from and to a file.

    Subclasses set `model_type`, the name by which `config.json` says which class it belongs to.
    """

    model_type: ClassVar[str]
    unread: ClassVar[frozenset[str]] = frozenset()  # fields that a file may hold, and that no model of the family reads

    output_hidden_states: bool | None = False
    output_attentions: bool | None = False
    return_dict: bool | None = True
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, self._checked(entry.name, getattr(self, entry.name)))
        self.validate()
        object.__setattr__(self, "_complete", True)

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign a field, checked as on construction; any other name goes to `extra`.

        Raises:
            ConfigError: the value has the wrong type or contradicts the other fields, which then stay as they were, or
                the name is a field's but for a slip.
        """
        if name not in hints_of(type(self)):
            self._assign_other(name, value)
        elif "_complete" not in self.__dict__:  # the generated constructor is at work; all is checked at its end
            object.__setattr__(self, name, value)
        else:
            before = getattr(self, name)
            object.__setattr__(self, name, self._checked(name, value))
            try:
                self.validate()
            except ConfigError:
                object.__setattr__(self, name, before)
                raise

    if not TYPE_CHECKING:  # a type checker shall still know a slip

        def __getattr__(self, name: str) -> Any:
            extra = self.__dict__.get("extra", {})
            if name not in extra:
                raise AttributeError(f"{type(self).__name__} has no {name}")
            return extra[name]

    def _assign_other(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):  # a property says itself whether it can be set
            object.__setattr__(self, name, value)
            return
        if name not in self.extra:
            refuse_slip(type(self), name)
        object.__setattr__(self, "extra", {**self.extra, name: value})

    def _checked(self, name: str, value: Any) -> Any:
        value = tuple(value) if isinstance(value, list) else value  # JSON has lists where fixed tuples are wanted
        try:
            checked = fitted(hint := hints_of(type(self))[name], value, name)
        except MismatchError:
            kind = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
            raise ConfigError(f"{name} must be {kind}, got {value!r}") from None
        is_number = isinstance(value, int | float)  # a file that says 1 for a float is written so again
        return value if is_number or isinstance(value, Mapping) else checked

    def validate(self) -> None:
        """Check that the fields fit each other; subclasses say how.

        Raises:
            ConfigError: names the fields that contradict each other.
        """

    @classmethod
    def from_dict(cls: type[ConfigT], values: Mapping[str, Any], **overrides: Any) -> ConfigT:
        """Build a configuration from the content of a `config.json`; `overrides` replace fields.

        Raises:
            ConfigError: a field has the wrong type, the fields contradict each other, or an override is no field.
            CheckpointError: `model_type` is another family's.
        """
        names = parameters(cls) - {"extra"} - cls.unread
        unknown = sorted(overrides.keys() - names - {"model_type"})
        if unknown:
            raise ConfigError(f"{cls.__name__} has no {', '.join(unknown)}; check the spelling, or leave it out")
        values = {**values, **overrides}
        model_type = values.pop("model_type", cls.model_type)
        if model_type != cls.model_type:
            raise CheckpointError(f"expected a configuration of model_type {cls.model_type!r}, got {model_type!r}")
        extra = {name: value for name, value in values.items() if name not in names}
        return cls(**{name: value for name, value in values.items() if name in names}, extra=extra)

    @classmethod
    def from_pretrained(
        cls: type[ConfigT],
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        return_unused_kwargs: bool = False,
        **overrides: Any,
    ) -> ConfigT:
        """Read `config.json` of a checkpoint folder or hub id, or the JSON file given; `overrides` replace fields.

        Among these may be `subfolder`, and for hub ids `revision`, `token`, `cache_dir`, `local_files_only` and
        `force_download`. With `return_unused_kwargs` the result is the configuration and those that are no fields.

        Raises:
            MissingFileError: no such folder, or it holds no `config.json`.
            CheckpointError: the file is damaged or of another family.
            ConfigError: a field has the wrong type, the fields contradict each other, or an override is no field.
        """
        values, overrides = read_config(pretrained_model_name_or_path, overrides)
        if not return_unused_kwargs:
            return cls.from_dict(values, **overrides)
        unused = {name: overrides.pop(name) for name in list(overrides) if not cls._is_field(name)}
        return cls.from_dict(values, **overrides), unused  # type: ignore[return-value]

    @classmethod
    def _is_field(cls, name: str) -> bool:
        return name in parameters(cls) or isinstance(getattr(cls, name, None), Alias)

    @classmethod
    def from_json_file(cls: type[ConfigT], json_file: str | os.PathLike[str]) -> ConfigT:
        """Read a file of the content of a `config.json`; errors as `from_pretrained`."""
        return cls.from_dict(read_json(json_file))

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a `config.json`, `model_type` and unknown keys included."""
        names = (entry.name for entry in fields(self) if entry.name not in {"extra", *self.unread})
        own = {name: getattr(self, name) for name in names}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        return {**self.extra, **plain, "model_type": self.model_type}

    def to_diff_dict(self) -> dict[str, Any]:
        """Return `to_dict` without the fields that all configurations have, where they are at their defaults."""
        usual = {entry.name: entry.default for entry in fields(Config)}
        return {name: value for name, value in self.to_dict().items() if name not in usual or value != usual[name]}

    def to_json_string(self, use_diff: bool = True) -> str:
        """Return the content of a `config.json` as text, `to_diff_dict` or all of `to_dict`."""
        content = self.to_diff_dict() if use_diff else self.to_dict()
        return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike[str], use_diff: bool = True) -> None:
        """Write `to_json_string` to a file."""
        Path(json_file_path).write_text(self.to_json_string(use_diff), encoding="utf-8")

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Assign several fields at once, which may depend on each other.

        Raises:
            ConfigError: as on assigning; all fields then stay as they were.
        """
        before = dict(self.__dict__)
        del self.__dict__["_complete"]  # so that they are checked together
        try:
            for name, value in config_dict.items():
                setattr(self, name, value)
            for name in hints_of(type(self)):
                object.__setattr__(self, name, self._checked(name, getattr(self, name)))
            self.validate()
        except ConfigError:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        object.__setattr__(self, "_complete", True)

    @property
    def use_return_dict(self) -> bool:
        """Whether models return outputs with names, `return_dict`."""
        return self.return_dict is not False

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `config.json` into a folder, which is made where needed."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / CONFIG, self.to_dict())


def hints_of(kind: type) -> dict[str, Any]:
    """Return the types of a configuration class's fields by their names."""
    if kind not in HINTS:
        hints = get_type_hints(kind)
        HINTS[kind] = {entry.name: hints[entry.name] for entry in fields(kind)}
    return HINTS[kind]


def parameters(kind: type) -> set[str]:
    """Return the names that a configuration class's constructor has of its own."""
    return {*signature(kind.__init__).parameters} - {"self"}  # type: ignore[misc]


def refuse_slip(kind: type, name: str) -> None:
    """Check that a name that is no field's is not meant to be one.

    Raises:
        ConfigError: it is a field's but for a slip.
    """
    slips = get_close_matches(name, hints_of(kind), 1, SLIP)
    if slips:
        raise ConfigError(f"{kind.__name__} has no {name}; did you mean {slips[0]}?")


def read_config(
    checkpoint: str | os.PathLike[str], options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the content of a folder's, a hub id's or a file's configuration, and the options that are not of the hub.

    Raises:
        MissingFileError: no such folder, or it holds no `config.json`.
        CheckpointError: the file is damaged.
        ConfigError: code of the checkpoint's is asked for.
    """
    hub, rest = HubOptions.parted(options)
    if rest.pop("trust_remote_code", None):
        raise ConfigError("trust_remote_code: code that comes with a checkpoint is never run; leave it out")
    path = Path(checkpoint).expanduser()
    if path.suffix == ".json" and path.is_file():
        return read_json(path), rest
    return read_json(resolve(checkpoint, hub=hub) / str(rest.pop("subfolder", "")) / CONFIG), rest
