import logging
import random
import string

import numpy as np
import pytest
import torch
import transformers

from edgespeech.errors import ProcessingError
from edgespeech.processing import AddedToken, BatchFeature

TEXTS = [
    "HELLO WORLD",
    "hello world",
    "CHANGE CH A CHAB",
    " leading and trailing  ",
    "A|B | C",
    "<pad>A <s> B</s><unk>",
    "caf\u00e9 eau \u65e5\u672c",
    "it isn't .",
    "",
    " ",
    "a\tb\nc",
    "[UNK] [PAD]x",
]


def plain(batch):
    """Turn a batch into lists, whatever holds its rows."""
    return {name: np.asarray(value).tolist() if hasattr(value, "dtype") else value for name, value in batch.items()}


def assert_same(found, expected):
    assert list(found.keys()) == list(expected.keys())
    for name in expected:
        assert type(found[name]) is type(expected[name]), name
        assert getattr(found[name], "dtype", None) == getattr(expected[name], "dtype", None)
    assert plain(found) == plain(expected)


@pytest.mark.parametrize("text", TEXTS)
def test_text_to_tokens_and_ids(make, kind, text):
    mine, theirs = make(kind)
    assert mine.tokenize(text) == theirs.tokenize(text)
    expected = theirs.convert_tokens_to_ids(theirs.tokenize(text))
    if (
        None in expected
    ):  # the reference knows no id for unknown characters where `unk_token` was added to the vocabulary
        assert mine.encode(text) == [mine.unk_token_id if token_id is None else token_id for token_id in expected]
    else:
        assert_same(mine(text), theirs(text))
        assert mine.encode(text) == theirs.encode(text)


def test_random_texts(make, kind):
    mine, theirs = make(kind)
    rng = random.Random(1)
    pieces = [*string.ascii_letters, " ", " ", "  ", *theirs.get_vocab(), *SPECIAL_PIECES]
    for _ in range(200):
        text = "".join(rng.choices(pieces, k=rng.randint(1, 25)))
        assert mine.tokenize(text) == theirs.tokenize(text), text


SPECIAL_PIECES = ["<", ">", "<p", "ad>", "CHA", "n't", "\n", "."]


@pytest.mark.parametrize("split", [False, True])
def test_split_special_tokens(make, split):
    mine, theirs = make("several", split_special_tokens=split)
    for text in TEXTS:
        assert mine.tokenize(text) == theirs.tokenize(text)


BATCH = ["HELLO", "A B C D E F G H", "X"]


@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": True},
        {"padding": "longest", "pad_to_multiple_of": 8},
        {"padding": "max_length", "max_length": 20},
        {"padding": "max_length", "max_length": 10, "truncation": True},
        {"padding": True, "truncation": True, "max_length": 4},
        {"padding": True, "padding_side": "left"},
        {"padding": True, "return_attention_mask": False},
        {"padding": True, "return_token_type_ids": True, "return_special_tokens_mask": True},
        {"padding": True, "truncation": "longest_first", "max_length": 4, "add_special_tokens": False},
        {"padding": True, "truncation": "only_first", "max_length": 4},
        {"padding": True, "truncation": "do_not_truncate", "verbose": False},
        {"padding": "max_length", "truncation": False, "max_length": 30},
        {"padding": transformers.utils.PaddingStrategy.LONGEST},
    ],
)
@pytest.mark.parametrize("kind", ["plain", "other settings"])
def test_batches(make, kind, options, tensors):
    mine, theirs = make(kind)
    assert_same(mine(BATCH, **options, return_tensors=tensors), theirs(BATCH, **options, return_tensors=tensors))


@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_length": 3},
        {"max_length": 3, "truncation": False},
        {"truncation": True},
        {"truncation": "only_second", "max_length": 2},
        {"padding": True},
        {"padding": "max_length"},
        {"padding": "max_length", "max_length": 12},
        {"padding": True, "pad_to_multiple_of": 4},
        {"return_length": True},
        {"return_special_tokens_mask": True},
    ],
)
@pytest.mark.parametrize("kind", ["plain", "other settings"])
def test_one_text(make, kind, options, tensors):
    mine, theirs = make(kind)
    for text in ("HELLO WORLD", "ABC"):
        if tensors and options.get("return_length"):
            continue  # the reference gives the length another shape for each way of asking
        assert_same(mine(text, **options, return_tensors=tensors), theirs(text, **options, return_tensors=tensors))


def test_rows_of_different_lengths(make):
    mine, theirs = make()
    assert_same(mine(BATCH), theirs(BATCH))
    assert dict(mine(BATCH, return_length=True)) == dict(theirs(BATCH, return_length=True))
    found, expected = (t(BATCH, return_tensors="np")["input_ids"] for t in (mine, theirs))
    assert [row.tolist() for row in found] == [row.tolist() for row in expected]
    with pytest.raises(ProcessingError, match="padding=True"):
        mine(BATCH, return_tensors="pt")


