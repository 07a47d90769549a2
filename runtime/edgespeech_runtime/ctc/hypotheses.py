"""What a beam search finds: texts with their scores, and the frames of their words and tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .alphabet import TokenTable
from .beams import Path
from .greedy import Span


@dataclass(frozen=True)
class WordSpan:
    """A word, its frames `start_frame <= frame < end_frame`, the tokens that spell it, and its confidence.

    The confidence, in [0, 1], is the mean probability of its tokens over the frames that emit them. `confidences` are
    those of the tokens.
    """

    text: str
    start_frame: int
    end_frame: int
    confidence: float
    tokens: tuple[Span, ...]
    confidences: tuple[float, ...]


@dataclass(frozen=True)
class Hypothesis:
    """One text. `logit_score` is the log probability that the model gives it within the search; `score` ranks it.

    `score` has the language model and the hotwords added (pyctcdecode calls it `lm_score`). `model_state` is that of
    the language model behind the last word, None without one.
    """

    text: str
    words: tuple[WordSpan, ...]
    logit_score: float
    score: float
    model_state: Any = None


def word_spans(path: Path, table: TokenTable) -> tuple[WordSpan, ...]:
    """The words of a path; tokens that write nothing belong to none."""
    spans = []
    for start, stop in _words(path):
        tokens, first, end, _ = path.numbers[:, start:stop].tolist()
        text = "".join(table.texts[token] for token in tokens)
        emitted, frames = path.emitted[start:stop], np.subtract(end, first)
        spans.append(
            WordSpan(
                text,
                first[0],
                end[-1],
                float(emitted.sum() / frames.sum()),
                tuple(Span(*span) for span in zip(tokens, first, end, strict=True)),
                tuple((emitted / frames).tolist()),
            )
        )
    return tuple(spans)


def _words(path: Path) -> Iterator[tuple[int, int]]:
    begins = np.flatnonzero(path.numbers[3])
    stops = np.append(begins, path.numbers.shape[1])[1:]
    return zip(begins.tolist(), stops.tolist(), strict=True)
