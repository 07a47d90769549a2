"""Texts of parts as one text, at once and as a stream."""

import pytest
from edgespeech_runtime.text.joining import JoinedStream, joined

CASES = [
    ([], ""),
    (["one"], "one"),
    (["One two.", "Three."], "One two. Three."),
    ([" One", "", "  ", "two "], "One two"),
    (["今日は。", "明日も"], "今日は。明日も"),
    (["今日は。", "OK"], "今日は。 OK"),
    (["สวัสดี", "ครับ"], "สวัสดีครับ"),
    (["안녕", "하세요"], "안녕 하세요"),
]


@pytest.mark.parametrize(("texts", "whole"), CASES)
def test_spaces_stand_where_the_script_writes_them(texts, whole):
    assert joined(texts) == whole


@pytest.mark.parametrize(("texts", "whole"), CASES)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_stream_makes_the_same_of_pieces(texts, whole, size):
    stream, found = JoinedStream(), []
    for text in texts:
        found += [stream.add(text[at : at + size]) for at in range(0, len(text), size)]
        stream.end()
    assert "".join(found) == whole
