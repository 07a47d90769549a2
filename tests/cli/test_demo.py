"""`edgespeech demo`: what it tells, and the count of wrong words against another implementation's."""

import dataclasses
import random

import edgespeech_runtime
import jiwer
import pytest

from edgespeech.cli import demo
from edgespeech.cli.alignment import align
from edgespeech.cli.output import size


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


PRESENT = [example for example in demo.EXAMPLES if example.checkpoint.is_dir()]


@pytest.mark.parametrize("example", PRESENT, ids=lambda example: example.checkpoint.name)
def test_the_samples_are_there_and_say_something(example):
    samples = demo.read_samples(example.samples)
    assert samples
    for sample in samples:
        assert sample.text == " ".join(sample.text.split())
        assert len(edgespeech_runtime.read_audio(sample.path, 16000)) > 8000


def test_what_comes_along_is_shown():
    listed = {example.checkpoint for example in demo.EXAMPLES}
    assert {config.parent for config in demo.HOME.glob("*/config.json")} <= listed
    assert len({example.bundle for example in demo.EXAMPLES}) == len(demo.EXAMPLES)


def few(manifest, folder):
    """A manifest of the first three recordings of another."""
    names, *rows = manifest.read_text(encoding="utf-8").splitlines()[:4]
    short = folder / "few.tsv"
    short.write_text("\n".join([names, *(f"{manifest.parent}/{row}" for row in rows)]) + "\n", encoding="utf-8")
    return short


@pytest.fixture
def examples(checkpoint, translator, tmp_path, monkeypatch):
    """The tiny checkpoints in the place of those that come along, and one that is not there."""
    samples, calibration = demo.EXAMPLES[0].samples, few(demo.EXAMPLES[0].calibration, tmp_path)
    tiny = [
        demo.Example(checkpoint, samples, calibration, "ctc", "letters", "--json"),
        demo.Example(translator, samples, calibration, "translation", "nonsense", "--stream"),
        demo.Example(checkpoint / "absent", samples, calibration, "absent", "nothing", ""),
    ]
    monkeypatch.setattr(demo, "EXAMPLES", tiny)
    return tiny


def test_it_exports_proves_and_transcribes(run, examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--output", "out")
    assert result.exit_code == 0
    assert result.stdout.count("largest difference") == 2
    for example in examples[:2]:
        row = [example.checkpoint.name, "4", f"out/{example.bundle}", f"out/{example.bundle}-int8", example.purpose]
        assert row in [line.split() for line in result.stdout.splitlines()]
        assert f"edgespeech inspect out/{example.bundle}-int8" in result.stdout
        for name, folder in (("float32", example.bundle), ("int8", f"{example.bundle}-int8")):
            files = edgespeech_runtime.load(tmp_path / "out" / folder).manifest.files.values()
            taken = size(sum(file.bytes for file in files)).split()
            assert [name, *taken] in [line.split()[:3] for line in result.stdout.splitlines()]
    assert "absent" not in result.stdout
    samples = demo.read_samples(examples[0].samples)
    for sample in samples:
        assert all(expected in result.stdout for expected in sample.text.split())
    with edgespeech_runtime.load(tmp_path / "out" / "ctc-int8") as model:
        for sample in samples:
            word = model.transcribe(sample.path).words[0]
            assert f"{word.start:5.2f} {word.end:5.2f}  {word.confidence:4.0%}  {word.text}" in result.stdout
    with edgespeech_runtime.load(tmp_path / "out" / "translation-int8") as model:
        for sample in samples:
            assert f"     model  {model.transcribe(sample.path).text or '-'}\n" in result.stdout
    said = sum(len(sample.text.split()) for sample in samples)
    assert result.stdout.count(f"of {said} words wrong") == 2


def test_bundles_that_are_there_are_kept_but_for_force(run, refused, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "EXAMPLES", examples[:1])
    for name in ("ctc-int8", "ctc"):
        (tmp_path / name / name).mkdir(parents=True)
        assert f"{name} exists" in refused("demo", "--output", tmp_path / name)
        assert [path.name for path in (tmp_path / name).iterdir()] == [name]
    assert run("demo", "--output", tmp_path / "ctc", "--force", "--quiet").stderr == ""


def test_without_its_samples_it_says_so(refused, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "EXAMPLES", [dataclasses.replace(examples[0], samples=tmp_path)])
    assert "samples.tsv is missing" in refused("demo", "--output", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_without_its_calibration_set_it_says_so(refused, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "EXAMPLES", [dataclasses.replace(examples[0], calibration=tmp_path / "absent.tsv")])
    assert "absent.tsv is missing" in refused("demo", "--output", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_without_its_checkpoints_it_says_so(refused, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "EXAMPLES", examples[2:])
    assert "holds no checkpoints" in refused("demo", "--output", tmp_path / "demo")


def test_words_of_a_text_that_are_wrong_are_counted(tmp_path):
    results = [
        (demo.Sample(tmp_path / "a.wav", "eins zwei drei"), edgespeech_runtime.Transcript("eins drei", duration=1.25)),
        (demo.Sample(tmp_path / "b.wav", "vier"), edgespeech_runtime.Transcript("", duration=2.0)),
        (demo.Sample(tmp_path / "c.wav", "null"), edgespeech_runtime.Transcript("null eins", duration=3.0)),
    ]
    lines = list(demo.texts(results, ["eins drei", "vier", "null eins"]))
    assert lines[1:4] == ["   a.wav, 1.2 s", "     model  eins drei", "     right  eins zwei drei"]
    assert [line for line in lines if "float" in line] == ["     float  vier"]
    assert "     model  -" in lines
    assert lines[-1] == "   3 of 5 words wrong"


def test_a_word_that_was_not_heard_or_not_said(tmp_path):
    words = [edgespeech_runtime.Word("ONE", 0.1, 0.2, 0.9), edgespeech_runtime.Word("TWO", 0.3, 0.4, 0.8)]
    results = [
        (demo.Sample(tmp_path / "a.wav", "ONE THREE"), edgespeech_runtime.Transcript("ONE TWO", words, [], 1.0)),
        (demo.Sample(tmp_path / "b.wav", "FOUR"), edgespeech_runtime.Transcript("", [], [], 2.0)),
        (demo.Sample(tmp_path / "c.wav", "ONE"), edgespeech_runtime.Transcript("ONE TWO", words, [], 3.0)),
    ]
    rows = [line.split() for line in demo.comparison(results, ["ONE TWO", "", "ONE"])]
    assert rows[3:5] == [["0.10", "0.20", "90%", "ONE", "ONE"], ["0.30", "0.40", "80%", "TWO", "!=", "THREE"]]
    assert ["-", "!=", "FOUR"] in rows
    assert ["0.30", "0.40", "80%", "TWO", "!=", "-"] in rows
    assert rows[-1] == ["3", "of", "4", "words", "wrong"]
    assert [row for row in rows if row[:2] == ["in", "float"]] == [["in", "float", "it", "heard:", "ONE"]]


@pytest.mark.slow
def test_the_whole_demo(start, tmp_path):
    process = start("demo", "--output", tmp_path)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "is allowed" in out
    assert out.count("words wrong") == 2 * len(PRESENT)
