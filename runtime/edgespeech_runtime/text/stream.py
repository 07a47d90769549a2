"""Text as tokens become certain: what was returned once stays, and all parts together are the text of all tokens."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import ArgumentError
from .clean_up import CLEAN_UP
from .text_stages import TEXT_STAGES, TextReplace

if TYPE_CHECKING:
    from .detokenizer import Detokenizer
    from .stages import Stage


class TextStream:
    """Takes token ids in order and returns the text that no further token can change.

    Held back are bytes of a character that is not complete, a space that clean-up may still take out, and what else a
    vocabulary's rules decide later; `flush` returns that and begins anew.

    Args as in `Detokenizer.decode`.
    """

    def __init__(
        self, detokenizer: "Detokenizer", skip_special_tokens: bool = True, clean_up: bool | None = None
    ) -> None:
        self._detokenizer = detokenizer
        self._skipped = detokenizer.special_ids if skip_special_tokens else frozenset()
        self._clean_up = detokenizer.does_clean_up(clean_up)
        self._start()

    def _start(self) -> None:
        self._stages = [step.stage() for step in self._detokenizer.steps]
        if self._clean_up:
            self._stages += [TextReplace(spaced, tight) for spaced, tight in CLEAN_UP]

    def push(self, tokens: Iterable[int] | int) -> str:
        """Take one id or several; return the text that has become certain, which may be none.

        Raises ArgumentError for a negative id. Ids without a token are skipped, or stand for the unknown token if the
        vocabulary has it so.
        """
        ids = tokens if isinstance(tokens, Iterable) else (tokens,)
        pieces = [token for token_id in ids if (token := self._token(int(token_id))) is not None]
        for stage in self._stages:
            pieces = _fed(stage, pieces)
        return "".join(pieces)

    def flush(self) -> str:
        """Return the text that was held back, as no token follows; the next token begins a new text."""
        pieces: list[str] = []
        for stage in self._stages:
            pieces = [*_fed(stage, pieces), *stage.end()]
        self._start()
        return "".join(pieces)

    def _token(self, token_id: int) -> str | None:
        if token_id < 0:
            raise ArgumentError(f"expected token ids of at least 0, got {token_id}")
        tokens, unknown = self._detokenizer.tokens, self._detokenizer.unknown
        if (token_id >= len(tokens) or tokens[token_id] is None) and unknown is not None:
            token_id = unknown
        return None if token_id in self._skipped or token_id >= len(tokens) else tokens[token_id]


def _fed(stage: "Stage", pieces: list[str]) -> list[str]:
    """Feed a stage; to those that work on running text the borders between pieces mean nothing."""
    if isinstance(stage, TEXT_STAGES):
        pieces = ["".join(pieces)]
    return [out for piece in pieces for out in stage.feed(piece)]
