"""Subtitles against hand-written files."""

import itertools

import pytest
from edgespeech_runtime import TextSegment, Transcript, Word, to_srt, to_vtt
from edgespeech_runtime.results.subtitles import cues


def transcript(*words: tuple[str, float, float], text: str | None = None) -> Transcript:
    said = [Word(word, start, end, 1.0) for word, start, end in words]
    return Transcript(" ".join(w.text for w in said) if text is None else text, said, [], said[-1].end if said else 0.0)


def test_srt_by_hand():
    found = to_srt(transcript(("hello", 0.02, 0.5), ("world", 0.6, 1.0), ("again", 3661.5, 3662.0)))
    assert found == ("1\n00:00:00,020 --> 00:00:01,000\nhello world\n\n2\n01:01:01,500 --> 01:01:02,200\nagain\n")


def test_vtt_by_hand_with_escapes():
    found = to_vtt(transcript(("a<b>", 0.02, 0.5), ("&", 0.6, 1.0), ("-->", 5.0, 6.0)))
    assert found == (
        "WEBVTT\n\n00:00:00.020 --> 00:00:01.000\na&lt;b&gt; &amp;\n\n00:00:05.000 --> 00:00:06.000\n--&gt;\n"
    )


def test_silence_has_no_cue():
    assert to_srt(Transcript("", [], [], 3.0)) == ""
    assert to_vtt(Transcript("", [], [], 3.0)) == "WEBVTT\n"


def test_a_word_of_blanks_makes_no_cue():
    assert cues(transcript((" ", 0.0, 0.1), text="")) == []


def test_a_text_without_words_is_one_cue():
    assert cues(Transcript("all of\nit", [], [], 3.0)) == [("all of it", 0.0, 3.0)]


@pytest.mark.parametrize(
    ("seconds", "stamp"),
    [
        (0.0, "00:00:00,000"),
        (0.0004, "00:00:00,000"),
        (0.0005, "00:00:00,001"),
        (59.9996, "00:01:00,000"),
        (3599.9995, "01:00:00,000"),
        (360_000.0, "100:00:00,000"),
    ],
)
def test_clock(seconds, stamp):
    assert to_srt(transcript(("a", seconds, 400_000.0))).splitlines()[1].startswith(stamp + " --> ")


def test_a_long_pause_ends_a_cue():
    found = cues(transcript(("a", 0, 1), ("b", 1.7, 2), ("c", 3, 4)))
    assert [cue.text for cue in found] == ["a b", "c"]


def test_a_language_without_spaces_gets_none():
    found = cues(transcript(("你", 0, 0.2), ("好", 0.2, 0.4), ("吗", 2, 2.2), text="你好吗"))
    assert [cue.text for cue in found] == ["你好", "吗"]


def test_cues_cover_every_word_in_order():
    words = [(f"word{i}", i * 0.4, i * 0.4 + 0.3) for i in range(200)]
    found = cues(transcript(*words))
    assert " ".join(cue.text.replace("\n", " ") for cue in found) == " ".join(word for word, *_ in words)
    assert all(cue.text and cue.start < cue.end for cue in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


def test_segments_without_words_share_out_their_time_among_letters():
    segments = [TextSegment("ab cd", 1.0, 2.0), TextSegment("x" * 30 + " " + "y" * 29, 10.0, 16.0)]
    found = cues(Transcript(f"ab cd {segments[1].text}", duration=20.0, segments=segments))
    assert [cue.text for cue in found] == ["ab cd", "x" * 30 + "\n" + "y" * 29]
    times = [time for cue in found for time in (cue.start, cue.end)]
    assert times == pytest.approx([1.0, 2.0, 10.0, 16.0])
