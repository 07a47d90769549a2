"""A text as tokens: case, punctuation, letters that the vocabulary lacks, vocabularies of other kinds."""

import pytest
from edgespeech_runtime.bundle.manifest import Vocabulary
from edgespeech_runtime.ctc.alignment.layout import lay_out
from edgespeech_runtime.ctc.alignment.spelling import spell_out
from edgespeech_runtime.errors import ArgumentError

LETTERS = Vocabulary(("<pad>", "|", "A", "B", "S", "'", "<unk>"), 0, "|", special=(0, 6))


def tokens(text, vocabulary=LETTERS):
    """Of each word, its tokens, and "?" for what is read out and has none."""
    return [
        [
            "?" if letter.token is None else vocabulary.tokens[word.tokens[letter.token]]
            for letter in sorted(word.letters, key=lambda letter: letter.first)
        ]
        for word in spell_out(text, vocabulary)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AB Ba", [["A", "B"], ["B", "A"]]),
        ("  ab,\n«ba»! ", [["A", "B"], ["B", "A"]]),
        ("b\u2019s", [["B", "'", "S"]]),
        ("A - B", [["A"], [], ["B"]]),
        ("A 42 B", [["A"], ["?", "?"], ["B"]]),
        ("a4b", [["A", "?", "B"]]),
        ("a 50%", [["A"], ["?", "?", "?"]]),
        ("ab 東", [["A", "B"], ["?"]]),
        ("aß", [["A", "S", "S"]]),
        ("aé", [["A", "?"]]),
        ("ae\u0301", [["A", "?"]]),
        ("a * b", [["A"], [], ["B"]]),
        ("a|b", [["A", "B"]]),
        ("a <unk>", [["A"], ["?", "?", "?", "?", "?"]]),
    ],
)
def test_letters(text, expected):
    assert tokens(text) == expected


def test_longer_tokens_come_first():
    vocabulary = Vocabulary(("_", "t", "ʃ", "tʃ", "aʊ", "a"), 0, None)
    assert tokens("tʃ aʊ t", vocabulary) == [["tʃ"], ["aʊ"], ["t"]]


def test_pieces_that_begin_words():
    vocabulary = Vocabulary(("_", "▁the", "re", "▁", "t", "h", "e", "r"), 0, None)
    assert tokens("There", vocabulary) == [["▁the", "re"]]
    assert tokens("e", vocabulary) == [["e"]]


def test_a_vocabulary_without_words_has_a_word_for_each_letter():
    vocabulary = Vocabulary(("_", "你", "好", "吗"), 0, None)
    words = spell_out("你好,吗 好。", vocabulary)
    assert [word.text for word in words] == ["你", "好,", "吗", "好。"]
    assert [word.tokens for word in words] == [(1,), (2,), (3,), (2,)]


@pytest.mark.parametrize("text", ["", "  \n", "*", "* *"])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(ArgumentError, match="text: expected the words that are said, got none"):
        spell_out(text, LETTERS)


@pytest.mark.parametrize("text", ["42", "日本語", "- !", "| |"])
def test_a_text_of_another_script_is_refused(text):
    with pytest.raises(ArgumentError, match=r"no letter of '.+' is in the model's vocabulary \(A B S \.\.\.\)"):
        spell_out(text, LETTERS)


def laid_out(text):
    layout = lay_out(spell_out(text, LETTERS), LETTERS.delimiter_id)
    row = "".join(LETTERS.tokens[token] for token in layout.tokens)
    return row, [i for i, is_open in enumerate(layout.is_open) if is_open]


@pytest.mark.parametrize(
    ("text", "row", "opened"),
    [
        ("a b", "A|B", []),
        ("ab - a", "AB|A", []),
        ("* a b", "A|B", [0]),
        ("- * a", "A", [0]),
        ("a * b", "A|B", [1, 2]),
        ("a 7 b *", "A|B", [1, 2, 3]),
        ("a7b", "AB", [1]),
        ("7ab ba7", "AB|BA", [0, 5]),
    ],
)
def test_other_speech_may_be_where_the_text_says_so(text, row, opened):
    """By the blank before each token, and the one behind the last."""
    assert laid_out(text) == (row, opened)
