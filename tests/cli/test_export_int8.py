"""`edgespeech export --precision int8`: its options, what it says and writes, what it refuses.

The quantizer is a fake that copies graphs; what quantization itself does is held in tests/calib/quantization.
"""

import json
import re
import signal
from collections import namedtuple
from html.parser import HTMLParser

import pytest
from edgespeech_calib.errors import QualityError
from edgespeech_calib.quantization import pipeline, timing
from edgespeech_calib.quantization.judge import gate
from edgespeech_calib.quantization.judge.agreement import Finding
from edgespeech_runtime.cli.interrupts import Interrupted
from fake_quantizer import install_copying

soundfile = pytest.importorskip("soundfile")
RATE = 16000


@pytest.fixture(autouse=True)
def copying(monkeypatch):
    monkeypatch.setattr(timing, "RUNS", 1)
    install_copying(monkeypatch)


@pytest.fixture
def data(labelled):
    return labelled("set.tsv")


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "bundles"
    folder.mkdir()
    return folder


@pytest.fixture
def export(run, checkpoint, place):
    """`export("--calib", SET)`."""

    def invoke(*arguments):
        return run("export", checkpoint, place / "int8", "--precision", "int8", *arguments)

    return invoke


@pytest.fixture
def fails(refused, checkpoint, place):
    """`fails("--calib", SET)`: the line of an export that leaves nothing behind."""

    def invoke(*arguments):
        line = refused("export", checkpoint, place / "int8", "--precision", "int8", *arguments)
        assert list(place.iterdir()) == []
        return line

    return invoke


def test_people_read_what_was_done(export, data, place, run):
    result = export("--calib", data)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{place / 'int8'}: ctc on ONNX Runtime, int8\n")
    for part in (
        "static, ranges default, for ",
        "96 % of the multiply-accumulates, by the engine's own profile",
        "1 of 6: features.0 (9.0 dB)",
        "agreement with the float model: 0 of ",
        "3 utterances of set.tsv",
        "x as fast",
        "it took",
    ):
        assert part in result.stdout
    assert list(place.iterdir()) == [place / "int8"]
    shown = run("inspect", place / "int8").stdout
    assert "96 % of the multiply-accumulates" in shown
    assert "calibration.utterances" in shown


def test_progress_is_plain_lines_where_nobody_watches(export, data):
    lines = export("--calib", data).stderr.splitlines()
    assert lines[0] == "  checking recordings"
    assert "  float32: reading the checkpoint" in lines
    assert lines.count("  calibrating, the only pass") == 1  # however many utterances
    assert lines[-1] == "  timing"


def test_json_holds_the_report_and_what_was_measured(export, data, place):
    found = json.loads(export("--calib", data, "--json", "--quiet", "--samples", "2", "--seed", "5").stdout)
    manifest = json.loads((place / "int8" / "edgespeech.json").read_text(encoding="utf-8"))
    assert found["precision"] == "int8"
    assert found["report"] == manifest["report"]
    assert found["provenance"]["calibration"]["utterances"] == 2
    assert found["provenance"]["calibration"]["seed"] == 5
    assert found["measured"]["speed"]["ratio"] > 0
    assert "calibrating" in found["measured"]["steps"]


def test_word_errors_are_counted_on_labelled_speech(export, data):
    result = export("--calib", data, "--eval", data)
    assert result.exit_code == 0, result.output
    assert "word errors: word error rate +0.00 percentage points (95 % interval -" in result.stdout
    assert "0.3 allowed: not shown to be more; about " in result.stdout


def test_an_encoder_decoder(run, translator, data, place):
    result = run("export", translator, place / "int8", "--precision", "int8", "--calib", data)
    assert result.exit_code == 0, result.output
    assert "weights in int8, 80 % of its multiply-accumulates" in result.stdout
    graphs = json.loads((place / "int8" / "edgespeech.json").read_text())["graphs"]
    assert set(graphs) == {"encoder", "encoder_batch", "decoder", "cache"}


