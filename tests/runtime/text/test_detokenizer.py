"""Ids to text on the device: worked examples, the file of a bundle, and what is refused.

That the text is the reference's is held by tests/edgespeech/processing, on trained vocabularies.
"""

import json

import numpy as np
import pytest
from edgespeech_runtime.errors import ArgumentError, BundleError
from edgespeech_runtime.text import Detokenizer, Step

WORDPIECE = Detokenizer(
    tokens=("[PAD]", "[CLS]", "[SEP]", "ü", "##ber", "don", "'", "t", ".", "do not", None, "n't"),
    steps=(Step("wordpiece"),),
    special=(0, 1, 2),
)
BYTES = Detokenizer(
    tokens=("<s>", "ĠgrÃ", "¼n", "Ãł", "ł", "日", "Ċ", " .", "!"),
    steps=(Step("byte_level"),),
    special=(0,),
    clean_up=None,
)
PIECES = Detokenizer(
    tokens=("<s>", "▁Hallo", "▁", "Welt", "▁▁x", "de_DE", "en_XX"),
    steps=(Step("metaspace"),),
    special=(0, 5, 6),
    languages={"de_DE": 5, "en_XX": 6},
)
FALLBACK = Detokenizer(
    tokens=("<unk>", "▁a", "<0xC3>", "<0xBC>", "b"),
    steps=(
        Step("replace", {"pattern": "▁", "content": " "}),
        Step("byte_fallback"),
        Step("text_strip", {"content": " ", "start": 1, "stop": 0}),
    ),
)
CONTINUED = Detokenizer(
    tokens=("<s>", "ha@@", "llo", "welt", "<ent>", ".", "<unk>"),
    steps=(Step("continued", {"marker": "@@ ", "whole": ("<ent>",)}),),
    special=(0, 6),
    unknown=6,
    clean_up=True,
)
SUFFIX = Detokenizer(tokens=("ha", "llo</w>", "du</w>"), steps=(Step("suffix"),))
SPACES = Detokenizer(tokens=("one", "two", "."), steps=(Step("spaces"),))
CHARACTERS = Detokenizer(
    tokens=("<pad>", "|", "A", "Σ", "<unk>"),
    steps=(Step("characters", {"blank": "<pad>", "delimiter": "|", "replacement": " "}), Step("trim"), Step("lower")),
    special=(0, 4),
    unknown=4,
)
ALL = {
    "wordpiece": WORDPIECE,
    "bytes": BYTES,
    "pieces": PIECES,
    "fallback": FALLBACK,
    "continued": CONTINUED,
    "suffix": SUFFIX,
    "spaces": SPACES,
    "characters": CHARACTERS,
}


@pytest.mark.parametrize(
    ("detokenizer", "ids", "text"),
    [
        (WORDPIECE, [1, 3, 4, 5, 8, 2], "über don."),
        (WORDPIECE, [4, 3], "##ber ü"),  # nothing goes on at the start
        (WORDPIECE, [5, 10, 99, 5], "don don"),  # ids without a token
        (WORDPIECE, [3, 9, 11], "ü don'tn't"),  # the decoder's own clean-up is part of it
        (WORDPIECE, [], ""),
        (BYTES, [0, 1, 2, 8], " grün!"),
        (BYTES, [1, 5], " gr\ufffd日"),  # half a character, and a token that is no bytes
        (BYTES, [3, 4, 6], "à\ufffd\n"),
        (PIECES, [5, 1, 2, 3, 0], "Hallo Welt"),
        (PIECES, [4, 4], "x  x"),
        (FALLBACK, [1, 2, 3, 4], "aüb"),
        (FALLBACK, [2, 3, 3, 1], "\ufffd\ufffd\ufffd a"),
        (CONTINUED, [0, 1, 2, 3, 5], "hallo welt."),
        (CONTINUED, [1, 4, 2, 9, 3], "ha@@ <ent> llo welt"),
        (SUFFIX, [0, 1, 2], "hallo du"),
        (SPACES, [0, 2, 1], "one . two"),
        (CHARACTERS, [1, 2, 0, 2, 3, 1, 3, 4, 9, 1], "aaς σ"),
    ],
)
def test_worked_examples(detokenizer, ids, text):
    assert detokenizer.decode(ids) == text
    assert detokenizer.decode(np.array(ids, np.int64)) == text


def test_special_tokens_stay_if_asked():
    assert WORDPIECE.decode([1, 3, 2], skip_special_tokens=False) == "[CLS] ü [SEP]"
    assert PIECES.decode([5, 1], skip_special_tokens=False) == "de_DE Hallo"
    assert CONTINUED.decode([0, 3, 99], skip_special_tokens=False) == "<s> welt <unk>"


