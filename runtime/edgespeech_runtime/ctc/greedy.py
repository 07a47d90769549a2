"""CTC decoding on logits: the greedy path, its tokens with their frames, words and confidences.

It knows ids and frames only; texts and seconds are `transcript`'s business. There is no beam search and no language
model here.

The rule (Graves et al. 2006, "Connectionist Temporal Classification"): take one token per frame, merge repeats, drop
blanks.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Span(NamedTuple):
    """One emitted token and the frames `start_frame <= frame < end_frame` that emit it."""

    token_id: int
    start_frame: int
    end_frame: int


class GreedyPath(NamedTuple):
    """The most probable tokens of an utterance.

    Attributes:
        ids, probability: the token of each frame and its probability, `[frames]` each.
        spans: the tokens that were said.
        words: the same, parted at the delimiter.
        confidences: of each word, see `confidence`.
    """

    ids: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float32]
    spans: list[Span]
    words: list[list[Span]]
    confidences: list[float]


def decode(logits: npt.NDArray[np.floating], blank: int, special: Collection[int], delimiter: int | None) -> GreedyPath:
    """Decode `[frames, vocabulary]` by the most probable token of each frame; `special` are left out of the text."""
    ids = greedy(logits)
    return path(ids, emitted_probability(logits, ids), blank, special, delimiter)


def path(
    ids: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float32],
    blank: int,
    special: Collection[int],
    delimiter: int | None,
) -> GreedyPath:
    """The same of tokens and probabilities by frame, `[frames]` each, as they come piece by piece."""
    spans = collapse(ids, blank, skip=special)
    words = split_words(spans, delimiter)
    return GreedyPath(ids, probability, spans, words, [confidence(probability, ids, word) for word in words])


def greedy(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The most probable token of each frame: `[frames, vocabulary] -> [frames]`; of equals, the lowest id."""
    return np.asarray(np.argmax(logits, axis=-1), np.int64)


def collapse(
    ids: npt.NDArray[np.integer] | Sequence[int], blank: int, group: bool = True, skip: Collection[int] = ()
) -> list[Span]:
    """Turn one token per frame, `ids [frames]`, into the tokens that were said.

    Repeats merge (unless `group` is False) and blanks are dropped. Frames of the tokens in `skip` are taken out
    *before* repeats merge, as transformers does for `skip_special_tokens`, so a span may run across them; the blank
    is never skipped so.
    """
    ids = np.asarray(ids, np.int64)
    frames = np.flatnonzero((ids == blank) | ~np.isin(ids, list(skip)))
    kept = ids[frames]
    is_first = np.ones(len(kept), bool)
    if group:
        is_first[1:] = kept[1:] != kept[:-1]
    first = np.flatnonzero(is_first)
    last = np.append(first, len(kept))[1:] - 1
    is_token = kept[first] != blank
    first, last = first[is_token], last[is_token]
    return [
        Span(*span)
        for span in zip(kept[first].tolist(), frames[first].tolist(), (frames[last] + 1).tolist(), strict=True)
    ]


def emitted_probability(
    logits: npt.NDArray[np.floating], ids: npt.NDArray[np.integer] | Sequence[int]
) -> npt.NDArray[np.float32]:
    """Softmax probability of the token that each frame emits: `[frames, vocabulary]`, `[frames] -> [frames]`."""
    logits = np.asarray(logits, np.float32)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, np.asarray(ids, np.int64)[:, None], axis=-1)[:, 0]
    return np.asarray(np.exp(chosen) / np.exp(shifted).sum(axis=-1), np.float32)


def confidence(
    probability: npt.NDArray[np.floating], ids: npt.NDArray[np.integer] | Sequence[int], spans: Sequence[Span]
) -> float:
    """Mean of `probability [frames]` over the frames in which the spans' own tokens are emitted; 0.0 for no spans."""
    ids = np.asarray(ids, np.int64)
    frames = [s.start_frame + np.flatnonzero(ids[s.start_frame : s.end_frame] == s.token_id) for s in spans]
    return float(np.mean(probability[np.concatenate(frames)], dtype=np.float64)) if frames else 0.0


def split_words(spans: Sequence[Span], delimiter: int | None) -> list[list[Span]]:
    """Group spans into words at the token `delimiter`, which belongs to none of them; no word is empty.

    A vocabulary without a delimiter (syllables, phones, Chinese characters) has nothing larger than its tokens: each
    is a word.
    """
    if delimiter is None:
        return [[span] for span in spans]
    words: list[list[Span]] = [[]]
    for span in spans:
        if span.token_id == delimiter:
            words.append([])
        else:
            words[-1].append(span)
    return [word for word in words if word]
