"""`edgespeech-runtime`: what the toolchain's commands print is what it prints, without the toolchain."""

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from edgespeech_runtime.cli import errors, parser, program
from edgespeech_runtime.cli.display import terminal
from edgespeech_runtime.cli.display.captions import PlainScreen
from edgespeech_runtime.live import Event

from edgespeech.cli import program as toolchain

RATE = 16000  # Hz


@pytest.fixture
def sound(tmp_path, say):
    """A WAVE file in which the tone bundle reads "AB C", and its folder with one that is broken beside it."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    samples = np.round(say("A_B|C") * 32767).astype("<i2")
    with wave.open(str(folder / "said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    (folder / "zz.wav").write_bytes(b"no sound")
    return folder / "said.wav"


@pytest.fixture
def run(capsys, monkeypatch):
    """`run("transcribe", ...)`: exit code, stdout and stderr of the program in this process."""
    monkeypatch.setattr(errors.Program, "name", parser.PROGRAM)

    def invoke(*arguments):
        code = errors.exit_code(lambda: program.run([str(argument) for argument in arguments]))
        said = capsys.readouterr()
        return code, said.out, said.err

    return invoke


FORMS = [
    (),
    ("--json",),
    ("--json", "--timestamps", "char"),
    ("--timestamps", "word"),
    ("--srt",),
    ("--vtt",),
    ("--beams", "4", "--n-best", "2"),
    ("--hotword", "AB=3", "--hotword", "C"),
    ("--stream",),
]


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_transcribe_prints_what_the_toolchain_prints(run, tiny_bundle, sound, form):
    arguments = [str(tiny_bundle()), str(sound), *form]
    code, out, _ = run("transcribe", *arguments)
    assert (code, out) == (0, CliRunner().invoke(toolchain, ["transcribe", *arguments]).stdout)
    assert "A" in out


@pytest.mark.parametrize("form", [(), ("--json",), ("--top-k", "2")], ids=" ".join)
def test_classify_prints_what_the_toolchain_prints(run, head_bundle, sound, form):
    arguments = [str(head_bundle("audio-classification")), str(sound), *form]
    code, out, _ = run("classify", *arguments)
    assert (code, out) == (0, CliRunner().invoke(toolchain, ["classify", *arguments]).stdout)
    assert out


def test_options_may_stand_between_the_files(run, tiny_bundle, sound):
    code, out, _ = run("transcribe", "--device", "cpu", tiny_bundle(), "--threads", "1", sound, "--json", sound)
    assert code == 0
    assert json.loads(out)["text"] == "AB C"


def test_of_several_files_one_may_fail(run, tiny_bundle, sound):
    code, out, err = run("transcribe", tiny_bundle(), sound.parent)
    assert (code, out) == (1, f"{sound}\tAB C\n")
    (line,) = err.splitlines()
    assert line.startswith("edgespeech-runtime: ")
    assert "zz.wav" in line


def test_live_captions_of_a_file(run, tiny_bundle, sound, tmp_path):
    srt = tmp_path / "live.srt"
    code, out, _ = run("live", tiny_bundle(), "--from", sound, "--speed", 1000, "--srt", srt)
    assert (code, out) == (0, "AB C\n")
    assert "AB C" in srt.read_text()


def test_devices_are_listed(run):
    code, out, _ = run("devices")
    assert code == 0
    assert "onnx:CPUExecutionProvider" in out
    assert "numpy:cpu" in out.lower()


def test_a_bundle_is_checked_on_each_device(run, tiny_bundle):
    code, out, _ = run("check", tiny_bundle("numpy"), "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert found["works"] is True
    assert found["same_answer"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("transcribe",), "the following arguments are required: BUNDLE, AUDIO"),
        (("transcribe", "nowhere", "a.wav"), "no such bundle"),
        (("transcribe", "b", "a.wav", "--beams", "0"), "--beams: expected a whole number of at least 1, got '0'"),
        (("transcribe", "b", "a.wav", "--alpha", "nan"), "--alpha: expected a number, got 'nan'"),
        (("transcribe", "b", "a.wav", "--srt", "--vtt"), "--srt and --vtt exclude each other"),
        (("transcribe", "b", "a.wav", "--beam", "3"), "unrecognized arguments: --beam"),
        (("transcribe", "b", "a\0.wav"), "null byte"),
        (("classify", "b", "a.wav", "--threshold", "2"), "expected a number from 0 to 1"),
        (("live",), "BUNDLE is missing"),
        (("live", "b", "--latency", "soon"), "expected low, balanced, high or milliseconds, got 'soon'"),
        (("export", "b"), "no such command: export; there are transcribe, classify"),
        (("check", "nowhere"), "no such bundle"),
    ],
)
def test_bad_input_is_one_line(run, arguments, said):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("edgespeech-runtime: ")
    assert said in line


def test_the_wrong_command_names_the_right_one(run, tiny_bundle, head_bundle, sound):
    _, _, err = run("classify", tiny_bundle(), sound)
    assert err.endswith("use edgespeech-runtime transcribe\n")
    _, _, err = run("transcribe", head_bundle("audio-xvector"), sound)
    assert err.endswith("use edgespeech features\n")  # which is the toolchain's


@pytest.mark.parametrize("arguments", [(), ("--help",), ("transcribe", "-h"), ("live", "--help")], ids=" ".join)
def test_help_loads_nothing(arguments):
    code = (
        "import sys\nfrom edgespeech_runtime.cli.program import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "unwanted = ('numpy', 'onnxruntime', 'openvino', 'rich', 'click', 'edgespeech')\n"
        "print([name for name in unwanted if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "sage: edgespeech-runtime" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_version(run):
    assert run("--version")[1].startswith("edgespeech-runtime 0.")


def test_the_screen_draws_one_line_with_the_tail_dim(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with PlainScreen() as screen:
        screen.sound(-30.0, 0.0)
        screen.tell(Event("partial", "one two three", 0.0, 1.0, committed="one two ", tentative="three"))
        drawn = capsys.readouterr().out
        assert drawn.endswith("one two \x1b[2mthree\x1b[0m")
        assert "\n" not in drawn
        screen.tell(Event("partial", "x" * 200, 0.0, 1.0, committed="x" * 200))
        assert "…" + "x" * 20 in capsys.readouterr().out
        screen.tell(Event("final", "one two three", 0.0, 1.0, committed="one two three"))
        assert "\r\x1b[2Kone two three\n" in capsys.readouterr().out


def test_a_terminal_that_does_not_know_its_size_has_the_usual_one(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda *file: os.terminal_size((0, 0)))
    with Path(os.devnull).open() as stream:
        assert terminal.columns(stream) == 79


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [("one two", 7, "one two"), ("one two", 4, "…two"), ("日本語", 5, "…本語"), ("日本語", 4, "…語")],
)
def test_of_a_long_text_the_end_is_shown(text, most, shown):
    assert terminal.ending(text, most) == shown
    assert terminal.width(shown) <= most
