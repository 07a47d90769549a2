"""The options of generation: names, defaults and meanings of transformers 5.23; what contradicts itself is refused.

Vocabulary, prompt and position table are known to `lengths` and `limits` only, not here.
"""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_type_hints

import numpy as np

from ..errors import ArgumentError
from . import checks
from .decoder import Ids

SAMPLING_ONLY = ("temperature", "top_k", "top_p", "typical_p", "min_p", "epsilon_cutoff", "eta_cutoff")
OFF = {"top_k": 0}  # what None means for an option whose default is not "off"
NEW_TOKENS = 20  # generated at most where nobody says how many


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to generate. Token ids are plain numbers; lengths count the prompt, `*_new_tokens` do not.

    `max_new_tokens` takes precedence over `max_length`, `min_new_tokens` over `min_length`. `length_penalty` and
    `early_stopping` mean nothing to a single beam. An option for sampling only, set without `do_sample`, is refused.
    `given` holds the names that were asked for, the others being defaults that may give way: a default `max_length`
    is cut to the position table, one that was asked for is an error there. Raises ArgumentError.
    """

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int = 0
    min_new_tokens: int | None = None

    num_beams: int = 1
    num_return_sequences: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False

    do_sample: bool = False
    seed: int | None = None
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    typical_p: float = 1.0
    min_p: float | None = None
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0

    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    sequence_bias: tuple[tuple[tuple[int, ...], float], ...] | None = None
    bad_words_ids: tuple[tuple[int, ...], ...] | None = None
    suppress_tokens: tuple[int, ...] | None = None
    begin_suppress_tokens: tuple[int, ...] | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | tuple[int, ...] | None = None
    exponential_decay_length_penalty: tuple[int, float] | None = None
    remove_invalid_values: bool = False
    renormalize_logits: bool = False

    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    pad_token_id: int | None = None
    decoder_start_token_id: int | None = None

    given: frozenset[str] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        hints = _hints()
        for name in NAMES:
            object.__setattr__(self, name, checks.of_type(name, hints[name], getattr(self, name)))
        if self.given is None:
            given = frozenset(name for name, default in NAMES.items() if getattr(self, name) != default)
            object.__setattr__(self, "given", given)
        checks.ranges({name: getattr(self, name) for name in NAMES})
        self._refuse_contradictions()

    @classmethod
    def from_defaults(cls, defaults: Mapping[str, Any] | None = None, /, **options: Any) -> "GenerationOptions":
        """Options over `defaults`, the content of a generation_config.json.

        Of `defaults` None and unknown names are passed over, as are those for sampling where nothing is sampled. None
        for an option switches it off, or gives its default where there is no such thing. Raises ArgumentError for an
        unknown option (near names are listed) and as the constructor does.
        """
        if unknown := [name for name in options if name not in NAMES]:
            raise ArgumentError(checks.unknown(unknown[0], NAMES))
        values = {name: value for name, value in (defaults or {}).items() if name in NAMES and value is not None}
        asked = {name: OFF.get(name, NAMES[name]) if value is None else value for name, value in options.items()}
        if not (values | asked).get("do_sample", False):
            values = {name: value for name, value in values.items() if name not in SAMPLING_ONLY}
        return cls(**{**values, **asked, "given": frozenset(options)})

    def replace(self, **options: Any) -> "GenerationOptions":
        """The same with other values, which then count as asked for; None and errors as in `from_defaults`."""
        values = {name: getattr(self, name) for name in NAMES}
        changed = type(self).from_defaults(values, **options)
        given = (self.given or frozenset()) | frozenset(options)
        return dataclasses.replace(changed, given=given)

    @property
    def ends(self) -> tuple[int, ...]:
        """The end tokens, in their order; () for none: every sequence then runs to the maximal length."""
        return as_tuple(self.eos_token_id)

    @property
    def padding(self) -> int:
        """What follows a finished sequence in an array: `pad_token_id`, else the first end token, else 0.

        Of several beams transformers takes a `pad_token_id` of 0 for none: the first end token stands there instead.
        """
        fallback = self.ends[0] if self.ends else 0
        if self.num_beams > 1:
            return self.pad_token_id or fallback
        return fallback if self.pad_token_id is None else self.pad_token_id

    def prompt(self, batch: int) -> Ids:
        """The prompt of an encoder-decoder (batch, 1): `decoder_start_token_id`, or else `bos_token_id`.

        Raises ArgumentError where neither is set.
        """
        start = self.bos_token_id if self.decoder_start_token_id is None else self.decoder_start_token_id
        if start is None:
            raise ArgumentError("generation needs a first token: set decoder_start_token_id (or bos_token_id)")
        return np.full((batch, 1), start, np.int64)

    def _refuse_contradictions(self) -> None:
        given = self.given or frozenset()
        if self.do_sample and not self.temperature > 0:
            raise ArgumentError(
                f"temperature: sampling needs a number above 0, got {self.temperature!r}: "
                "for the most probable tokens set do_sample=False"
            )
        wasted = [name for name in SAMPLING_ONLY if not self.do_sample and getattr(self, name) not in _idle(name)]
        if wasted:
            raise ArgumentError(f"{wasted[0]} is for sampling only: set do_sample=True, or leave {wasted[0]} out")
        if self.num_return_sequences > self.num_beams and (not self.do_sample or self.num_beams > 1):
            raise ArgumentError(
                f"num_return_sequences ({self.num_return_sequences}) is above num_beams ({self.num_beams}): "
                "ask for more beams, or for fewer sequences"
            )
        for low, high in (("min_length", "max_length"), ("min_new_tokens", "max_new_tokens")):
            least, most = getattr(self, low), getattr(self, high)
            if low in given and least is not None and most is not None and least > most and not self._outranked(low):
                raise ArgumentError(f"{low} ({least}) is above {high} ({most}): no sequence can be both")
        for name in ("forced_bos_token_id", "forced_eos_token_id"):
            forced = as_tuple(getattr(self, name))
            if forced and set(forced) <= set(self.suppress_tokens or ()):
                raise ArgumentError(f"{name} ({list(forced)}) is among suppress_tokens: it cannot be both")
        if self.exponential_decay_length_penalty is not None and not self.ends:
            raise ArgumentError("exponential_decay_length_penalty raises the end token: set eos_token_id as well")

    def _outranked(self, low: str) -> bool:
        return low == "min_length" and not (self.max_new_tokens is None and self.min_new_tokens is None)


def as_tuple(ids: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """One id, several or none as a tuple."""
    if ids is None:
        return ()
    return (ids,) if isinstance(ids, int) else ids


@functools.cache
def _hints() -> dict[str, Any]:
    return get_type_hints(GenerationOptions)


def _idle(name: str) -> tuple[Any, ...]:
    return (NAMES[name], OFF.get(name, NAMES[name]))


NAMES: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(GenerationOptions) if f.name != "given"}
