"""The distribution that a token is chosen from, to look at; the loop itself never builds it whole."""

import numpy as np

from .decoder import Ids, Logits
from .filters import Filters
from .limits import lengths
from .options import GenerationOptions
from .scores import log_softmax
from .warpers import Warpers


def distribution(
    logits: Logits, history: Ids, options: GenerationOptions, prompt: int = 1, limit: int | None = None
) -> Logits:
    """Probabilities (rows, vocabulary) of the next token by `logits` (rows, vocabulary), after all that `options`
    change of them, for rows whose tokens so far are `history` (rows, length), the first `prompt` of them given.

    With `do_sample` it is what is drawn from; with several beams, before the score of the beam joins it. Raises
    ArgumentError as `generate` does. A row without any token left is 0.
    """
    vocabulary = logits.shape[-1]
    scores = log_softmax(logits) if options.num_beams > 1 else np.array(logits, np.float32)
    Filters(options, lengths(options, prompt, limit), vocabulary)(history, scores)
    warpers = Warpers(options)
    probabilities = np.zeros_like(scores)
    for target, row in zip(probabilities, scores, strict=True):
        if options.do_sample:
            candidates = warpers(row)
            if len(candidates.ids):
                target[candidates.ids] = np.exp(candidates.logprobs())
        elif row.max() > -np.inf:
            target[:] = np.exp(log_softmax(row[None])[0])
    return probabilities
