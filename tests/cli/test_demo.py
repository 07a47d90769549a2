"""`edgespeech demo`: what it makes and tells, on tiny models; the page, on transcripts that are written here."""

import random
import sys
from pathlib import Path

import edgespeech_runtime
import jiwer
import numpy as np
import pytest
from edgespeech_calib import SpeechSet, open_set
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.utterance import Utterance
from edgespeech_runtime import Transcript, Word
from edgespeech_runtime.cli.display.output import size

from edgespeech.cli.commands import demo
from edgespeech.cli.commands.demo_steps import FLOAT, INT8, DemoModel, Run
from edgespeech.cli.display import demo_page
from edgespeech.cli.display.alignment import align
from edgespeech.cli.display.demo_page import table_lines, transcript_lines, words_wrong

PRESENT = [example for example in demo.EXAMPLES if example.checkpoint.is_dir()]


def test_the_count_of_wrong_words_is_that_of_jiwer():
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


@pytest.mark.parametrize(("table", "quiet"), [(demo.SAMPLES, 1), (demo.CALIBRATION, 0)], ids=["samples", "calibration"])
def test_the_recordings_are_there_and_say_something(table: Path, quiet: int):
    """The texts are written as one writes; a recording without a text is silent next to the others."""
    data = open_set(table)
    assert not data.skipped
    assert sum(not utterance.text for utterance in data) == quiet
    for utterance in data:
        waveform, text = utterance.audio.read(16000), utterance.text or ""
        assert len(waveform) >= 16000
        assert bool(text) == (np.abs(waveform).max() > 0.1)
        assert text == " ".join(text.split())
        assert not text or (text[0].isupper() and text[-1] in ".?!")


def test_what_comes_along_is_shown():
    listed = {example.checkpoint for example in demo.EXAMPLES}
    assert {config.parent for config in demo.HOME.glob("*/config.json")} <= listed
    assert len({example.checkpoint.name for example in demo.EXAMPLES}) == len(demo.EXAMPLES)


def few(manifest: Path, folder: Path) -> Path:
    """A manifest of the first three recordings of another."""
    names, *rows = manifest.read_text(encoding="utf-8").splitlines()[:4]
    short = folder / manifest.name
    short.write_text("\n".join([names, *(f"{manifest.parent}/{row}" for row in rows)]) + "\n", encoding="utf-8")
    return short


@pytest.fixture
def examples(checkpoint, translator, tmp_path, monkeypatch):
    """The tiny checkpoints in the place of those that come along, and one that is not there."""
    for name in ("SAMPLES", "CALIBRATION"):
        monkeypatch.setattr(demo, name, few(getattr(demo, name), tmp_path))
    tiny = (
        demo.Example(checkpoint, "letters", "--json"),
        demo.Example(translator, "nonsense", "--stream"),
        demo.Example(checkpoint / "absent", "nothing", ""),
    )
    monkeypatch.setattr(demo, "EXAMPLES", tiny)
    return tiny


