"""What a caller adds to a search: rules beyond the options, a look at the scores, and where chance begins."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .decoder import Ids, Logits

Change = Callable[[Ids, Logits, Ids], None]
Stop = Callable[[Ids, Ids], npt.NDArray[np.bool_]]
Look = Callable[[Logits, Ids], None]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Each function is given rows of hypotheses and `utterances` (rows,), the index of the utterance that each is of.

    With one beam these are the rows of all utterances, finished ones too; with several those of one utterance, and a
    single row before the first token. `history` (rows, length) begins with the prompt.

    `allow(history, scores, utterances)` and `adjust(...)` change `scores` (rows, vocabulary) in place, as filters do:
    the first before tokens are forced, the second after all other filters. `stop(history, utterances)` says (rows,)
    which sequences end with their last token. `look(scores, utterances)` sees what tokens are chosen from. `entropy` is
    what sampling without a seed begins with; None takes it from the system.
    """

    allow: Change | None = None
    adjust: Change | None = None
    stop: Stop | None = None
    look: Look | None = None
    entropy: int | None = None

    def stopped(self, history: Ids, utterances: Ids) -> npt.NDArray[np.bool_]:
        """Which rows (rows,) end; none without a rule."""
        if self.stop is None:
            return np.zeros(len(history), bool)
        return np.asarray(self.stop(history, utterances), bool)


NONE = Hooks()
