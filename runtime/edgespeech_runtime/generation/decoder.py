"""What the decoding loop asks of a text decoder: logits for hypotheses that it names by token and parent.

Caches, engines and models are the decoder's own business; the loop knows none of them.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class Decoder(Protocol):
    """A step function with a memory of the hypotheses it has seen."""

    def start(self, prompt: Ids) -> Logits:
        """`prompt` (batch, length) -> (batch, vocabulary): the logits after the last prompt token."""
        ...

    def extend(self, tokens: Ids, parents: Ids) -> Logits:
        """`tokens`, `parents` (batch, beams) -> (batch, beams, vocabulary).

        Row (b, k) is the hypothesis that ends in `tokens[b, k]` and extends row `parents[b, k]` of the call before.
        After `start` there is only row 0. The number of beams may change from call to call. Rows of utterances that
        are finished come along with tokens of no meaning; their logits are not read.
        """
        ...
