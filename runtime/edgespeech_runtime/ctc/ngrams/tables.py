"""N-grams as arrays: what a reader of a text file gives, what models are built from and files are written from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNKNOWN, BEGIN, END = b"<unk>", b"<s>", b"</s>"
UNKNOWN_MISSING = -100.0  # log10 probability of unknown words where a file has no <unk>, as in KenLM


@dataclass(frozen=True)
class Ngrams:
    """The n-grams of one order n: word ids `[count, n]`, log10 probabilities and back-off weights `[count]`.

    The highest order has no back-off weights (None).
    """

    ids: npt.NDArray[np.uint32]
    probabilities: npt.NDArray[np.float32]
    backoffs: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Tables:
    """All of a model: its words as UTF-8 (index = id) and its n-grams, of order 1 first."""

    words: list[bytes]
    orders: list[Ngrams]

    def spell(self, ids: npt.NDArray[np.integer]) -> str:
        """An n-gram as text, for messages."""
        return " ".join(self.words[i].decode(errors="replace") for i in ids.tolist())
