"""`edgespeech demo`: what it tells, and the count of wrong words against another implementation's."""

import random

import edgespeech_runtime
import jiwer
import pytest

from edgespeech.cli import demo
from edgespeech.cli.alignment import align


def words_wrong(expected, heard):
    pairs = align(expected, heard)
    return sum(a is None or b is None or expected[a] != heard[b] for a, b in pairs)


def test_alignment_is_that_of_jiwer():
    generator = random.Random(0)
    for _ in range(300):
        expected = generator.choices("abcd", k=generator.randrange(1, 9))
        heard = generator.choices("abcd", k=generator.randrange(9))
        measured = jiwer.process_words(" ".join(expected), " ".join(heard))
        assert words_wrong(expected, heard) == measured.substitutions + measured.deletions + measured.insertions


def test_alignment_takes_every_word_once_in_order():
    generator = random.Random(1)
    for _ in range(100):
        expected, heard = (generator.choices("ab", k=generator.randrange(7)) for _ in range(2))
        pairs = align(expected, heard)
        assert [a for a, _ in pairs if a is not None] == list(range(len(expected)))
        assert [b for _, b in pairs if b is not None] == list(range(len(heard)))


def test_the_samples_are_there_and_say_something():
    samples = demo.read_samples()
    assert samples
    for sample in samples:
        assert sample.text == " ".join(sample.text.upper().split())
        assert len(edgespeech_runtime.read_audio(sample.path, 16000)) > 8000


def test_it_exports_proves_and_transcribes(run, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "CHECKPOINT", checkpoint)
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--output", "out/demo")
    assert result.exit_code == 0
    assert "largest difference" in result.stdout
    with edgespeech_runtime.load(tmp_path / "out" / "demo") as model:
        for sample in demo.read_samples():
            word = model.transcribe(sample.path).words[0]
            assert f"{word.start:5.2f} {word.end:5.2f}  {word.confidence:4.0%}  {word.text}" in result.stdout
            assert all(expected in result.stdout for expected in sample.text.split())
    said = sum(len(sample.text.split()) for sample in demo.read_samples())
    assert f"of {said} words wrong" in result.stdout
    again = run("demo", "--output", "out/demo")
    assert again.exit_code == 2
    assert "out/demo exists" in again.stderr
    assert run("demo", "--output", "out/demo", "--force", "--quiet").stderr == ""


def test_without_its_samples_it_says_so(refused, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SAMPLES", tmp_path)
    assert "samples.tsv is missing" in refused("demo", "--output", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_a_word_that_was_not_heard_or_not_said(tmp_path):
    words = [edgespeech_runtime.Word("ONE", 0.1, 0.2, 0.9), edgespeech_runtime.Word("TWO", 0.3, 0.4, 0.8)]
    results = [
        (demo.Sample(tmp_path / "a.wav", "ONE THREE"), edgespeech_runtime.Transcript("ONE TWO", words, [], 1.0)),
        (demo.Sample(tmp_path / "b.wav", "FOUR"), edgespeech_runtime.Transcript("", [], [], 2.0)),
        (demo.Sample(tmp_path / "c.wav", "ONE"), edgespeech_runtime.Transcript("ONE TWO", words, [], 3.0)),
    ]
    rows = [line.split() for line in demo.comparison(results)]
    assert rows[3:5] == [["0.10", "0.20", "90%", "ONE", "ONE"], ["0.30", "0.40", "80%", "TWO", "!=", "THREE"]]
    assert ["-", "!=", "FOUR"] in rows
    assert ["0.30", "0.40", "80%", "TWO", "!=", "-"] in rows
    assert rows[-1] == ["3", "of", "4", "words", "wrong"]


@pytest.mark.slow
def test_the_whole_demo(start, tmp_path):
    process = start("demo", "--output", tmp_path / "demo")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "is allowed" in out
    assert "words wrong" in out