def test_it_exports_proves_quantizes_transcribes_and_compares(run, examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--output", "out")
    assert result.exit_code == 0
    shown = result.stdout
    assert shown.count("the same tokens") == 2
    assert "absent" not in shown
    samples, calibration = open_set(demo.SAMPLES), open_set(demo.CALIBRATION)
    words = sum(len(demo_page._words(utterance.text)) for utterance in calibration)
    for example in examples[:2]:
        name = example.checkpoint.name
        assert f"   {name}: {example.purpose}" in shown.splitlines()
        for form, folder in ((FLOAT, Path("out", name)), (INT8, Path("out", f"{name}-int8"))):
            files = edgespeech_runtime.load(folder).manifest.files.values()
            taken = size(sum(file.bytes for file in files)).split()
            assert [form, str(folder), *taken] in [line.split()[:4] for line in shown.splitlines()]
        with edgespeech_runtime.load(f"out/{name}-int8") as model:
            texts = [model.transcribe(utterance.audio.read(16000)).text for utterance in samples]
        assert all(text.split(" ")[0][:20] in shown for text in texts)
        assert f"edgespeech transcribe out/{name}-int8 . {example.options}" in shown
    rows = [line for line in shown.splitlines() if "x real time" in line]
    assert len(rows) == 4
    assert all(f" of {words}" in row for row in rows)
    for utterance in samples:
        assert all(word in shown for word in utterance.text.split())  # in lines that are wrapped


def test_bundles_that_are_there_are_kept_but_for_force(run, refused, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "EXAMPLES", examples[:1])
    tiny = examples[0].checkpoint.name
    for name in (f"{tiny}-int8", tiny):
        (tmp_path / name / name).mkdir(parents=True)
        assert f"{name} exists" in refused("demo", "--output", tmp_path / name)
        assert [path.name for path in (tmp_path / name).iterdir()] == [name]
    assert run("demo", "--output", tmp_path / tiny, "--force", "--quiet").stderr == ""


@pytest.mark.parametrize("name", ["SAMPLES", "CALIBRATION"])
def test_without_its_recordings_it_says_so(refused, examples, tmp_path, monkeypatch, name):
    monkeypatch.setattr(demo, name, tmp_path / "absent.tsv")
    assert "absent.tsv is missing" in refused("demo", "--output", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_without_its_checkpoints_it_says_so(refused, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "EXAMPLES", examples[2:])
    assert "holds no checkpoints" in refused("demo", "--output", tmp_path / "demo")


def test_commands_are_shown_as_one_types_them(tmp_path, monkeypatch):
    script = tmp_path / "bin" / "edgespeech"
    script.parent.mkdir()
    script.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    for path, typed in (("", "bin/edgespeech"), (str(script.parent), "edgespeech")):
        monkeypatch.setenv("PATH", path)
        assert demo.program() == typed
    monkeypatch.setattr(sys, "argv", ["python", "-m", "edgespeech.cli"])
    assert demo.program() == "edgespeech"


def spoken(**texts: str) -> SpeechSet:
    """A set of utterances of which only names and texts are known."""
    return SpeechSet("set", tuple(Utterance(name, FileAudio(Path(name)), text=text) for name, text in texts.items()))


def ran(*transcripts: Transcript, seconds: float = 1.0) -> Run:
    return Run(list(transcripts), seconds, 20.0)


WORDS = [Word("GOOD", 0.14, 0.4, 0.9), Word("A", 0.5, 0.6, 0.8), Word("EVENING", 0.7, 1.2, 0.8)]


def test_words_stand_above_the_seconds_at_which_they_start():
    model = Transcript("GOOD A EVENING", WORDS, [], 1.25)
    lines = list(transcript_lines(spoken(hello="Good evening."), {"ctc": {FLOAT: ran(model), INT8: ran(model)}}))
    assert lines == [
        "",
        "   hello       said          Good evening.",
        "   1.2 s       ctc           GOOD A   EVENING",
        "                 starts, s   0.1  0.5 0.7",
    ]


def test_many_words_take_more_lines_and_lose_none():
    words = [Word("WORD" * (1 + index % 3), index, index + 0.5, 1.0) for index in range(30)]
    model = Transcript(" ".join(word.text for word in words), words, [], 30.0)
    lines = list(transcript_lines(spoken(long="x"), {"ctc": {FLOAT: ran(model), INT8: ran(model)}}))
    assert max(map(len, lines)) <= demo_page.WIDTH
    texts = [line[29:].split() for line in lines[2:]]
    assert [word for line in texts[::2] for word in line] == [word.text for word in words]
    assert [start for line in texts[1::2] for start in line] == [f"{word.start:.1f}" for word in words]


def test_what_float32_hears_is_shown_where_it_differs():
    runs = {
        "one": {FLOAT: ran(Transcript("Good evening.")), INT8: ran(Transcript("Good morning."))},
        "two": {FLOAT: ran(Transcript("")), INT8: ran(Transcript(""))},
    }
    lines = [line.split() for line in transcript_lines(spoken(hello=""), runs)]
    assert lines == [
        [],
        ["hello", "said", "(nobody", "speaks)"],
        ["0.0", "s", "one", "Good", "morning."],
        ["in", "float32", "Good", "evening."],
        ["two", "(nothing)"],
    ]


def test_the_table_counts_words_whatever_their_case_and_punctuation(checkpoint, monkeypatch):
    monkeypatch.setattr(demo_page, "_size", lambda model, form: "1.0 MB")
    data = spoken(a="One, two.", b="Three!")
    runs = {
        FLOAT: ran(Transcript("ONE TWO"), Transcript("TREE")),
        INT8: ran(Transcript("One."), Transcript("tree tree"), seconds=0.5),
    }
    lines = list(table_lines([DemoModel(checkpoint, Path("out"), "")], data, {checkpoint.name: runs}))
    _, floating, integers = (line.split() for line in lines[:3])
    assert floating == [checkpoint.name, FLOAT, *["1.0", "MB", "0.050,", "20", "x", "real", "time", "1", "of", "3"]]
    assert integers == [INT8, *["1.0", "MB", "0.025,", "40", "x", "real", "time", "3", "of", "3", "2", "of", "3"]]


@pytest.mark.slow
def test_the_whole_demo(start, tmp_path):
    process = start("demo", "--output", tmp_path)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert out.count("the same tokens") == len(PRESENT)
    assert len(out.splitlines()) <= 75