def test_clean_up_is_the_vocabularys_unless_a_call_says_otherwise():
    assert SPACES.decode([0, 2]) == "one ."
    assert SPACES.decode([0, 2], clean_up=True) == "one."
    assert CONTINUED.decode([3, 5], clean_up=False) == "welt ."
    assert BYTES.decode([8, 7], clean_up=True) == "! ."  # None: never


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_is_read_again(name):
    detokenizer = ALL[name]
    text = detokenizer.to_json()
    assert Detokenizer.from_json(text) == detokenizer
    assert Detokenizer.from_json(text.encode()) == detokenizer
    assert "\n" not in text[:-1]


def test_a_negative_id_is_refused():
    with pytest.raises(ArgumentError, match="at least 0, got -100"):
        WORDPIECE.decode([3, -100])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, this runtime reads up to 1: upgrade"),
        ({"format": True}, "format: expected 1, got True"),
        ({"format": None}, "format: expected 1, got None"),
        ({"tokens": ...}, "the field tokens is missing"),
        ({"tokens": {}}, "tokens: expected a list, got dict"),
        ({"tokens": ["a", 1]}, "tokens: expected texts or nulls, got '1'"),
        ({"special": [99]}, "special: expected ids below 12, got 99"),
        ({"special": [-1]}, "special: expected ids below 12, got -1"),
        ({"special": [True]}, "special: expected ids, got 'True'"),
        ({"unknown": 12}, "unknown: expected ids below 12, got 12"),
        ({"unknown": "x"}, "unknown: expected an id or null, got 'x'"),
        ({"clean_up": 1}, "clean_up: expected true, false or null, got 1"),
        ({"languages": []}, "languages: expected an object, got list"),
        ({"languages": {"de": "x"}}, "languages: expected ids"),
        ({"languages": {"de": 12}}, "languages: expected ids below 12"),
        ({"steps": ["x"]}, "steps: expected objects, got 'x'"),
        ({"steps": [{}]}, "steps: expected the kind of each step"),
        ({"steps": [{"kind": "morse"}]}, "step 'morse': expected one of wordpiece, "),
        ({"steps": [{"kind": "wordpiece", "suffix": "x"}]}, "step 'wordpiece' has no option 'suffix'"),
        ({"steps": [{"kind": "wordpiece", "prefix": 1}]}, "step 'wordpiece': prefix: expected str, got '1'"),
        ({"steps": [{"kind": "wordpiece", "clean_up": "no"}]}, "step 'wordpiece': clean_up: expected bool, got 'no'"),
        ({"steps": [{"kind": "replace", "pattern": "x"}]}, "step 'replace' lacks its option 'content'"),
        ({"steps": [{"kind": "replace", "pattern": "", "content": "x"}]}, "step 'replace': pattern: expected a text"),
        ({"steps": [{"kind": "continued", "whole": [1]}]}, "step 'continued': whole: expected"),
        ({"steps": [{"kind": "characters", "blank": 1, "delimiter": None}]}, "step 'characters': blank: expected"),
    ],
)
def test_a_file_that_contradicts_itself_is_one_line(change, message):
    data = {**json.loads(WORDPIECE.to_json()), **change}
    data = {name: value for name, value in data.items() if value is not ...}
    with pytest.raises(BundleError) as caught:
        Detokenizer.from_json(json.dumps(data))
    assert message in str(caught.value)
    assert str(caught.value).startswith("detokenizer.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff", '"x"'])
def test_what_is_no_detokenizer(text):
    with pytest.raises(BundleError, match=r"detokenizer\.json: "):
        Detokenizer.from_json(text)


@pytest.mark.parametrize("name", ["de_DE", "de", "DE", "de-de", " de_de "])
def test_languages_by_name(name):
    assert PIECES.language_id(name) == 5


@pytest.mark.parametrize(
    ("languages", "name", "message"),
    [
        ({"de_DE": 1, "en_XX": 0}, "German", "language 'German' is unknown; this model knows de_DE, en_XX"),
        ({"de_DE": 1}, "", "language '' is unknown; this model knows de_DE"),
        ({"zho_Hans": 1, "zho_Hant": 0}, "zho", "language 'zho' may be any of zho_Hans, zho_Hant; choose one"),
        ({}, "de", "language 'de': this model has no tokens for languages; leave the language out"),
    ],
)
def test_languages_that_are_unknown(languages, name, message):
    detokenizer = Detokenizer(("a", "b"), (Step("spaces"),), languages=languages)
    with pytest.raises(ArgumentError) as caught:
        detokenizer.language_id(name)
    assert message in str(caught.value)


def test_a_language_may_be_another_ones_beginning():
    detokenizer = Detokenizer(("a", "b"), (Step("spaces"),), languages={"zh": 0, "zh_TW": 1})
    assert detokenizer.language_id("ZH") == 0
    assert detokenizer.language_id("zh-tw") == 1
