"""Text as tokens come: the parts are the whole, nothing is taken back, and nothing certain is held back."""

import random

import pytest
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.text import Detokenizer, Step, clean_up
from edgespeech_runtime.text.text_stages import LowerCase, TextReplace, TextStrip, Trim

STEPS = {
    "wordpiece": [Step("wordpiece")],
    "byte level": [Step("byte_level")],
    "pieces": [Step("metaspace")],
    "byte fallback": [Step("replace", {"pattern": "▁", "content": " "}), Step("byte_fallback")],
    "stripped": [Step("byte_fallback"), Step("text_strip", {"content": " ", "start": 1, "stop": 2})],
    "each stripped": [Step("strip", {"content": "x", "start": 1, "stop": 1}), Step("spaces")],
    "continued": [Step("continued", {"whole": ("<ent>", "x")})],
    "suffix": [Step("suffix")],
    "characters": [Step("characters", {"blank": "_", "delimiter": "|"}), Step("trim"), Step("lower")],
}
TOKENS = [
    "a",
    "n't",
    "'",
    "s",
    " ",
    " .",
    ".",
    "!",
    ",",
    "##b",
    "▁c",
    "▁",
    "x",
    "<ent>",
    "@@",
    "ha@@",
    "e</w>",
    "|",
    "_",
]
TOKENS += [
    "<0xC3>",
    "<0xBC>",
    "<0xF0>",
    "Ã",
    "¼",
    "ð",
    "Ł",
    "ĺ",
    "Ģ",
    "Ġ",
    "Ġ'",
    "Σ",
    "ΑΣ",
    "日",
    "  ",
    "",
    "ve",
    "'ve",
    "do not",
]


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("does_clean_up", [False, True])
def test_all_parts_are_the_whole_and_each_is_certain(kind, does_clean_up):
    detokenizer = Detokenizer(tuple(TOKENS), tuple(STEPS[kind]), special=(0,), clean_up=does_clean_up)
    rng = random.Random(kind)
    for _ in range(400):
        ids = [rng.randrange(len(TOKENS) + 2) for _ in range(rng.randint(0, 14))]
        stream = detokenizer.stream()
        parts = [stream.push(token_id) for token_id in ids]
        so_far = "".join(parts)
        for other in ([], [1, 2], [rng.randrange(len(TOKENS))]):  # whatever comes next, what was given stays
            assert detokenizer.decode([*ids, *other]).startswith(so_far)
        assert so_far + stream.flush() == detokenizer.decode(ids)


@pytest.mark.parametrize("kind", STEPS)
def test_pieces_of_any_size_give_the_same(kind):
    detokenizer = Detokenizer(tuple(TOKENS), tuple(STEPS[kind]), clean_up=True)
    rng = random.Random(kind)
    ids = [rng.randrange(len(TOKENS)) for _ in range(200)]
    for size in (1, 3, 50):
        stream = detokenizer.stream(skip_special_tokens=False)
        parts = [stream.push(ids[start : start + size]) for start in range(0, len(ids), size)]
        assert "".join(parts) + stream.flush() == detokenizer.decode(ids, skip_special_tokens=False)


def test_what_is_certain_comes_at_once():
    tokens = ("one", "two", ".", "'", "##s")
    plain = Detokenizer(tokens, (Step("wordpiece", {"prefix": "##", "clean_up": False}),))
    stream = plain.stream()
    assert [stream.push(token_id) for token_id in (0, 1, 2, 4)] == ["one", " two", " .", "s"]
    stream = plain.stream(clean_up=True)
    assert [stream.push(token_id) for token_id in (0, 1, 2)] == ["one", " two", "."]
    assert stream.push(3) == ""  # " '" may become "'", "'s" and others
    assert stream.push(4) == "'s"


def test_a_character_of_several_bytes_comes_when_it_is_whole():
    detokenizer = Detokenizer(("ð", "Ł", "ĺ", "Ģ", "a"), (Step("byte_level"),))
    stream = detokenizer.stream()
    assert [stream.push(token_id) for token_id in (4, 0, 1, 2, 3, 4)] == ["a", "", "", "", "😀", "a"]
    assert [stream.push(0), stream.flush()] == ["", "\ufffd"]


def test_after_a_flush_a_new_text_begins():
    detokenizer = Detokenizer(("▁one", "▁two"), (Step("metaspace"),))
    stream = detokenizer.stream()
    assert [stream.push([0, 1]), stream.flush(), stream.push([0, 1]), stream.flush()] == ["one two", "", "one two", ""]


def test_a_negative_id_is_refused():
    with pytest.raises(ArgumentError, match="at least 0"):
        Detokenizer(("a",), (Step("spaces"),)).stream().push(-1)


def run(stage, pieces):
    return "".join(part for piece in pieces for part in stage.feed(piece)) + "".join(stage.end())


def test_stages_on_running_text_do_what_python_does_with_the_whole():
    rng = random.Random(0)
    for _ in range(3000):
        pieces = ["".join(rng.choices("ab '.nΣΑ \t", k=rng.randint(0, 4))) for _ in range(6)]
        text = "".join(pieces)
        pattern = rng.choice([" n", "aa", "aab", " ' ", ".", "abab"])
        assert run(TextReplace(pattern, "X"), pieces) == text.replace(pattern, "X")
        assert run(Trim(), pieces) == text.strip()
        assert run(LowerCase(), pieces) == text.lower()
        start, stop = rng.randint(0, 2), rng.randint(0, 2)
        left = min(start, len(text) - len(text.lstrip("a")))
        rest = text[left:]
        right = min(stop, len(rest) - len(rest.rstrip("a")))
        assert run(TextStrip("a", start, stop), pieces) == rest[: len(rest) - right]


def test_clean_up_takes_out_spaces_in_order():
    assert clean_up("do n't , it 's ' fine ' . I 'm we 've they 're ?") == "don't, it's'fine '. I'm we've they're?"
