"""Names of the classes that a classifier tells apart, as configurations keep them: `id2label` and `label2id`."""

from typing import Any

from edgespeech.errors import ConfigError

DEFAULT = 2  # classes, where a configuration does not say how many


class NumLabels:
    """The field `num_labels`: how many names `id2label` has. Another number replaces them by LABEL_0, LABEL_1, ..."""

    def __get__(self, config: Any, owner: type) -> Any:
        return None if config is None else len(config.id2label)  # of the class: the constructor's default

    def __set__(self, config: Any, count: int) -> None:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(f"num_labels must be a whole number of at least 1, got {count!r}")
        if count != len(config.id2label):
            config.id2label = default_names(count)
            config.label2id = {name: index for index, name in config.id2label.items()}


def default_names(count: int = DEFAULT) -> dict[int, str]:
    """Return the names of classes that have none."""
    return {index: f"LABEL_{index}" for index in range(count)}


def numbered(names: dict[Any, Any]) -> dict[int, str]:
    """Return `id2label` with numbers as keys, which JSON has as strings. Names that are numbers become texts.

    Raises:
        ConfigError: a key that is no number, or a name that is neither text nor number.
    """
    try:
        table = {int(index): name for index, name in names.items()}
    except (TypeError, ValueError):
        raise ConfigError(f"id2label must have whole numbers as keys, got {', '.join(map(repr, names))}") from None
    for index, name in table.items():
        if not isinstance(name, str | int | float):
            raise ConfigError(f"id2label must name class {index} by a text, got {name!r}")
    return {index: str(name) for index, name in table.items()}


def in_order(names: dict[int, str]) -> tuple[str, ...]:
    """Return the names of the classes 0, 1, ...

    Raises:
        ConfigError: there are none, or the numbers have gaps.
    """
    if not names or set(names) != set(range(len(names))):
        raise ConfigError(f"id2label must name the classes 0, 1, ... without gaps, got {sorted(names)}")
    return tuple(names[index] for index in range(len(names)))
