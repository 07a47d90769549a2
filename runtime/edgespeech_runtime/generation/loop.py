"""The decoding loop: a decoder's logits in, hypotheses out. It knows no model, engine or cache."""

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError, EngineError
from .beams import BeamSearch
from .decoder import Decoder, Ids, Logits
from .filters import Filters
from .hooks import NONE, Hooks
from .limits import check_vocabulary, lengths
from .options import GenerationOptions
from .results import Hypothesis
from .rows import RowSearch
from .search import OnTokens, Rules, Search
from .warpers import Draw, Warpers, draw


def generate(
    decoder: Decoder,
    prompt: npt.ArrayLike,
    options: GenerationOptions | None = None,
    *,
    limit: int | None = None,
    on_tokens: OnTokens | None = None,
    draw: Draw = draw,
    hooks: Hooks = NONE,
) -> list[list[Hypothesis]]:
    """Continue `prompt` (batch, length) with what `decoder` says: `num_return_sequences` hypotheses per utterance.

    All utterances advance together, and none depends on another. `limit` is the decoder's number of positions (None:
    unlimited). `on_tokens(utterance, tokens)` is called as soon as tokens of an utterance's first hypothesis are
    certain: at once with one beam; with several, when all beams that may win agree on them. The tokens of all calls,
    joined, are the tokens of the hypothesis. `draw` replaces the source of chance in sampling; `hooks`
    add rules to the options.

    Raises ArgumentError for options that do not fit the prompt, `limit` or the vocabulary, EngineError for logits of
    a wrong shape or NaN.
    """
    options = options or GenerationOptions()
    prompt = _checked(prompt)
    allowed = lengths(options, prompt.shape[1], limit)
    logits = np.asarray(decoder.start(prompt), np.float32)
    batch, vocabulary = len(prompt), logits.shape[-1]
    _check_shape(logits, (batch, vocabulary))
    check_vocabulary(options, vocabulary)
    if prompt.max() >= vocabulary:
        raise ArgumentError(f"prompt: there is no token {prompt.max()}: the decoder's vocabulary has {vocabulary}")
    filters = Filters(options, allowed, vocabulary, hooks)
    rules = Rules(options, allowed, filters, Warpers(options), draw, hooks)
    search: Search = (BeamSearch if options.num_beams > 1 else RowSearch)(prompt, rules, on_tokens)
    rows = logits[:, None]
    while (step := search.advance(rows)) is not None:
        rows = np.asarray(decoder.extend(*step), np.float32)
        _check_shape(rows, (*step[0].shape, vocabulary))
    return search.results()


def _checked(prompt: npt.ArrayLike) -> Ids:
    tokens = np.asarray(prompt)
    if tokens.ndim != 2 or not tokens.size or not np.issubdtype(tokens.dtype, np.integer) or tokens.min() < 0:
        raise ArgumentError(f"prompt: expected token ids (batch, length), got {tokens.dtype} {list(tokens.shape)}")
    return np.asarray(tokens, np.int64)


def _check_shape(logits: Logits, expected: tuple[int, ...]) -> None:
    if logits.shape != expected:
        raise EngineError(f"expected logits {list(expected)} of the decoder, got {list(logits.shape)}")