def test_targets(make):
    mine, theirs = make()
    assert_same(mine(text_target="HELLO"), theirs(text_target="HELLO"))
    options = {"padding": True, "return_tensors": "pt"}
    assert_same(mine(BATCH, text_target=BATCH, **options), theirs(BATCH, text_target=BATCH, **options))


COLUMNS = {
    "dict": {"input_ids": [[5, 6, 7], [8]]},
    "list of dicts": [{"input_ids": [5, 6, 7]}, {"input_ids": [8]}],
    "list of batches": [BatchFeature({"input_ids": [5, 6, 7]}), BatchFeature({"input_ids": [8]})],
    "one": {"input_ids": [5, 6, 7]},
    "with a mask": [
        {"input_ids": [5, 6], "attention_mask": [1, 0], "token_type_ids": [0, 1], "special_tokens_mask": [0, 1]},
        {"input_ids": [8], "attention_mask": [1], "token_type_ids": [1], "special_tokens_mask": [0]},
    ],
    "arrays": {"input_ids": [np.array([5, 6, 7]), np.array([8])]},
    "tensors": {"input_ids": [torch.tensor([5, 6, 7]), torch.tensor([8])]},
    "empty row": {"input_ids": [[], [5]]},
}


class TestPad:
    @pytest.mark.parametrize("tensors", [None, "np", "pt"])
    @pytest.mark.parametrize("options", [{}, {"padding": "max_length", "max_length": 6}, {"pad_to_multiple_of": 4}])
    @pytest.mark.parametrize("columns", COLUMNS)
    @pytest.mark.parametrize("kind", ["plain", "other settings"])
    def test_equals_the_reference(self, make, kind, columns, options, tensors):
        mine, theirs = make(kind)
        given = COLUMNS[columns]
        copy = [dict(entry) for entry in given] if isinstance(given, list) else dict(given)
        expected = theirs.pad(copy, **options, return_tensors=tensors)
        found = mine.pad(given, **options, return_tensors=tensors)
        assert set(found) == set(expected)
        assert_same({name: found[name] for name in expected}, expected)

    def test_does_not_change_its_input(self, make):
        given = {"input_ids": [[5, 6, 7], [8]]}
        make()[0].pad(given)
        assert given == {"input_ids": [[5, 6, 7], [8]]}

    def test_no_padding_and_no_mask(self, make):
        mine, theirs = make()
        options = {"padding": False, "return_attention_mask": False}
        assert_same(mine.pad(COLUMNS["dict"], **options), theirs.pad(dict(COLUMNS["dict"]), **options))

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"labels": [[1]]}, "'input_ids'"),
            ({"input_ids": [[1], [2]], "x": [[1]]}, "one size"),
            ({"input_ids": 5}, "'input_ids', got int"),
            ("text", "mapping"),
        ],
    )
    def test_bad_columns_are_named(self, make, columns, message):
        with pytest.raises(ProcessingError, match=message):
            make()[0].pad(columns)

    def test_without_a_pad_token(self, make):
        mine, _ = make()
        mine.pad_token = None
        with pytest.raises(ProcessingError, match="pad_token"):
            mine(BATCH, padding=True)


def test_vocabulary(make, kind):
    mine, theirs = make(kind)
    assert mine.get_vocab() == theirs.get_vocab()
    assert mine.get_added_vocab() == theirs.get_added_vocab()
    assert mine.vocab_size == theirs.vocab_size
    assert len(mine) == len(theirs)
    assert mine.all_special_tokens == theirs.all_special_tokens
    assert mine.all_special_ids == theirs.all_special_ids
    assert mine.special_tokens_map == theirs.special_tokens_map
    assert mine.extra_special_tokens == theirs.extra_special_tokens
    assert mine.added_tokens_decoder.keys() == theirs.added_tokens_decoder.keys()
    for token_id, token in theirs.added_tokens_decoder.items():
        assert mine.added_tokens_decoder[token_id] == AddedToken.of(token)
    for name in ("bos", "eos", "unk", "pad", "sep", "cls", "mask", "word_delimiter"):
        assert getattr(mine, f"{name}_token") == getattr(theirs, f"{name}_token")
        assert getattr(mine, f"{name}_token_id") == getattr(theirs, f"{name}_token_id")
    for name in (
        "padding_side",
        "truncation_side",
        "model_input_names",
        "clean_up_tokenization_spaces",
        "do_lower_case",
    ):
        assert getattr(mine, name) == getattr(theirs, name)


def test_tokens_and_ids(make, kind):
    mine, theirs = make(kind)
    tokens = list(theirs.get_vocab())
    assert mine.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
    assert mine.convert_tokens_to_ids(tokens[-1]) == theirs.convert_tokens_to_ids(tokens[-1])
    ids = [*range(-1, 50), 1000]
    assert mine.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
    assert mine.convert_ids_to_tokens(ids, skip_special_tokens=True) == theirs.convert_ids_to_tokens(ids, True)
    assert [mine.convert_ids_to_tokens(i) for i in ids] == [theirs.convert_ids_to_tokens(i) for i in ids]


