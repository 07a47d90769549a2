"""`edgespeech export --engine numpy --precision int8`: it needs no speech, says what it did, and what it refuses."""

import json

import pytest
from edgespeech_calib.quantization import timing


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(timing, "RUNS", 1)


@pytest.fixture
def arguments(checkpoint, tmp_path):
    return ("export", checkpoint, tmp_path / "int8", "--engine", "numpy", "--precision", "int8", "--quiet")


def test_without_speech_the_golden_input_decides(run, arguments, tmp_path):
    result = run(*arguments, "--report", tmp_path / "report.html")
    assert result.exit_code == 0, result.output
    for part in (
        "ctc on numpy, int8\n",
        "weights alone, computed in float32",
        " % of the weights\n",
        "agreement with the float model: ",
        "1 utterance of golden input",
        "layers in float       0 of ",
    ):
        assert part in result.stdout
    shown = run("inspect", tmp_path / "int8").stdout
    assert "weights alone, computed in float32" in shown
    assert "golden input" in shown
    assert "computed in float32" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_word_errors_are_counted_without_calibration(run, arguments, labelled):
    result = run(*arguments, "--eval", labelled("set.tsv"), "--max-wer-increase", "100", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["report"]["quantization"]["gate"]["measure"] == "word errors"
    assert found["provenance"]["calibration"]["set"] == "golden input"


def test_a_translator(run, translator, tmp_path, labelled):
    options = ("--engine", "numpy", "--precision", "int8", "--calib", labelled("set.tsv"), "--samples", "2", "--quiet")
    result = run("export", translator, tmp_path / "int8", *options)
    assert result.exit_code == 0, result.output
    assert "encoder-decoder on numpy, int8" in result.stdout
    assert "2 utterances of set.tsv" in result.stdout


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--scheme", "static"), "--scheme does not go with --engine numpy"),
        (("--ranges", "entropy"), "--ranges does not go with --engine numpy"),
        (("--target", "arm"), "--target does not go with --engine numpy"),
        (("--decoder-weights", "int8"), "--decoder-weights does not go with --engine numpy"),
        (("--samples", "3"), "--samples is of the speech of --calib"),
        (("--seed", "1"), "--seed is of the speech of --calib"),
        (("--calib-root", "here"), "--calib-root is of the speech of --calib"),
        (("--eval-root", "here"), "name the list with --eval"),
        (("--target", "npu"), "written for ONNX Runtime"),
        (("--static",), "INT8 with fixed shapes is for NPUs"),
    ],
)
def test_what_does_not_go_with_it(refused, arguments, tmp_path, options, line):
    assert line in refused(*arguments, *options)
    assert not (tmp_path / "int8").exists()
