"""From a tokenizer to the table that a device has, against what the tokenizer itself makes of ids."""

import random

import pytest
import text_vocabularies
import tokenizers
from edgespeech_runtime.text import Detokenizer
from tokenizers import decoders

from edgespeech.errors import ProcessingError
from edgespeech.processing.tokenizers.detokenizer_steps import detokenizer_steps

SPACE = "▁"
STRIP = decoders.Strip(" ", 1, 0)
KNOWN = {
    "wordpiece": decoders.WordPiece(prefix="##"),
    "wordpiece without clean-up": decoders.WordPiece(prefix="@", cleanup=False),
    "byte level": decoders.ByteLevel(),
    "metaspace": decoders.Metaspace(),
    "metaspace first": decoders.Metaspace(prepend_scheme="first"),
    "metaspace never": decoders.Metaspace(replacement="_", prepend_scheme="never"),
    "suffix": decoders.BPEDecoder("</w>"),
    "replace": decoders.Replace("a", "bb"),
    "strip": decoders.Strip("a", 2, 1),
    "fuse": decoders.Fuse(),
    "byte fallback": decoders.ByteFallback(),
    "sequence": decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), STRIP]),
    "after fusing": decoders.Sequence([decoders.Fuse(), decoders.Replace("a b", "c"), decoders.Strip("c", 0, 1)]),
    "after bytes": decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)]),
}
TOKENS = ["aaaa", "aaa", "a b", f"{SPACE}a", SPACE, "_", "_a", "##b", "@c", "a</w>", "</w>", ".", "n't", "do not", "'s"]
TOKENS += ["<0xC3>", "<0xBC>", "<0x4>", "<0x+4>", "Ã", "¼", "Ġ", "日", "cccc", "aaab", " x"]


@pytest.mark.parametrize("name", KNOWN)
def test_steps_do_what_the_librarys_decoder_does(name):
    device = Detokenizer(tuple(TOKENS), detokenizer_steps(KNOWN[name]))
    rng = random.Random(name)
    for _ in range(2000):
        ids = [rng.randrange(len(TOKENS)) for _ in range(rng.randint(1, 8))]
        expected = KNOWN[name].decode([TOKENS[token_id] for token_id in ids])
        assert device.decode(ids) == expected


def test_without_a_decoder_spaces_separate_tokens():
    assert Detokenizer(("a", "b"), detokenizer_steps(None)).decode([0, 1, 0]) == "a b a"


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (decoders.CTC(), "'CTC'"),
        (decoders.Replace(tokenizers.Regex("a+"), "b"), "only with plain text"),
        (decoders.Sequence([decoders.Fuse(), decoders.WordPiece()]), "'WordPiece' of tokenizer.json on joined tokens"),
    ],
)
def test_what_the_runtime_cannot_do_is_refused(decoder, message):
    with pytest.raises(ProcessingError) as caught:
        detokenizer_steps(decoder)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["plain", "lower case", "several", "renamed", "holes", "delimiter", "clean up"])
def test_a_ctc_vocabulary_as_that_of_a_decoder_merges_no_repeats(make, kind):
    mine, theirs = make(kind)
    size = max(theirs.get_vocab().values()) + 3
    device = Detokenizer.from_json(mine.detokenizer_facts(size).to_json())
    for ids in text_vocabularies.random_ids(size, theirs.all_special_ids, 500):
        for skip in (False, True):
            for clean in (None, False, True):
                expected = theirs.decode(
                    ids, group_tokens=False, skip_special_tokens=skip, clean_up_tokenization_spaces=clean
                )
                assert device.decode(ids, skip, clean) == expected


def test_the_table_is_as_long_as_the_model_says(make):
    mine, _ = make("plain")
    assert len(mine.detokenizer_facts(5).tokens) == 5
    assert mine.detokenizer_facts(2).unknown is None  # its token is beyond
    assert len(mine.detokenizer_facts(100).tokens) == 100
