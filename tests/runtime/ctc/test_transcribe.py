"""`CtcModel.transcribe` with a search: the tone language says what is right."""

import numpy as np
import pytest
from edgespeech_runtime import load
from edgespeech_runtime.errors import ArgumentError, LanguageModelMissingError

ARPA = """\\data\\
ngram 1=6
ngram 2=2

\\1-grams:
-1.0\t<unk>\t0
-99\t<s>\t0
-1.0\t</s>\t0
-1.0\tAB\t0
-1.5\tC\t0
-1.5\tAC\t0

\\2-grams:
-0.1\t<s> AB
-0.2\tAB C

\\end\\
"""


@pytest.fixture
def model(tiny_bundle):
    with load(tiny_bundle("onnx"), threads=1) as loaded:
        yield loaded


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return path


def test_on_clear_sound_a_search_says_what_greedy_says(model, say):
    samples = say("__AAB_||_CC")
    greedy, searched = model.transcribe(samples), model.transcribe(samples, beams=10)
    assert searched.text == greedy.text == "AB C"
    assert [(w.text, w.start, w.end) for w in searched.words] == [(w.text, w.start, w.end) for w in greedy.words]
    np.testing.assert_allclose([w.confidence for w in searched.words], [w.confidence for w in greedy.words], atol=1e-5)
    assert (searched.characters, searched.alternatives, searched.duration) == ([], [], greedy.duration)


def test_characters_and_alternatives_on_request(model, say):
    transcript = model.transcribe([say("A_A|B")], timestamps="char", n_best=3)[0]
    assert [(c.text, round(c.start, 3), round(c.end, 3)) for c in transcript.characters] == [
        ("A", 0, 0.02),
        ("A", 0.04, 0.06),
        ("B", 0.08, 0.10),
    ]
    assert transcript.alternatives[0].text == transcript.text == "AA B"
    assert transcript.alternatives[0].words == transcript.words
    assert transcript.to_dict()["alternatives"][0]["words"][0]["text"] == "AA"
    assert "alternatives" not in model.transcribe(say("A")).to_dict()


def test_special_tokens_and_blanks_are_left_out(model, say):
    assert model.transcribe(say("____"), beams=5).text == ""
    assert model.transcribe(say("A?B<C"), beams=5).text == "ABC"


def faint(say, loud, other):
    """A sound of which it is uncertain what it says."""
    return 0.2 * say(loud) + 0.17 * say(other)


def test_a_language_model_decides_between_what_sounds_alike(model, say, arpa):
    samples = faint(say, "AC|C", "AB|C")
    assert model.transcribe(samples, beams=20).text == "AC C"
    assert model.transcribe(samples, language_model=arpa).text == "AB C"
    assert model.transcribe(samples, language_model=str(arpa), alpha=0.0).text == "AC C"
    assert model.transcribe(samples, beams=20, language_model=False).text == "AC C"


def test_hotwords_decide_too(model, say):
    samples = faint(say, "AC|C", "AB|C")
    assert model.transcribe(samples, hotwords=["ab"]).text == "AB C"
    assert model.transcribe(samples, hotwords={"AB C": 2.0}).text == "AB C"
    assert model.transcribe(samples, hotwords={"AB": 0.001}).text == "AC C"
    assert model.transcribe(samples, hotwords=["CAB", "BAB B"]).text == "AC C"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beams": 0}, "beams: expected a number from 1 on, got 0"),
        ({"n_best": 1.5}, "n_best: expected a number from 1 on, got 1.5"),
        ({"beams": 2, "n_best": 3}, "n_best: 3 texts cannot come of 2 beams"),
        ({"alpha": 0.5}, "alpha weighs a language model, and there is none"),
        ({"beams": 5, "language_model": False, "beta": 1.0}, "beta weighs a language model"),
        ({"language_model": True}, "language_model: expected a file"),
        ({"language_model": 5}, "language_model: expected a file or an NgramModel, got int"),
        ({"hotwords": "AB"}, "expected a list of words or phrases, got the text 'AB'"),
        ({"hotwords": [" "]}, "expected words or phrases, got ' '"),
        ({"hotwords": ["ABX7"]}, "'ABX7' has letters that the vocabulary lacks: 'X', '7'"),
        ({"hotwords": {"AB": -1.0}}, "'AB': expected a weight of at least 0, got -1.0"),
        ({"hotwords": {"AB": "high"}}, "expected a weight of at least 0, got 'high'"),
    ],
)
def test_options_that_cannot_be_are_refused(model, say, options, message):
    with pytest.raises(ArgumentError, match=message):
        model.transcribe(say("A"), **options)


def test_a_language_model_of_another_case_or_alphabet_is_refused(model, say, tmp_path):
    for name, words in (("lower", ("ab", "c", "ac")), ("greek", ("αβ", "γ", "αγ"))):
        text = ARPA
        for old, new in zip(("AB", "C", "AC"), words, strict=True):
            text = text.replace(f"\t{old}\t", f"\t{new}\t").replace(f" {old}", f" {new}").replace(f"{old} ", f"{new} ")
        path = tmp_path / f"{name}.arpa"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ArgumentError, match="the LM has no word of this vocabulary: it has"):
            model.transcribe(say("A"), language_model=path)


def test_a_missing_language_model_is_named(model, say, tmp_path):
    with pytest.raises(LanguageModelMissingError, match=r"none\.arpa"):
        model.transcribe(say("A"), language_model=tmp_path / "none.arpa")
