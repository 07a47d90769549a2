"""Drawing utterances that represent their set: many speakers, all lengths, the same ones for the same seed."""

import hashlib
from collections.abc import Sequence

import numpy as np

from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.utterance import Utterance


def sample(utterances: Sequence[Utterance], count: int, seed: int = 0) -> list[Utterance]:
    """Draw `count` utterances, or all where there are no more, and return them in their order in `utterances`.

    The lengths aimed at are `count` evenly spaced quantiles of the set's; for each, in an order that the seed decides,
    the utterance nearest in length is taken among the speakers that have the fewest so far. Utterances without a
    speaker count as one speaker's. The draw depends on ids, speakers, lengths and the seed, and on nothing else: no
    order of files, no platform, no version of a random number generator.

    Raises:
        DataError: `count` is below 1.
    """
    if count < 1:
        raise DataError(f"cannot draw {count} utterances; draw at least 1")
    if count >= len(utterances):
        return list(utterances)
    order = sorted(range(len(utterances)), key=lambda i: _shuffled(seed, utterances[i].id))
    seconds = np.array([utterances[i].seconds or 0.0 for i in order])
    names = {name: index for index, name in enumerate(dict.fromkeys(utterances[i].speaker for i in order))}
    speakers = np.array([names[utterances[i].speaker] for i in order])
    targets = np.quantile(seconds, (np.arange(count) + 0.5) / count)
    targets = targets[sorted(range(count), key=lambda i: _shuffled(seed, f"length {i}"))]

    is_free = np.ones(len(order), bool)
    taken = np.zeros(len(names), int)
    for target in targets:
        least = taken[speakers[is_free]].min()
        is_eligible = is_free & (taken[speakers] == least)
        chosen = int(np.argmin(np.where(is_eligible, np.abs(seconds - target), np.inf)))
        is_free[chosen] = False
        taken[speakers[chosen]] += 1
    return [utterances[i] for i in sorted(order[position] for position in np.flatnonzero(~is_free))]


def _shuffled(seed: int, name: str) -> bytes:
    """A key that sorts names in an order which looks random."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
