import random
from itertools import product

import numpy as np
import pytest
import torch

from edgespeech.errors import ProcessingError
from edgespeech.processing import Wav2Vec2CTCTokenizerOutput
from edgespeech.processing.tokenizers.offsets import Delimiter, char_offsets, word_offsets

SWITCHES = ("skip_special_tokens", "group_tokens", "spaces_between_special_tokens", "clean_up_tokenization_spaces")


def sequences(tokenizer, count=40, seed=0):
    """Random sequences of ids with runs, blanks, delimiters and ids that no token has."""
    rng = random.Random(seed)
    known = sorted(set(tokenizer.get_vocab().values()))
    frequent = [tokenizer.pad_token_id, tokenizer.word_delimiter_token_id]
    result = []
    for _ in range(count):
        ids = []
        while len(ids) < rng.randint(1, 60):
            token = rng.choice(frequent if rng.random() < 0.4 else known if rng.random() < 0.95 else [500, 777])
            ids += [token] * rng.choice([1, 1, 1, 2, 3])
        result.append(ids)
    return result


def plain(offsets):
    """The reference has numpy numbers in its offsets."""
    return offsets and [{name: v if isinstance(v, str) else int(v) for name, v in entry.items()} for entry in offsets]


@pytest.mark.parametrize("switches", list(product([False, True], repeat=len(SWITCHES))))
def test_text_and_offsets_of_random_ids(make, kind, switches):
    mine, theirs = make(kind)
    options = dict(zip(SWITCHES, switches, strict=True))
    for ids in sequences(theirs):
        assert mine.decode(ids, **options) == theirs.decode(ids, **options)
        found = mine.decode(ids, output_char_offsets=True, output_word_offsets=True, **options)
        expected = theirs.decode(ids, output_char_offsets=True, output_word_offsets=True, **options)
        assert found.text == expected.text
        if found.char_offsets:
            assert found.char_offsets == plain(expected.char_offsets)
            assert found.word_offsets == plain(expected.word_offsets)


@pytest.mark.parametrize(("characters", "words"), [(True, False), (False, True), (True, True)])
def test_only_the_offsets_that_are_asked_for(make, characters, words):
    mine, theirs = make()
    options = {"output_char_offsets": characters, "output_word_offsets": words}
    found, expected = (tokenizer.decode([5, 5, 0, 6, 4, 7], **options) for tokenizer in (mine, theirs))
    assert found.text == expected.text == "AB C"
    assert found.char_offsets == plain(expected.char_offsets)
    assert found.word_offsets == plain(expected.word_offsets)
    assert list(found.keys()) == list(expected.keys())
    assert found["text"] == found.text
    assert {**found}.keys() == {**expected}.keys()
    for name in {"char_offsets", "word_offsets"} - set(found.keys()):
        with pytest.raises(KeyError):
            found[name]


def test_a_worked_example(make):
    mine, _ = make()
    ids = mine.convert_tokens_to_ids([*"||HHE", "<pad>", *"LL", "<pad>", *"LO||HI|"])
    found = mine.decode(ids, output_char_offsets=True, output_word_offsets=True)
    assert found.text == "HELLO HI"
    assert found.word_offsets == [
        {"word": "HELLO", "start_offset": 2, "end_offset": 11},
        {"word": "HI", "start_offset": 13, "end_offset": 15},
    ]
    assert found.char_offsets[1] == {"char": "H", "start_offset": 2, "end_offset": 4}
    assert "".join(offset["char"] for offset in found.char_offsets) == " HELLO HI "


def test_labels_come_back(make):
    mine, theirs = make()
    ids = mine.encode("HELLO WELL")
    assert mine.decode(ids, group_tokens=False) == theirs.decode(ids, group_tokens=False) == "HELLO WELL"
    assert mine.decode(ids) == theirs.decode(ids) == "HELO WEL"


IDS = [5, 5, 0, 6, 4, 7]


@pytest.mark.parametrize(
    "ids", [IDS, tuple(IDS), np.array(IDS), np.array(IDS, np.int32), torch.tensor(IDS), [np.int64(i) for i in IDS]]
)
def test_whatever_holds_the_ids(make, ids):
    mine, theirs = make()
    assert mine.decode(ids) == theirs.decode(IDS)


@pytest.mark.parametrize("ids", [5, np.int64(5), torch.tensor(5)])
def test_one_id(make, ids):
    mine, theirs = make()
    assert mine.decode(ids) == theirs.decode(5) == "A"


def test_no_ids(make):
    mine, theirs = make()
    assert mine.decode([]) == theirs.decode([]) == ""
    found = mine.decode([], output_char_offsets=True, output_word_offsets=True)
    assert (found.text, found.char_offsets, found.word_offsets) == ("", [], [])
    assert mine.decode([0, 0], output_word_offsets=True).word_offsets == []


