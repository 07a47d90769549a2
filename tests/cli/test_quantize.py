"""`edgespeech quantize`: INT8 from a float bundle, by a quantizer that copies graphs, as in test_export_int8."""

import json

import pytest
from edgespeech_calib.quantization import timing
from fake_quantizer import install_copying

from edgespeech.cli.options import export_rules, int8


@pytest.fixture(autouse=True)
def copying(monkeypatch):
    monkeypatch.setattr(timing, "RUNS", 1)
    install_copying(monkeypatch)


def test_a_float_bundle_becomes_what_an_export_in_int8_is(run, checkpoint, bundle, labelled, tmp_path):
    data = labelled("set.tsv")
    own, whole = tmp_path / "own", tmp_path / "whole"
    result = run("quantize", bundle, own, "--calib", data, "--samples", "2", "--report", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{own}: ctc on ONNX Runtime, int8\n")
    assert "x as fast" in result.stdout
    assert "features.0" in (tmp_path / "page.html").read_text(encoding="utf-8")
    exported = run("export", checkpoint, whole, "--precision", "int8", "--calib", data, "--samples", "2", "--json")
    report = json.loads((own / "edgespeech.json").read_text(encoding="utf-8"))["report"]
    assert report["quantization"] == json.loads(exported.stdout)["report"]["quantization"]


def test_every_option_reaches_the_quantizer(run, bundle, labelled, tmp_path):
    data = labelled("set.tsv")
    options = ("--calib", data, "--eval", data, "--samples", "2", "--seed", "5", "--scheme", "dynamic", "--json")
    limits = ("--target", "arm", "--max-wer-increase", "0.5", "--max-changed-words", "1.5", "--no-revert", "--quiet")
    found = json.loads(run("quantize", bundle, tmp_path / "int8", *options, *limits).stdout)
    said = found["report"]["quantization"]
    assert (said["scheme"], said["target"]) == ("dynamic", "arm")
    assert (said["max_wer_increase"], said["max_changed_words"]) == (0.5, 1.5)
    assert said["gate"]["measure"] == "word errors"
    assert found["provenance"]["calibration"]["seed"] == 5


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "calibrated on speech; give a set of recordings with --calib"),
        (("--samples", "3"), "--samples is of the speech of --calib; name a set there, or leave --samples out"),
        (("--calib", "x", "--eval-root", "y"), "--eval-root says where the set of a list lies; name the list with"),
        (("--calib", "x", "--target", "npu"), "'npu' is not one of 'x86-vnni'"),
        (("--calib", "nowhere"), "nowhere: no such folder, archive"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(refused, bundle, tmp_path, options, line):
    assert line in refused("quantize", bundle, tmp_path / "int8", *options)
    assert list(tmp_path.iterdir()) == []


def test_bundles_that_cannot_be_quantized(refused, a_bundle, tmp_path, labelled):
    data = labelled("set.tsv")
    assert "no such bundle" in refused("quantize", tmp_path / "nope", tmp_path / "int8", "--calib", data)
    assert "exists" in refused("quantize", a_bundle, a_bundle, "--calib", data)
    manifest = a_bundle / "edgespeech.json"
    manifest.write_text(manifest.read_text().replace('"precision": "float32"', '"precision": "float16"'))
    assert "is in float16; INT8 is made of float32" in refused("quantize", a_bundle, tmp_path / "x", "--calib", data)


def test_the_help_of_export_fits_on_a_screen_and_points_to_quantize(run):
    lines = run("export", "--help").stdout.splitlines()
    assert len(lines) <= 50
    headings = [line for line in lines if line and not line.startswith(" ") and line.endswith(":")]
    groups = ["Language model (CTC):", f"{int8.IN_EXPORT}:", "Fixed shapes (--static, or --target npu):"]
    assert headings == ["Options:", *groups]
    shown = run("quantize", "--help").stdout
    assert all(spec.flag in shown for spec in (*int8.SPECS.values(), int8.REPORT))


def test_rules_name_options_that_there_are(run):
    from edgespeech.cli.commands.export import export

    names = {parameter.name for parameter in export.params}
    assert {name for rule in export_rules.RULES for name in rule.options} <= names
