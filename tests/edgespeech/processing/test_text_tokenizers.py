"""Text to ids and ids to text against the reference, for each kind of vocabulary and layout of its files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import text_vocabularies
import torch
import transformers
from edgespeech_runtime.text import Detokenizer

from edgespeech.errors import CheckpointError, MissingFileError, ProcessingError
from edgespeech.processing import AutoTokenizer, PreTrainedTokenizerFast

BOOKS = Path(__file__).parents[4] / "shared" / "speech" / "text" / "books.txt.gz"
TEXTS = [*text_vocabularies.texts(100, seed=2), *text_vocabularies.SENTENCES]
NAMED = [f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")]
KINDS = ["bert added", "gpt2 added", "bart", "mbart", "mbart50", "byte fallback"]


def load(folder, name):
    path = text_vocabularies.write_checkpoint(folder, name)
    return AutoTokenizer.from_pretrained(path), transformers.AutoTokenizer.from_pretrained(path)


def test_tokens_and_their_ids(text_pair):
    mine, theirs = text_pair
    assert len(mine) == len(theirs)
    assert mine.vocab_size == theirs.vocab_size
    assert mine.get_vocab() == theirs.get_vocab()
    assert mine.get_added_vocab() == theirs.get_added_vocab()
    assert mine.special_tokens_map == theirs.special_tokens_map
    assert mine.all_special_tokens == theirs.all_special_tokens
    assert mine.all_special_ids == theirs.all_special_ids
    assert mine.model_max_length == theirs.model_max_length
    for name in NAMED:
        assert getattr(mine, name) == getattr(theirs, name)
        assert getattr(mine, f"{name}_id") == getattr(theirs, f"{name}_id")
    for token_id, token in mine.added_tokens_decoder.items():
        expected = theirs.added_tokens_decoder[token_id]
        assert all(getattr(expected, name) == value for name, value in token.to_dict().items())


def test_texts_become_the_same_ids(text_pair):
    mine, theirs = text_pair
    for options in ({}, {"add_special_tokens": False}):
        assert dict(mine(TEXTS, **options)) == dict(theirs(TEXTS, **options))
    for text in TEXTS[:40]:
        assert mine.encode(text) == theirs.encode(text)
        assert mine.tokenize(text) == theirs.tokenize(text)
        assert dict(mine(text, text_target=text)) == dict(theirs(text, text_target=text))
    assert mine(text_target=TEXTS)["input_ids"] == theirs(text_target=TEXTS)["input_ids"]


def test_ids_become_the_same_text_and_on_the_device_too(text_pair):
    mine, theirs = text_pair
    size = len(theirs) + 9  # models often have more ids than there are tokens
    device = Detokenizer.from_json(mine.detokenizer_facts(size).to_json())
    rows = text_vocabularies.random_ids(size, theirs.all_special_ids, 150, seed=5)
    for skip in (False, True):
        for clean in (None, False, True):
            options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
            expected = theirs.batch_decode(rows, **options)
            assert mine.batch_decode(rows, **options) == expected
            assert [device.decode(row, skip, clean) for row in rows] == expected


@pytest.mark.parametrize("name", KINDS)
def test_ten_thousand_sequences_of_each_kind(name, tmp_path):
    mine, theirs = load(tmp_path, name)
    size = len(theirs) + 9
    device = mine.detokenizer_facts(size)
    rows = text_vocabularies.random_ids(size, theirs.all_special_ids, 10_000, seed=6)
    for part, (skip, clean) in enumerate([(False, False), (True, False), (False, True), (True, True)]):
        chosen = rows[part::4] if part else rows
        options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
        expected = theirs.batch_decode(chosen, **options)
        assert mine.batch_decode(chosen, **options) == expected
        assert [device.decode(row, skip, clean) for row in chosen] == expected


@pytest.mark.skipif(not BOOKS.exists(), reason="needs ../shared/speech beside the checkout")
@pytest.mark.parametrize("name", KINDS)
def test_a_thousand_lines_of_books(name, tmp_path):
    mine, theirs = load(tmp_path, name)
    with gzip.open(BOOKS, "rt", encoding="utf-8") as file:
        lines = [line for _, line in zip(range(1000), file, strict=False)]
    ids = mine(lines)["input_ids"]
    assert ids == theirs(lines)["input_ids"]
    assert mine.batch_decode(ids, skip_special_tokens=True) == theirs.batch_decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": True},
        {"padding": "max_length", "max_length": 30},
        {"padding": True, "pad_to_multiple_of": 8},
        {"padding": True, "padding_side": "left", "return_tensors": "np"},
        {"truncation": True, "max_length": 7},
        {"truncation": True},
        {"max_length": 5},
        {"padding": "max_length", "truncation": "only_first", "max_length": 9, "return_tensors": "pt"},
        {"return_special_tokens_mask": True, "return_token_type_ids": True, "return_length": True},
        {"return_attention_mask": False, "add_special_tokens": False},
    ],
)
@pytest.mark.parametrize("name", ["bert added", "gpt2 added", "bart", "mbart", "mbart50"])
def test_padding_and_truncation(name, options, tmp_path):
    mine, theirs = load(tmp_path, name)
    for given in (["one two three four five six seven eight nine", "", "ein Ärger"], "Übergrößen führen"):
        found, expected = mine(given, **options), theirs(given, **options)
        assert set(found) == set(expected)
        for column in expected:
            assert type(found[column]) is type(expected[column])
            np.testing.assert_array_equal(np.asarray(found[column], object), np.asarray(expected[column], object))


def test_gpt2_has_no_token_to_pad_with(tmp_path):
    mine, _ = load(tmp_path, "gpt2")
    with pytest.raises(ProcessingError, match="pad_token"):
        mine(["a", "b c"], padding=True)
    mine.pad_token = mine.eos_token
    assert mine(["one", "one two"], padding=True)["input_ids"][0][-1] == mine.eos_token_id


def test_saved_files_are_read_alike_by_both(text_pair, tmp_path):
    mine, theirs = text_pair
    written = mine.save_pretrained(tmp_path / "mine")
    assert all(Path(path).is_file() for path in written)
    theirs.save_pretrained(tmp_path / "theirs")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    for auto in (AutoTokenizer, transformers.AutoTokenizer):
        loaded = auto.from_pretrained(tmp_path / "mine")
        assert loaded(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]
        assert loaded.get_vocab() == theirs.get_vocab()
        rows = text_vocabularies.random_ids(len(theirs), theirs.all_special_ids, 100)
        for skip in (False, True):
            assert loaded.batch_decode(rows, skip_special_tokens=skip) == theirs.batch_decode(
                rows, skip_special_tokens=skip
            )


@pytest.mark.parametrize("name", ["bert", "gpt2", "bart", "mbart50"])
def test_tokens_that_are_added_later(name, tmp_path):
    mine, theirs = load(tmp_path, name)
    for tokenizer in (mine, theirs):
        assert tokenizer.add_tokens(["<new>", "one"]) in (1, 2)
        assert tokenizer.add_special_tokens({"additional_special_tokens": ["<begin>"], "sep_token": "<sep>"}) == 2
    text = "one <new>  two<begin> three <sep>"
    assert mine(text)["input_ids"] == theirs(text)["input_ids"]
    assert mine.get_vocab() == theirs.get_vocab()
    assert mine.sep_token_id == theirs.sep_token_id
    ids = mine(text)["input_ids"]
    assert mine.decode(ids, skip_special_tokens=True) == theirs.decode(ids, skip_special_tokens=True)
    assert mine.detokenizer_facts().decode(ids) == theirs.decode(ids, skip_special_tokens=True)


def test_conversions(text_pair):
    mine, theirs = text_pair
    ids = list(range(0, len(theirs), 7))
    tokens = theirs.convert_ids_to_tokens(ids)
    assert mine.convert_ids_to_tokens(ids) == tokens
    assert mine.convert_ids_to_tokens(ids, skip_special_tokens=True) == theirs.convert_ids_to_tokens(
        ids, skip_special_tokens=True
    )
    tokens = [token for token in tokens if token is not None]
    assert mine.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
    assert mine.convert_tokens_to_ids("not a token at all") == theirs.convert_tokens_to_ids("not a token at all")
    assert mine.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)


@pytest.mark.parametrize("wrap", [list, tuple, np.array, torch.tensor], ids=lambda wrap: wrap.__name__)
def test_ids_may_come_in_any_holder(wrap, tmp_path):
    mine, theirs = load(tmp_path, "bert")
    row = theirs("one two three")["input_ids"]
    assert mine.decode(wrap(row)) == theirs.decode(row)
    assert mine.decode(wrap([row, row])) == theirs.batch_decode([row, row])
    assert mine.batch_decode(wrap([row, row])) == theirs.batch_decode([row, row])
    assert mine.decode(wrap(row[:0])) == ""
    assert mine.decode(int(row[1])) == theirs.decode(row[1])


@pytest.mark.parametrize("ids", [[-1], [1, -100], [1.5], ["a"], [2**40]])
def test_what_is_no_id_is_refused(ids, tmp_path):
    mine, _ = load(tmp_path, "bert")
    with pytest.raises(ProcessingError, match="expected token ids"):
        mine.decode(ids)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "bart", "mbart"])
@pytest.mark.parametrize("is_inner", [False, True], ids=["decoder alone", "encoder and decoder"])
def test_the_class_by_the_type_of_the_decoder(model_type, is_inner, tmp_path):
    name = {"gpt2": "gpt2", "bart": "bart", "mbart": "mbart", "bert": "bert"}[model_type]
    folder = text_vocabularies.write_checkpoint(tmp_path, name)
    expected = type(AutoTokenizer.from_pretrained(folder))
    config = {"model_type": model_type}
    if is_inner:
        config = {"model_type": "speech-encoder-decoder", "encoder": {"model_type": "wav2vec2"}, "decoder": config}
    text_vocabularies.write_json(folder / "config.json", config)
    text_vocabularies.write_json(folder / "tokenizer_config.json", {})
    assert type(AutoTokenizer.from_pretrained(folder)) is expected


def test_a_class_that_is_unknown_here_is_read_from_tokenizer_json(tmp_path):
    folder = text_vocabularies.write_checkpoint(tmp_path, "byte fallback")
    text_vocabularies.write_json(
        folder / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", **text_vocabularies.PLAIN}
    )
    found = AutoTokenizer.from_pretrained(folder)
    assert type(found) is PreTrainedTokenizerFast
    expected = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert found(TEXTS)["input_ids"] == expected(TEXTS)["input_ids"]


@pytest.mark.parametrize("name", ["bert added", "gpt2 prefix", "bart", "bart prefix", "mbart50 bytes"])
@pytest.mark.parametrize("options", [{}, {"add_prefix_space": True, "do_lower_case": False}])
def test_a_tokenizer_json_of_the_first_versions(name, options, tmp_path):
    folder = text_vocabularies.write_checkpoint(tmp_path, name)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "new")
    content = json.loads((tmp_path / "new" / "tokenizer.json").read_text(encoding="utf-8"))
    model = content["model"]
    del model["type"]
    if "merges" in model:
        model["merges"] = [" ".join(pair) for pair in model["merges"]]
    text_vocabularies.write_json(tmp_path / "new" / "tokenizer.json", content)
    mine = AutoTokenizer.from_pretrained(tmp_path / "new", **options)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "new", **options)
    assert mine(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]
    assert mine.get_vocab() == theirs.get_vocab()


def test_older_layouts_of_special_and_added_tokens(tmp_path):
    folder = text_vocabularies.write_checkpoint(tmp_path, "bert cased")
    size = len(transformers.AutoTokenizer.from_pretrained(folder))
    text_vocabularies.write_json(folder / "added_tokens.json", {"<add>": size, "Added Token": size + 1})
    mask = text_vocabularies.flags("[MASK]", lstrip=True, normalized=True)
    older = {"mask_token": mask, "additional_special_tokens": ["<ent>"], "pad_token": "[PAD]"}
    text_vocabularies.write_json(folder / "special_tokens_map.json", older)
    mine, theirs = AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)
    assert mine.get_vocab() == theirs.get_vocab()
    assert mine(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]


@pytest.mark.parametrize(
    ("name", "missing"), [("bert", "vocab.txt"), ("gpt2", "merges.txt"), ("words", "tokenizer.json")]
)
def test_a_missing_file_is_named(name, missing, tmp_path):
    folder = text_vocabularies.write_checkpoint(tmp_path, name)
    (folder / missing).unlink()
    with pytest.raises(MissingFileError, match=missing.replace(".", r"\.")):
        AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("words", "tokenizer.json", "{}"),
        ("words", "tokenizer.json", "no JSON"),
        ("gpt2", "vocab.json", "{"),
        ("mbart", "sentencepiece.bpe.model", "no model"),
        (
            "bert",
            "tokenizer_config.json",
            json.dumps({"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {"x": 1}}),
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(name, file, content, tmp_path):
    folder = text_vocabularies.write_checkpoint(tmp_path, name)
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        AutoTokenizer.from_pretrained(folder)
    assert "\n" not in str(caught.value)
