"""The program as a whole: help, what it loads, how it takes errors, readers that leave, terminals without letters."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import click
import edgespeech_runtime
import pytest
from click.testing import CliRunner
from edgespeech_runtime.choices import ENGINES, EngineName, Task
from edgespeech_runtime.cli import kinds

import edgespeech
from edgespeech.cli import app, program
from edgespeech.cli.app import COMMANDS

HEAVY = {"torch", "numpy", "onnx", "onnxruntime", "openvino", "rich", "safetensors", "soundfile"}
CLI = Path(app.__file__).parent


@pytest.mark.parametrize("arguments", [["--help"], [], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom edgespeech.cli import program\n"
        f"try:\n    program({arguments!r}, prog_name='edgespeech')\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("Usage: edgespeech")
    assert not HEAVY & set(done.stderr.split())


def test_every_command_is_listed_with_what_it_does(run):
    listing = run("--help").stdout
    for name in COMMANDS:
        command = program.get_command(click.Context(program), name)
        assert command.name == name
        assert command.short_help in listing


def test_version(run):
    assert run("--version").stdout == f"edgespeech {edgespeech.__version__}\n"


def test_choices_are_those_of_the_bundle_format():
    assert set(ENGINES) == set(get_args(EngineName))
    assert set(kinds.KINDS) == set(get_args(Task))
    for kind in kinds.KINDS.values():
        assert kind.command in COMMANDS
        options = {option.name for option in program.get_command(click.Context(program), kind.command).params}
        assert set(kind.lacks) < options


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trancribe"], "No such command 'trancribe'"),
        (["--verbos"], "No such option"),
        (["export"], "Missing argument 'CHECKPOINT'"),
        (["export", "a", "b", "--engine", "tflite"], "'tflite' is not one of 'onnx', 'openvino'"),
        (["export", "a", "b", "--precision", "int3"], "'int3' is not one of"),
        (["transcribe", "bundle"], "Missing argument 'AUDIO...'"),
        (["transcribe", "bundle", "a.wav", "--threads", "0"], "0 is not in the range x>=1"),
        (["transcribe", "bundle", "a.wav", "--batch-size", "many"], "'many' is not a valid integer range"),
        (["transcribe", "bundle", "a.wav", "--num-beams", "0"], "0 is not in the range x>=1"),
        (["transcribe", "bundle", "a.wav", "--max-new-tokens", "0"], "0 is not in the range x>=1"),
        (["transcribe", "bundle", "a.wav", "--timestamps", "frame"], "'frame' is not one of 'word', 'char'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_are_one_line_that_points_to_the_help(refused, arguments, said):
    line = refused(*arguments)
    assert said in line
    assert line.endswith("--help")


def test_an_error_of_the_program_itself_is_not_hidden(monkeypatch):
    monkeypatch.setattr("edgespeech.cli.commands.inspect._facts", lambda folder: 1 / 0)
    assert isinstance(CliRunner().invoke(program, ["inspect", "x"]).exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 2, "not enough memory"),
        (PermissionError(13, "Permission denied", "/secret"), 2, "/secret: Permission denied"),
        (OSError("a disk of no name"), 2, "a disk of no name"),
        (edgespeech_runtime.EdgeSpeechRuntimeError("one\ntwo"), 2, "one two"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_that_a_user_can_mend_are_one_line(run, monkeypatch, error, code, said):
    def fail(folder):
        raise error

    monkeypatch.setattr("edgespeech.cli.commands.inspect._facts", fail)
    result = run("inspect", "x")
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.strip().count("\n") == 0


def test_a_reader_that_leaves_is_no_error(start, bundle):
    process = start("inspect", bundle, "--json")
    process.stdout.close()  # as `head` does, before the first line
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""


def test_a_terminal_without_letters_gets_their_codes(start, bundle, tmp_path):
    missing = tmp_path / "Größe \N{GREEK SMALL LETTER ALPHA}.wav"
    process = start("transcribe", bundle, missing, "--json", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert json.loads(out)["audio"] == str(missing)
    assert "Gr\\xf6\\xdfe \\u03b1.wav: no such audio file" in err
    assert "Traceback" not in err


def test_modules_are_short():
    for path in CLI.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300, path