def test_setting_special_tokens(make):
    mine, theirs = make()
    for tokenizer in (mine, theirs):
        tokenizer.pad_token = "A"
        tokenizer.bos_token_id = 7
        tokenizer.eos_token = None
    assert (mine.pad_token_id, mine.bos_token, mine.eos_token_id) == (theirs.pad_token_id, theirs.bos_token, None)
    assert mine.all_special_tokens == theirs.all_special_tokens
    mine.word_delimiter_token = "E"
    assert mine.tokenize("A B") == ["A", "E", "B"]


def test_adding_tokens(make, kind):
    mine, theirs = make(kind)
    for add in (
        lambda t: t.add_tokens("<x>"),
        lambda t: t.add_tokens(["<x>", "foo", "", "a"]),
        lambda t: t.add_tokens(["<y>"], special_tokens=True),
        lambda t: t.add_special_tokens({"mask_token": "<m>", "extra_special_tokens": ["<1>", "<2>"]}),
        lambda t: t.add_special_tokens({"additional_special_tokens": ["<3>"]}),
    ):
        assert add(mine) == add(theirs)
        assert mine.get_vocab() == theirs.get_vocab()
        assert mine.all_special_tokens == theirs.all_special_tokens
    text = "a<x> foo b<m><3>foofoo <2> <y>"
    assert mine.tokenize(text) == theirs.tokenize(text)
    ids = mine.encode(text)
    assert mine.decode(ids, group_tokens=False) == theirs.decode(ids, group_tokens=False)


@pytest.mark.parametrize(
    "flags", [{}, {"single_word": True}, {"lstrip": True}, {"rstrip": True}, {"lstrip": True, "rstrip": True}]
)
@pytest.mark.parametrize("lower", [False, True])
def test_how_added_tokens_match(make, flags, lower):
    mine, theirs = make("several", do_lower_case=lower)
    mine.add_tokens([AddedToken("FOO", **flags), AddedToken("FOOD", **flags, normalized=False)])
    theirs.add_tokens(
        [transformers.AddedToken("FOO", **flags), transformers.AddedToken("FOOD", **flags, normalized=False)]
    )
    for text in ("FOO", "A FOO B", "AFOOB", " FOOD FOO", "FOOFOOD  A", "A  FOO", "FOO CHA FOOCH", "A foo B food"):
        assert mine.tokenize(text) == theirs.tokenize(text), text


def test_the_references_added_tokens_are_taken(make):
    mine, _ = make()
    assert mine.add_tokens(transformers.AddedToken("<x>", lstrip=True)) == 1
    assert mine.added_tokens_decoder[len(mine) - 1] == AddedToken("<x>", lstrip=True)


@pytest.mark.parametrize("token", [5, {"lstrip": True}, None])
def test_what_is_no_token_is_named(make, token):
    with pytest.raises(ProcessingError, match="expected a token"):
        make()[0].add_tokens([token])


def test_unknown_names_of_special_tokens(make):
    with pytest.raises(ProcessingError, match=r"pad_token.*'start_token'"):
        make()[0].add_special_tokens({"start_token": "<s>"})


def test_unknown_characters_get_the_id_of_an_added_unk_token(make):
    mine, _ = make("no special tokens")
    assert mine.encode("aZb") == [0, mine.unk_token_id, 1]
    assert mine.convert_tokens_to_ids("Z") == mine.unk_token_id == mine.get_vocab()["<unk>"]


def test_without_an_unk_token_unknown_characters_are_an_error(make):
    mine, _ = make(unk_token=None)
    assert mine.convert_tokens_to_ids("\u00e9") is None
    assert mine.unk_token_id is None
    with pytest.raises(ProcessingError, match="'\u00e9' is not in the vocabulary"):
        mine("A\u00e9")
    with pytest.raises(ProcessingError, match="no token has the id 99"):
        mine.decode([99])


def test_without_a_delimiter_spaces_are_characters(make):
    mine, _ = make("several", word_delimiter_token=None)
    assert mine.tokenize("A B") == ["A", " ", "B"]
    assert mine.word_delimiter_token is mine.word_delimiter_token_id is None
    assert mine.vocabulary_facts().word_delimiter is None


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None,), {}, "text or text_target"),
        (([],), {}, "a text or a list of texts"),
        ((5,), {}, "a text or a list of texts, got '5'"),
        ((["A", 5],), {}, "a text or a list of texts"),
        (("A",), {"padding": "both"}, "padding.*'both'"),
        (("A",), {"truncation": "left"}, "truncation.*'left'"),
        (("A",), {"return_tensors": "jax"}, "return_tensors.*'jax'"),
        ((["A", "BB"],), {"padding": True, "padding_side": "up"}, "padding_side.*'up'"),
    ],
)
def test_bad_input_is_named(make, arguments, options, message):
    with pytest.raises(ProcessingError, match=message):
        make()[0](*arguments, **options)


def test_bad_settings_are_named(make, caplog):
    caplog.set_level(logging.ERROR)
    mine, _ = make()
    with pytest.raises(ProcessingError, match="padding_side"):
        type(mine)(mine._where, padding_side="up")
