"""All n-grams of a KenLM binary file, where the file lists them: its tries do, its hash tables do not.

KenLM's tries hold n-grams from their last word to the left. Where the ARPA file lacked the end of an n-gram, KenLM has
put it in with the probability that backing off gives, so more n-grams may come out than went in, with the same scores.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.ctc.ngrams.kenlm.file import open_kenlm
from edgespeech_runtime.ctc.ngrams.kenlm.packed import PackedTrie
from edgespeech_runtime.ctc.ngrams.tables import Ngrams, Tables

from edgespeech.errors import InputError

Ids = npt.NDArray[np.uint32]
Values = npt.NDArray[np.float32]


def kenlm_tables(path: Path) -> Tables:
    """All n-grams of a trie.

    Raises InputError for hash tables, and where the file lacks the text of its words; LanguageModelError for a damaged
    one.
    """
    search, words, header = open_kenlm(path)
    trie = search.table
    if not isinstance(trie, PackedTrie):
        raise InputError(
            f"{path} is a KenLM file of type {header.kind}: it holds hashes of n-grams, not their words, so they can "
            "be scored but not listed; use it as it is, or convert the ARPA file it was built from"
        )
    if words is None:
        raise InputError(
            f"{path} does not hold the text of its words (build_binary -v leaves it out); convert the ARPA file it was "
            "built from"
        )
    spelled = [b""] * trie.vocabulary.bound
    for word in words:
        spelled[trie.vocabulary.find(word) or 0] = word
    entries = trie.unigrams()
    orders = [Ngrams(np.arange(len(spelled), dtype=np.uint32)[:, None], entries.probabilities, entries.backoffs)]
    for order in range(2, len(header.counts) + 1):
        is_last = order == len(header.counts)
        level = trie.entries(order)
        parents = np.repeat(np.arange(len(entries.probabilities)), np.diff(entries.bounds))
        ids = np.concatenate([level.words[:, None], orders[-1].ids[parents]], axis=1)
        orders.append(Ngrams(ids, level.probabilities, None if is_last else level.backoffs))
        entries = level
    return Tables(spelled, orders)
