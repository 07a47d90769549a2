"""When each word of a given text is said, in frames: forced alignment by CTC.

Every token of the text is put where the whole is most probable. Where that leaves words without any sound of theirs, or
speech between words unexplained, the piece is aligned again by a search that may leave out words and pass over speech.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...bundle.manifest import Vocabulary
from ...errors import ArgumentError
from .fitting import Frames, can_be_loose, fits, leave_out_unsaid, loosely, probabilities, token_frames
from .layout import Layout, lay_out
from .spelling import Spelled, spell_out
from .splitting import Part, needed, split
from .trellis import Ids, Piece, Scores
from .viterbi import best_paths, emitted

NOWHERE = -1


class Timed(NamedTuple):
    """A word of the text and its tokens' frames, `start_frame <= frame < end_frame`, `[tokens]`; -1 for a word that the
    audio does not have. `probability` `[tokens]` is the mean in a token's frames.
    """

    word: Spelled
    start_frames: Ids
    end_frames: Ids
    probability: npt.NDArray[np.float64]


class Alignment(NamedTuple):
    """The words of a text in order, and the most probable token of each frame without it, `[frames]`."""

    words: list[Timed]
    best: Ids


def forced_align(log_probabilities: Scores, targets: npt.ArrayLike, blank: int = 0) -> Ids:
    """The most probable CTC path that emits `targets` `[tokens]`: a token id for each frame, `[frames]`.

    `log_probabilities` are `[frames, vocabulary]`, in float32 or float64. The path is that of torchaudio's function of
    this name. Raises ArgumentError for targets that are empty or longer than the frames allow.
    """
    scores = _scores(log_probabilities)
    tokens = np.asarray(targets, np.int64)
    if tokens.ndim != 1 or not len(tokens):
        raise ArgumentError(f"targets: expected [tokens], at least one, got {list(tokens.shape)}")
    size = scores.shape[1]
    if not 0 <= blank < size:
        raise ArgumentError(f"blank: expected an id below {size}, got {blank}")
    if tokens.min() < 0 or tokens.max() >= size or (tokens == blank).any():
        raise ArgumentError(f"targets: expected ids below {size} that are not the blank, {blank}")
    _require_room(len(scores), tokens)
    (path,) = best_paths(scores, [Piece(0, len(scores), tokens)], blank)
    return emitted(path, tokens, blank)


def align(logits: Scores, text: str, vocabulary: Vocabulary) -> Alignment:
    """The words of a text with their frames.

    `logits` are `[frames, vocabulary]`. Raises ArgumentError for a text without words, without a letter of the
    vocabulary, or too long for the frames.
    """
    words = spell_out(text, vocabulary)
    layout = lay_out(words, None if vocabulary.separator else vocabulary.delimiter_id)
    _require_room(len(logits), layout.tokens)
    emissions = log_softmax(_scores(logits))
    frames = _token_frames(emissions, layout, vocabulary.blank)
    return Alignment(_timed(words, layout, frames, emissions), np.asarray(emissions.argmax(axis=1), np.int64))


def log_softmax(logits: Scores) -> npt.NDArray[np.float32]:
    """Log-probabilities of logits along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float32)


def _scores(values: npt.ArrayLike) -> Scores:
    array = np.asarray(values)
    if array.ndim != 2 or not array.size:
        raise ArgumentError(f"expected an array [frames, vocabulary], got the shape {list(array.shape)}")
    array = array if array.dtype == np.float64 else array.astype(np.float32, copy=False)
    return np.ascontiguousarray(array)


def _require_room(frames: int, tokens: Ids) -> None:
    least = needed(tokens)
    if frames < least:
        raise ArgumentError(
            f"text: its {len(tokens)} tokens need at least {least} frames, the audio has {frames}: the text is longer "
            "than the audio allows"
        )


def _token_frames(emissions: Scores, layout: Layout, blank: int) -> Frames:
    """The frames of every token of the layout; -1 for those of words that the audio does not have."""
    first, last = np.full(len(layout.tokens), NOWHERE), np.full(len(layout.tokens), NOWHERE)
    parts = split(emissions, layout, blank)
    has_room = [frames.stop - frames.start >= needed(layout.tokens[tokens]) for frames, tokens in parts]
    pieces = [layout.piece(*part) for part, is_wide in zip(parts, has_room, strict=True) if is_wide]
    paths = iter(best_paths(emissions, pieces, blank))
    loose: list[Part] = []
    for part, is_wide in zip(parts, has_room, strict=True):
        path = next(paths) if is_wide else None
        if path is None or (can_be_loose(part) and not fits(emissions, layout, part, path, blank)):
            loose.append(part)
        else:
            _note((first, last), part, token_frames(path, part[1].stop - part[1].start))
    if loose:
        for part, fitted in zip(loose, loosely(emissions, layout, loose, blank), strict=True):
            _note((first, last), part, fitted)
    leave_out_unsaid(emissions, layout, (first, last), blank)
    return first, last


def _note(whole: Frames, part: Part, fitted: Frames) -> None:
    """Write the frames of a part's tokens, which are counted from its beginning, where they belong."""
    for all_tokens, here in zip(whole, fitted, strict=True):
        all_tokens[part[1]] = np.where(here < 0, NOWHERE, here + part[0].start)


def _timed(words: list[Spelled], layout: Layout, frames: Frames, emissions: Scores) -> list[Timed]:
    probability = probabilities(emissions, layout.tokens, frames)
    where = {number: slice(*ends) for number, *ends in zip(layout.words, layout.starts, layout.ends, strict=True)}
    nothing = slice(0, 0)
    timed = []
    for number, word in enumerate(words):
        at = where.get(number, nothing)
        timed.append(Timed(word, frames[0][at], frames[1][at], probability[at]))
    return timed
