"""What a CTC bundle writes is what the processor writes, whatever the options of its vocabulary."""

import random
from itertools import product

import pytest
from edgespeech_runtime.ctc.greedy import collapse
from edgespeech_runtime.tasks.ctc_text import spell

OPTIONS = {
    "clean_up_tokenization_spaces": (True, False),
    "do_lower_case": (False, True),
    "replace_word_delimiter_char": (" ", "", "_", " ' "),
    "word_delimiter_token": ("|", "E", None),
}
CHOICES = [dict(zip(OPTIONS, values, strict=True)) for values in product(*OPTIONS.values())]


def sequences(ids, blank, delimiter, seed):
    rng = random.Random(seed)
    for _ in range(12):
        frames = []
        while len(frames) < rng.randint(1, 60):
            token = rng.choice([blank, delimiter, rng.choice(ids), rng.choice(ids)])
            frames += [token] * rng.choice([1, 1, 2, 3])
        yield frames


@pytest.mark.parametrize("options", CHOICES, ids=lambda options: ",".join(map(repr, options.values())))
@pytest.mark.parametrize("vocabulary", ["several", "plain", "extra special"])
def test_options_of_a_vocabulary(make, vocabulary, options):
    if options["word_delimiter_token"] is None:
        mine, _ = make(vocabulary, **options)
        theirs = mine  # transformers decodes such a vocabulary too, but cannot build it from settings
    else:
        mine, theirs = make(vocabulary, **options)
    facts = mine.vocabulary_facts()
    special = {i for t in theirs.all_special_tokens if (i := theirs.convert_tokens_to_ids(t)) is not None}
    special -= {theirs.pad_token_id, theirs.convert_tokens_to_ids(theirs.word_delimiter_token or "<pad>")}
    delimiter = facts.delimiter_id if facts.delimiter_id is not None else facts.blank
    for frames in sequences(range(len(facts.tokens)), facts.blank, delimiter, seed=len(str(options))):
        expected = theirs.decode([token for token in frames if token not in special])
        assert spell(collapse(frames, facts.blank, skip=facts.special), facts) == expected


def test_ids_without_a_token_write_nothing(make):
    """The unknown token stands for them in the processor, and a bundle leaves special tokens out."""
    mine, theirs = make("holes")
    facts = mine.vocabulary_facts(size=16)
    for frames in sequences(range(16), facts.blank, facts.delimiter_id, seed=3):
        expected = theirs.decode(
            [token for token in frames if theirs.convert_ids_to_tokens(token) not in ("<s>", "</s>", "<unk>")]
        )
        assert spell(collapse(frames, facts.blank, skip=facts.special), facts) == expected


def test_clean_up_by_hand(make):
    mine, _ = make("several", clean_up_tokenization_spaces=True)
    facts = mine.vocabulary_facts()
    ids = mine.convert_tokens_to_ids(["A", "|", ".", "<pad>", "|", "B"])
    assert spell(collapse(ids, facts.blank, skip=facts.special), facts) == "A. B"
