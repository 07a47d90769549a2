"""`edgespeech align`: every form of result against the runtime's own, where the text comes from, and bad input."""

import json

import edgespeech_runtime
import pytest

pytest.importorskip("soundfile")


@pytest.fixture
def text(bundle, recordings):
    """What the tiny model recognises: its words can be aligned again, and one cannot."""
    with edgespeech_runtime.load(bundle) as model:
        return model.transcribe(recordings[0]).text + " 42"


@pytest.fixture
def aligned(bundle, recordings, text):
    with edgespeech_runtime.load(bundle) as model:
        return model.align(recordings[0], text)


def test_lines_of_words(run, bundle, recordings, text, aligned):
    result = run("align", bundle, recordings[0], text)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split(maxsplit=3) for line in result.stdout.splitlines()]
    assert len(lines) == len(aligned.words) > 1
    assert lines[-1][3] == "42  (interpolated)"
    for (start, end, confidence, _), word in zip(lines, aligned.words, strict=True):
        expected = [word.start, word.end, word.confidence]
        assert [float(start), float(end), float(confidence)] == pytest.approx(expected, abs=0.0051)


def test_lines_of_characters(run, bundle, recordings, text, aligned):
    lines = run("align", bundle, recordings[0], text, "--timestamps", "char").stdout.splitlines()
    assert [line.split()[3] for line in lines] == [letter.text for letter in aligned.characters]


@pytest.mark.parametrize("kind", ["word", "char"])
def test_json(run, bundle, recordings, text, aligned, kind):
    found = json.loads(run("align", bundle, recordings[0], text, "--json", "--timestamps", kind).stdout)
    assert found["text"] == text
    assert [word["timing"] for word in found["words"]] == [word.timing for word in aligned.words]
    assert ("characters" in found) == (kind == "char")


@pytest.mark.parametrize("form", ["srt", "vtt", "textgrid"])
def test_files_for_other_programs(run, bundle, recordings, text, aligned, form):
    expected = getattr(edgespeech_runtime, f"to_{form}")(aligned)
    assert run("align", bundle, recordings[0], text, f"--{form}").stdout == expected


def test_the_text_may_stand_in_a_file(run, bundle, recordings, text, tmp_path):
    expected = run("align", bundle, recordings[0], text).stdout
    file = tmp_path / "text.md"
    file.write_bytes(b"\xef\xbb\xbf" + text.replace(" ", "\r\n").encode())
    assert run("align", bundle, recordings[0], file).stdout == expected


def test_options_that_exclude_each_other(refused, bundle, recordings):
    assert "--json and --srt exclude each other" in refused("align", bundle, recordings[0], "a", "--json", "--srt")
    message = refused("align", bundle, recordings[0], "a", "--vtt", "--timestamps", "word")
    assert "--timestamps and --vtt exclude each other" in message


def test_a_text_file_that_is_not_there(refused, bundle, recordings):
    assert "script.txt: no such text file" in refused("align", bundle, recordings[0], "script.txt")


def test_a_text_in_another_encoding(refused, bundle, recordings, tmp_path):
    file = tmp_path / "latin.txt"
    file.write_bytes("née".encode("latin-1"))
    assert "expected a text in UTF-8, got other bytes at 1; convert it" in refused("align", bundle, recordings[0], file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text: expected the words that are said, got none"),
        ("42", "text: no letter of '42' is in the model's vocabulary"),
    ],
)
def test_a_text_that_cannot_be_aligned(refused, bundle, recordings, text, message):
    assert message in refused("align", bundle, recordings[0], text)


def test_a_text_longer_than_the_audio(refused, bundle, recordings, text):
    assert "the text is longer than the audio allows" in refused("align", bundle, recordings[0], text * 500)


def test_a_model_of_another_kind(refused, translator_bundle, recordings):
    message = refused("align", translator_bundle, recordings[0], "a")
    assert "is an encoder-decoder, which cannot align a text: use a bundle of a CTC model" in message


def test_audio_that_is_not_there(refused, bundle, tmp_path):
    assert "no such audio file" in refused("align", bundle, tmp_path / "no.wav", "a")
