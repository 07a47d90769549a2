"""What a model answers to an utterance, and the numbers that the answer follows from, whatever its task."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Decision = Literal["largest", "sign", "none"]


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Prediction:
    """An answer with its logits.

    Attributes:
        answer: a text, a label, or which labels are true in each frame, bool `[frames, labels]`; None of an embedding
            or of features, which are no answer by themselves.
        logits: float32 `[frames, vocabulary]`, `[labels]`, `[frames, labels]`, `[dimensions]` or `[frames, dimensions]`
            of all layers side by side; of an encoder-decoder `[tokens, vocabulary]`, those after each of `tokens`. None
            where they were not asked for and cost extra.
        output: what the manifest calls them: "logits", "embeddings" or "last_hidden_state".
        decision: how the answer follows from them: the "largest" along the last axis counts, or the "sign" of each;
            "none" where they are quantities, of which none decides alone.
        tokens: int64 `[tokens]`, the tokens that an encoder-decoder was given for `logits`; None of other models.
    """

    answer: str | npt.NDArray[np.bool_] | None
    logits: npt.NDArray[np.float32] | None
    output: str
    decision: Decision
    tokens: npt.NDArray[np.int64] | None = None

    @property
    def plain(self) -> Any:
        """The answer as JSON holds it; of an embedding, its numbers."""
        answer = self.logits if self.answer is None else self.answer
        return answer.tolist() if isinstance(answer, np.ndarray) else answer
