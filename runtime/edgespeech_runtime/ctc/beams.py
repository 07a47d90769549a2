"""The beams of a search as arrays, and the value that a search is continued from."""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

# Rows of `Beams.numbers`. Of the text: hashes of the finished words, of the last few of them, and of the word that is
# being written; index of the language model's context, and of that behind the word (-1: not known yet); what that word
# begins like, and the state of the hotwords; its length. Then: last token, blanks included; the path: index of its last
# finished token, and the token being emitted (-1: none), its first frame, the frame behind its last, and whether it
# begins a word.
TEXT, TAIL, PART, CONTEXT, NEXT, PREFIX, HOT, LENGTH, LAST, PATH, TOKEN, FIRST, END, BEGINS = range(14)
# Rows of `Beams.scores`. Of the text: language model, finished hotwords; what language model and hotwords add to the
# logits, with that of the word that is being written, and the same without hotwords. Then: probability of the token
# being emitted, summed; logits; logits in a search without hotwords, -inf where that has dropped the beam.
MODEL, HOTWORDS, JUDGED, UNBOOSTED, EMITTED, LOGITS, PLAIN = range(7)
OF_TEXT, SCORES_OF_TEXT = 8, 4  # how many of these rows are the same for all beams with one text
NO_TOKEN, OPEN = -1, -1


class Beams(NamedTuple):
    """Beams in the order of their scores: `numbers [14, beams]` and `scores [7, beams]`."""

    numbers: Ints
    scores: Floats

    @property
    def width(self) -> int:
        """How many there are."""
        return self.numbers.shape[1]

    def taken(self, which: Ints) -> "Beams":
        """Some of them, in this order, as copies."""
        return Beams(self.numbers.take(which, axis=1), self.scores.take(which, axis=1))


class Context(NamedTuple):
    """What the language model knows of finished words: its state, their score, and hashes of the last few."""

    state: Any
    score: float
    tail: tuple[int, ...]


class Path(NamedTuple):
    """Emitted tokens in order: `numbers [4, tokens]` (token, first frame, end frame, begins a word) and their summed
    probabilities."""

    numbers: Ints
    emitted: Floats


@dataclass(frozen=True)
class BeamState:
    """What a search knows after some frames: a value, which `advance` takes and leaves as it is. It can be pickled.

    `certain` are the tokens of words that all beams agree on; they never change any more. `steps` is the rest as a
    tree, each with the index of the one before it (-1: the last of `certain`). `hot` are the
    states of the hotwords. `asks_for_word`: see `FrameStep`.
    """

    frames: int
    beams: Beams
    contexts: tuple[Context, ...]
    hot: tuple[Any, ...]
    certain: Path
    steps: Path
    before: Ints
    asks_for_word: bool = False
