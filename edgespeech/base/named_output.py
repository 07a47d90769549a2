"""Results of models and processors: dataclasses that are mappings and tuples too, None left out. No torch here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(eq=False)
class NamedOutput(Mapping[str, Any]):
    """A result with named fields, which is a mapping of those that are not None, and can be indexed like a tuple.

    `output.logits`, `output["logits"]`, `output[0]`, `output[:2]`, `"loss" in output`, `output.get("loss")`. As in the
    reference library, iteration is over names: unpack `output.to_tuple()`.
    """

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the fields that are not None, in order."""
        return tuple(self._shown().values())

    def _shown(self) -> dict[str, Any]:
        named = ((entry.name, getattr(self, entry.name)) for entry in fields(self))
        return {name: value for name, value in named if value is not None}

    def __getitem__(self, key: int | slice | str) -> Any:
        return self._shown()[key] if isinstance(key, str) else self.to_tuple()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in {entry.name for entry in fields(self)}:
            raise KeyError(f"{type(self).__name__} has no field {key}")
        setattr(self, key, value)

    def __contains__(self, key: object) -> bool:
        return key in self._shown()

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown())

    def __len__(self) -> int:
        return len(self._shown())
