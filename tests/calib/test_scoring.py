"""Word errors against published counts, worked examples, and other people's counting."""

import random
from pathlib import Path

import jiwer
import pytest
from edgespeech_calib import score
from edgespeech_calib.errors import ScoringError
from edgespeech_calib.scoring.alignment import CHARACTERS, WORDS, Costs, align

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "wer_hypotheses"
TEXTS = {"test-clean": "librispeech_test-clean.trans.txt", "test-other": "librispeech_test-other.trans.txt"}
HYPOTHESES = [f"{subset}.{system}.tsv" for subset in TEXTS for system in ("b1.rnnt_baseline", "b2.b1+nnlm")]


def lines(path, separator):
    pairs = (line.partition(separator) for line in path.read_text(encoding="utf-8").splitlines())
    return {name: text.lower() for name, _, text in pairs}


@pytest.mark.parametrize("name", HYPOTHESES)
def test_published_counts(name):
    """`subs=1501, ins=195, dels=225` of a recurrent transducer on LibriSpeech, all of it."""
    texts = GOLDEN / TEXTS[name.split(".")[0]]
    if not texts.exists():
        pytest.skip(f"needs {texts.name} in shared/golden, beside the checkout")
    first = (GOLDEN / "results" / f"{name}.result").read_text(encoding="utf-8").splitlines()[0]
    published = dict(pair.split("=") for pair in first.removeprefix("WER: ").split(", "))
    said, heard = lines(texts, " "), lines(GOLDEN / "hyp" / name, "\t")

    found = score(said, heard)

    assert found.substitutions == int(published["subs"])
    assert found.insertions == int(published["ins"])
    assert found.deletions == int(published["dels"])
    assert found.words == int(published["ref_words"])
    assert 100 * found.wer == pytest.approx(float(published["error_rate"]), abs=1e-12)
    assert found.errors == sum(utterance.counts.errors for utterance in found.utterances)


# What is said, what is heard; substitutions, insertions, deletions. Counted by hand, the last three with the cheapest
# alignment by weights of 4, 3 and 3.
WORKED = [
    ("the cat sat", "the cat sat", (0, 0, 0)),
    ("the cat sat", "the hat sat", (1, 0, 0)),
    ("the cat sat", "the cat", (0, 0, 1)),
    ("the cat sat", "the big cat sat", (0, 1, 0)),
    ("", "a b", (0, 2, 0)),
    ("a b", "", (0, 0, 2)),
    ("", "", (0, 0, 0)),
    ("a b c d", "b c d e", (0, 1, 1)),  # not four substitutions
    ("a b", "b c", (0, 1, 1)),  # as many errors as two substitutions; a hit decides
    ("a b", "c d", (2, 0, 0)),  # as few errors, and cheaper, than two of each other kind
    ("a b c", "x a y", (1, 1, 1)),  # three errors as well as three substitutions; with a hit
]


@pytest.mark.parametrize(("said", "heard", "expected"), WORKED)
def test_worked_examples(said, heard, expected):
    found = score([said], [heard])
    assert (found.substitutions, found.insertions, found.deletions) == expected
    assert found.words == len(said.split())
    assert found.hits == found.words - found.substitutions - found.deletions


def test_rates_are_fractions_over_all_utterances():
    found = score(["a b c", "d"], ["a x c", "d e f"])
    assert found.wer == 3 / 4
    assert [utterance.counts.rate for utterance in found.utterances] == [1 / 3, 2.0]


def test_an_alignment_says_what_stands_where():
    pairs = score("one two three", "one too three four").utterances[0].alignment
    assert [(pair.kind, pair.reference, pair.hypothesis) for pair in pairs] == [
        ("hit", "one", "one"),
        ("substitution", "two", "too"),
        ("hit", "three", "three"),
        ("insertion", None, "four"),
    ]


def cheapest(reference, hypothesis, costs):
    """Levenshtein's recursion, cell by cell."""
    row = [column * costs.insertion for column in range(len(hypothesis) + 1)]
    for said in reference:
        left = row[0] + costs.deletion
        new = [left]
        for column, heard in enumerate(hypothesis):
            across = row[column] + (0 if said == heard else costs.substitution)
            left = min(across, row[column + 1] + costs.deletion, left + costs.insertion)
            new.append(left)
        row = new
    return row[-1]


@pytest.mark.parametrize("costs", [WORDS, CHARACTERS, Costs(1, 1, 1), Costs(7, 2, 3)])
def test_alignments_are_the_cheapest_and_tell_both_sequences(costs):
    chance = random.Random(5)
    price = {"hit": 0, "substitution": costs.substitution, "insertion": costs.insertion, "deletion": costs.deletion}
    for _ in range(150):
        said, heard = (chance.choices("abcd", k=chance.randrange(12)) for _ in range(2))
        pairs = align(said, heard, costs)
        assert [pair.reference for pair in pairs if pair.reference is not None] == said
        assert [pair.hypothesis for pair in pairs if pair.hypothesis is not None] == heard
        assert all((pair.kind == "hit") == (pair.reference == pair.hypothesis) for pair in pairs)
        assert sum(price[pair.kind] for pair in pairs) == cheapest(said, heard, costs)


def test_characters_are_counted_as_jiwer_counts_them():
    chance = random.Random(7)
    words = ["ab", "abc", "b", "cab", "acca", "bb"]
    said, heard = ([" ".join(chance.choices(words, k=chance.randrange(1, 9))) for _ in range(60)] for _ in range(2))
    found, theirs = score(said, heard), jiwer.process_characters(said, heard)
    assert found.cer == pytest.approx(theirs.cer, abs=1e-15)
    assert found.characters.total == theirs.hits + theirs.substitutions + theirs.deletions
    assert found.characters.hits >= theirs.hits


def test_as_many_word_errors_as_jiwer_in_ordinary_text():
    chance = random.Random(9)
    words = [f"w{number}" for number in range(300)]
    said = [chance.choices(words, k=chance.randrange(1, 30)) for _ in range(80)]
    heard = [
        [word for word in text for word in chance.choices([[word], [], [word, "x"]], [9, 1, 1])[0]] for text in said
    ]
    said, heard = ([" ".join(text) for text in texts] for texts in (said, heard))
    assert score(said, heard).wer == pytest.approx(jiwer.wer(said, heard), abs=1e-15)


def test_texts_by_id_may_come_in_any_order():
    found = score({"x": "a", "y": "b c"}, {"y": "b c", "x": "a"})
    assert found.errors == 0
    assert [utterance.reference for utterance in found.utterances] == ["a", "b c"]


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        (["a"], ["a", "b"], "as many hypotheses as references, got 2 and 1"),
        ([], [], "at least one reference"),
        ({"x": "a"}, {"y": "a"}, "the same ids in both, 2 are in one only; the first is x"),
        ({"x": "a"}, ["a"], "of one form"),
        (["a"], [None], "expected texts, got NoneType"),
        (["a"], [["a"]], "expected texts, got list"),
    ],
)
def test_what_cannot_be_compared(references, hypotheses, message):
    with pytest.raises(ScoringError, match=message):
        score(references, hypotheses)


def test_silence_has_no_error_rate():
    found = score([""], ["a"])
    assert (found.insertions, found.words) == (1, 0)
    with pytest.raises(ScoringError, match="nothing is said"):
        _ = found.wer