class Balance(HTMLParser):
    """Counts tags that are opened and closed."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Nothing stays open."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("with_eval", [False, True])
def test_the_page_shows_it_and_needs_nothing_else(export, data, tmp_path, with_eval):
    target = tmp_path / "pages" / "report.html"
    assert export("--calib", data, "--report", target, *(["--eval", data] if with_eval else [])).exit_code == 0
    text = target.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert Balance(text).open == []
    assert not re.search(r"""(?:src|href)=|url\(|@import""", text)
    for part in ("features.0", "under the 20 dB", "x as fast", "calibrated on 3 utterances", "float</td>"):
        assert part in text
    assert ("<circle" in text) == with_eval
    assert text.count("<rect") == 6


def test_a_page_that_is_there_is_not_replaced(fails, data, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("mine", encoding="utf-8")
    line = fails("--calib", data, "--report", target)
    assert line == f"{target} exists; name another file, or replace it with --force"
    assert target.read_text(encoding="utf-8") == "mine"


def test_an_evaluation_shows_the_noise_that_the_export_measured(export, run, data, place, tmp_path):
    export("--calib", data)
    target = tmp_path / "page.html"
    assert run("evaluate", place / "int8", "--data", data, "--html", target).exit_code == 0
    section = target.read_text(encoding="utf-8").partition('<section id="layers">')[2].partition("</section>")[0]
    assert section.count("<rect") == 6
    assert "features.0: 9.0 dB, computes in float" in section


def test_int8_needs_speech(fails):
    assert "name a set of recordings with --calib" in fails()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--calib", "x"], "--calib"),
        (["--samples", "128"], "--samples"),
        (["--eval", "x"], "--eval"),
        (["--no-revert"], "--no-revert"),
        (["--max-wer-increase", "0.1"], "--max-wer-increase"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_options_of_int8_are_for_int8(refused, checkpoint, place, flags, named, precision):
    line = refused("export", checkpoint, place / "float", "--precision", precision, *flags)
    assert line == f"{named} is for --precision int8; add that, or leave {named} out"
    assert list(place.iterdir()) == []


def test_sets_that_are_none(fails, data, tmp_path):
    assert "no such folder, archive" in fails("--calib", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "holds no sound files" in fails("--calib", tmp_path / "empty")
    assert "has no transcripts" in fails("--calib", data, "--eval", data.parent)
    assert "name the list with --eval" in fails("--calib", data, "--eval-root", data)
    for path in (*data.parent.glob("*.wav"), *data.parent.glob("*.flac")):
        path.write_bytes(path.read_bytes()[:100])
    assert "none of the 3 recordings" in fails("--calib", data)


def test_a_list_whose_checksums_fail(run, fails, data, tmp_path, speech):
    listed = tmp_path / "lists" / "two.tsv"
    assert run("calib", "draw", data, listed, "--samples", "2").exit_code == 0
    assert "--root" in fails("--calib", listed)
    for path in data.parent.glob("*.wav"):
        soundfile.write(path, speech(0.4, seed=9), RATE)
    (data.parent / "b.flac").write_bytes((data.parent / "a.wav").read_bytes())
    assert "has another SHA-256 than the list says" in fails("--calib", listed, "--calib-root", data)


def test_damaged_and_foreign_recordings_are_named(export, data, speech):
    soundfile.write(data.parent / "a.wav", speech(0.5)[::2], RATE // 2)
    whole = (data.parent / "b.flac").read_bytes()
    (data.parent / "b.flac").write_bytes(whole[: len(whole) // 2])
    result = export("--calib", data, "--quiet")
    assert result.exit_code == 0, result.output
    left_out, resampled = result.stderr.splitlines()
    assert left_out.startswith("edgespeech: calibration: left out 1 utterance: b (")
    assert resampled == "edgespeech: calibration: resampled 1 recording from 8000 Hz to the model's 16000 Hz"


def test_places_that_are_taken(refused, checkpoint, data, place, a_checkpoint):
    (place / "int8").mkdir()
    given = ("--precision", "int8", "--calib", data)
    assert "exists" in refused("export", checkpoint, place / "int8", *given)
    assert list((place / "int8").iterdir()) == []
    assert "holds the checkpoint" in refused("export", a_checkpoint, a_checkpoint, *given, "--force")
    assert (a_checkpoint / "config.json").exists()


def test_a_bundle_is_replaced_by_force_alone(export, data, place):
    assert export("--calib", data).exit_code == 0
    assert export("--calib", data, "--force").exit_code == 0
    assert list(place.iterdir()) == [place / "int8"]


def test_a_result_that_is_too_bad_is_one_line(fails, data, monkeypatch):
    monkeypatch.setattr(gate, "agrees", lambda *given: Finding(False, False, "all words differ"))
    line = fails("--calib", data, "--no-revert", "--report", "page.html")
    assert line.startswith("INT8 costs more than is allowed: all words differ; the worst layers: features.0 (9.0 dB)")


def test_a_full_disk(fails, data, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1, 1, 1000))
    assert "make room" in fails("--calib", data)


def test_an_interruption_leaves_nothing(run, checkpoint, data, place, monkeypatch):
    def stop(*given):
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(pipeline, "_quantize", stop)
    result = run("export", checkpoint, place / "int8", "--precision", "int8", "--calib", data, "--quiet")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "edgespeech: interrupted; nothing was written\n"
    assert list(place.iterdir()) == []


def test_options_reach_the_quantizer(refused, data, monkeypatch):
    def tell(checkpoint, bundle, recordings, options, **others):
        others.pop("progress")
        labelled = others.pop("evaluation_data")
        raise QualityError(
            f"{checkpoint} {bundle} {len(recordings)} {len(labelled)} {options} {sorted(others.items())}"
        )

    monkeypatch.setattr("edgespeech_calib.quantization.export_int8", tell)
    flags = ["--precision", "int8", "--calib", data, "--eval", data, "--samples", "7", "--seed", "3", "--engine"]
    flags += ["openvino", "--scheme", "dynamic", "--ranges", "entropy", "--decoder-weights", "int4", "--target", "arm"]
    flags += [
        "--max-wer-increase",
        "0.5",
        "--max-changed-words",
        "1.5",
        "--no-revert",
        "--target-lang",
        "deu",
        "--force",
    ]
    line = refused("export", "mms", "out", *flags)
    options = (
        "QuantizationOptions(samples=7, seed=3, scheme='dynamic', ranges='entropy', decoder_weights='int4', "
        "target='arm', max_wer_increase=0.5, max_changed_words=1.5, revert=False)"
    )
    rest = "('language_model', None), ('layers', None), ('target_lang', 'deu')"
    assert line == f"mms out 3 3 {options} [('edges_from', None), ('engine', 'openvino'), ('force', True), {rest}]"