@pytest.mark.parametrize("ids", [np.array([IDS, IDS]), torch.tensor([IDS, IDS]), [IDS, IDS[:2]], [np.array(IDS), IDS]])
def test_batches(make, ids):
    mine, theirs = make()
    assert mine.batch_decode(ids) == theirs.batch_decode(ids)
    options = {"output_char_offsets": True, "output_word_offsets": True, "group_tokens": False}
    found, expected = (tokenizer.batch_decode(ids, **options) for tokenizer in (mine, theirs))
    assert isinstance(found, Wav2Vec2CTCTokenizerOutput)
    assert found.text == expected.text
    assert found.char_offsets == [plain(offsets) for offsets in expected.char_offsets]
    assert found.word_offsets == [plain(offsets) for offsets in expected.word_offsets]
    assert mine.batch_decode(ids, True, False) == theirs.batch_decode(ids, True, False)
    words = mine.batch_decode(ids, output_word_offsets=True)
    assert words.char_offsets is None
    assert len(words.word_offsets) == 2


def test_a_batch_of_single_ids_and_an_empty_one(make):
    mine, theirs = make()
    assert mine.batch_decode([5, 6]) == theirs.batch_decode([5, 6]) == ["A", "B"]
    assert mine.batch_decode([]) == []
    assert mine.batch_decode([], output_word_offsets=True).word_offsets == []


@pytest.mark.parametrize("ids", [[[5, 6]], np.zeros((2, 3), int), np.array([0.5]), ["A"]])
def test_what_is_no_sequence_of_ids_is_named(make, ids):
    with pytest.raises(ProcessingError, match="batch_decode"):
        make()[0].decode(ids)


@pytest.mark.parametrize("group", [True, False])
def test_tokens_to_string(make, kind, group):
    mine, theirs = make(kind)
    for ids in sequences(theirs, 5):
        tokens = theirs.convert_ids_to_tokens(ids)
        found = mine.convert_tokens_to_string(tokens, group_tokens=group, output_char_offsets=True)
        expected = theirs.convert_tokens_to_string(tokens, group_tokens=group, output_char_offsets=True)
        assert found == {**expected, "char_offsets": plain(expected["char_offsets"])}


@pytest.mark.parametrize(
    "text", ["a , b . c ? d !", "do n't", "i 'm", "it 's", "we 've they 're", "a ' b", "x .. y", "isn't. ' 's 'm n't"]
)
def test_clean_up(make, text):
    mine, theirs = make()
    assert mine.clean_up_tokenization(text) == theirs.clean_up_tokenization(text)


def test_without_a_blank_nothing_is_dropped():
    found = char_offsets(["a", "a", "b"], None, Delimiter(None, " "))
    assert [(entry["char"], entry["start_offset"], entry["end_offset"]) for entry in found] == [
        ("a", 0, 2),
        ("b", 2, 3),
    ]
    assert word_offsets(found, " ") == [{"word": "ab", "start_offset": 0, "end_offset": 3}]


class TestVocabularyFacts:
    def test_plain(self, make):
        mine, _ = make()
        facts = mine.vocabulary_facts()
        assert facts.tokens == tuple(mine.convert_ids_to_tokens(range(len(mine))))
        assert (facts.blank, facts.word_delimiter, facts.replace_word_delimiter) == (0, "|", " ")
        assert facts.special == (0, 1, 2, 3)
        assert facts.lower_case is False

    def test_settings(self, make):
        assert make("lower case")[0].vocabulary_facts().lower_case is True
        facts = make("delimiter")[0].vocabulary_facts()
        assert (facts.word_delimiter, facts.replace_word_delimiter) == ("E", "_")
        renamed = make("renamed")[0].vocabulary_facts()
        assert renamed.tokens[renamed.blank] == "[PAD]"

    def test_ids_without_a_token_are_empty(self, make):
        facts = make()[0].vocabulary_facts(40)
        assert len(facts.tokens) == 40
        assert facts.tokens[32:] == ("",) * 8
        holes = make("holes")[0].vocabulary_facts(13)
        assert holes.tokens[9] == "B"
        assert holes.tokens[1] == ""

    def test_tokens_that_the_model_lacks_are_left_out(self, make):
        mine, _ = make("renamed")  # "<s>" and "</s>" are added beyond the vocabulary
        assert len(mine) == mine.vocab_size + 2
        facts = mine.vocabulary_facts(mine.vocab_size)
        assert facts.tokens == tuple(mine.encoder)
        assert facts.special == (0, 1)

    def test_a_delimiter_beyond_the_model_is_none(self, make):
        mine, _ = make(word_delimiter_token="<delimiter>")
        assert mine.vocabulary_facts().word_delimiter == "<delimiter>"
        assert mine.vocabulary_facts(32).word_delimiter is None

    @pytest.mark.parametrize("size", [0, 10])
    def test_there_must_be_a_blank(self, make, size):
        mine, _ = make("no special tokens")
        with pytest.raises(ProcessingError, match="'<pad>', the blank"):
            mine.vocabulary_facts(size)

    def test_text_by_these_facts_equals_the_tokenizers(self, make, kind):
        mine, _ = make(kind)
        facts = mine.vocabulary_facts()
        tokens = {token_id: token for token_id, token in enumerate(facts.tokens) if token}
        assert tokens == {i: mine.convert_ids_to_tokens(i) for i in mine.get_vocab().values()}
        assert facts.blank == mine.pad_token_id
        without = {token_id for token_id, token in enumerate(facts.tokens) if not token}
        assert set(facts.special) - without == set(mine.all_special_ids) - {mine.word_delimiter_token_id}
        assert without <= set(facts.special)
