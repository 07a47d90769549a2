"""Generating token ids with a text decoder: greedy, beams and sampling, over a step function."""

from .decoder import Decoder, Ids, Logits
from .distribution import distribution
from .hooks import Hooks
from .limits import check_vocabulary, ended, lengths
from .loop import generate
from .options import GenerationOptions
from .results import Hypothesis, sequences
from .search import OnTokens

__all__ = ["Decoder", "GenerationOptions", "Hooks", "Hypothesis", "Ids", "Logits", "OnTokens"]
__all__ += ["check_vocabulary", "distribution", "ended", "generate", "lengths", "sequences"]
