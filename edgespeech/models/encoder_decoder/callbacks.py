"""What a caller of `generate` adds to the options: rules and criteria that are given tensors, and a streamer."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.generation import Hooks, Ids, Logits, OnTokens
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Rules beyond the options, with the reference library's names.

    `logits_processor` and `stopping_criteria` are functions, or lists of them, of `(input_ids, scores)`: the first
    returns scores (rows, vocabulary), the second which rows (rows,) end, and is given None for scores.
    `prefix_allowed_tokens_fn(utterance, input_ids)` returns the tokens that may follow. `max_time` is in seconds.
    `stop_strings` end a sequence whose text, by the `tokenizer`, has come to hold one.
    """

    logits_processor: Any = None
    stopping_criteria: Any = None
    prefix_allowed_tokens_fn: Callable[[int, Tensor], Iterable[int]] | None = None
    max_time: float | None = None
    stop_strings: str | list[str] | None = None
    tokenizer: Any = None

    def __post_init__(self) -> None:
        for name in ("logits_processor", "stopping_criteria"):
            for rule in _listed(getattr(self, name)):
                if not callable(rule):
                    raise ArgumentError(f"{name}: expected functions of (input_ids, scores), got {rule!r}")
        if self.max_time is not None and not self.max_time > 0:
            raise ArgumentError(f"max_time: expected seconds above 0, got {self.max_time!r}")
        if self.stop_strings is not None and self.tokenizer is None:
            raise ArgumentError("stop_strings need the model's tokenizer: pass it as tokenizer")

    def hooks(self, device: torch.device, look: Any, entropy: int | None) -> Hooks:
        """Return these rules as the decoding loop takes them, time counting from now."""
        criteria = self._criteria(device)
        return Hooks(
            allow=self._allow(device),
            adjust=self._adjust(device),
            stop=(lambda history, rows: np.any([rule(history) for rule in criteria], axis=0)) if criteria else None,
            look=look,
            entropy=entropy,
        )

    def _allow(self, device: torch.device) -> Any:
        allowed = self.prefix_allowed_tokens_fn
        if allowed is None:
            return None

        def change(history: Ids, scores: Logits, utterances: Ids) -> None:
            for row, utterance in enumerate(utterances.tolist()):
                tokens = list(allowed(utterance, torch.from_numpy(history[row].copy()).to(device)))
                if not tokens:
                    raise ArgumentError(f"prefix_allowed_tokens_fn allows no token for utterance {utterance}")
                forbidden = np.ones(scores.shape[1], bool)
                forbidden[tokens] = False
                scores[row, forbidden] = -np.inf

        return change

    def _adjust(self, device: torch.device) -> Any:
        rules = _listed(self.logits_processor)
        if not rules:
            return None

        def change(history: Ids, scores: Logits, utterances: Ids) -> None:
            ids, processed = torch.from_numpy(history.copy()).to(device), torch.from_numpy(scores.copy()).to(device)
            for rule in rules:
                processed = rule(ids, processed)
            if not isinstance(processed, Tensor) or processed.shape != scores.shape:
                raise ArgumentError(
                    f"logits_processor: expected scores {list(scores.shape)} back, got {_shape(processed)}"
                )
            scores[...] = processed.float().cpu().numpy()

        return change

    def _criteria(self, device: torch.device) -> list[Callable[[Ids], Any]]:
        """Return functions of histories (rows, length) that say which rows end."""
        criteria: list[Callable[[Ids], Any]] = []
        for criterion in _listed(self.stopping_criteria):

            def ends(history: Ids, criterion: Any = criterion) -> Any:
                answer = criterion(torch.from_numpy(history.copy()).to(device), None)
                rows = torch.as_tensor(answer, dtype=torch.bool).cpu().numpy()
                if rows.ndim and rows.shape != (len(history),):
                    raise ArgumentError(f"stopping_criteria: expected {len(history)} answers, got {list(rows.shape)}")
                return np.broadcast_to(rows, len(history))

            criteria.append(ends)
        if self.max_time is not None:
            until = time.monotonic() + self.max_time
            criteria.append(lambda history: np.full(len(history), time.monotonic() > until))
        if self.stop_strings is not None:
            strings = [self.stop_strings] if isinstance(self.stop_strings, str) else list(self.stop_strings)
            criteria.append(lambda history: np.array([self._has_ended(row, strings) for row in history.tolist()]))
        return criteria

    def _has_ended(self, tokens: list[int], strings: list[str]) -> bool:
        """Whether the last token completes one of the strings."""
        text, before = self.tokenizer.decode(tokens), self.tokenizer.decode(tokens[:-1])
        return any(text.find(string, max(0, len(before) - len(string) + 1)) >= 0 for string in strings)


class Streamed:
    """Gives tokens to a streamer: a function of an utterance and its tokens, or an object with `put` and `end`."""

    def __init__(self, streamer: Any, prompt: Ids) -> None:
        """`prompt` (batch, length), which an object is given first, as the reference library does.

        Raises:
            ArgumentError: an object for more than one utterance, or neither of the two.
        """
        self.streamer, self.has_put = streamer, hasattr(streamer, "put")
        if self.has_put and len(prompt) > 1:
            raise ArgumentError(f"streamer: one with put and end takes one utterance at a time, got {len(prompt)}")
        if not self.has_put and streamer is not None and not callable(streamer):
            raise ArgumentError(f"streamer: expected a function, or an object with put and end, got {streamer!r}")
        if self.has_put:
            streamer.put(torch.from_numpy(prompt))

    @property
    def on_tokens(self) -> OnTokens | None:
        """What the decoding loop calls."""
        return self._put if self.has_put else self.streamer

    def end(self) -> None:
        """Say that no token follows."""
        if self.has_put:
            self.streamer.end()

    def _put(self, utterance: int, tokens: list[int]) -> None:
        self.streamer.put(torch.tensor(tokens))


def _listed(rules: Any) -> list[Any]:
    if rules is None:
        return []
    return list(rules) if isinstance(rules, (list, tuple)) else [rules]


def _shape(value: Any) -> Any:
    return list(value.shape) if isinstance(value, Tensor) else type(value).__name__
