"""`edgespeech evaluate`: what it says, what it writes, what it refuses."""

import json
import signal

import pytest
from edgespeech_calib.evaluation.worker import Worker
from edgespeech_runtime.cli.interrupts import Interrupted
from tone_heads import build_head
from tones import spoken

soundfile = pytest.importorskip("soundfile")
RATE = 16000


@pytest.fixture
def data(labelled):
    return labelled("test.tsv")


def test_people_read_rates_intervals_and_costs(run, bundle, data):
    result = run("evaluate", bundle, "--data", data, "--threads", "1")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for part in ("3 utterances of", "compared as basic", "95 % interval", "substitutions", "in 6 words", "real-time"):
        assert part in result.stdout
    for label in ("word errors", "character errors", "size", "peak memory", "load", "0 to 2 s"):
        assert f"  {label}" in result.stdout


def test_json_holds_all_of_it_and_nothing_else_is_on_stdout(run, bundle, data):
    result = run("evaluate", bundle, "--data", data, "--json", "--samples", "2", "--seed", "3", "--normalise", "none")
    found = json.loads(result.stdout)
    (system,) = found["systems"]
    assert system["utterances"] == len(system["results"]) == 2
    assert system["words"] == 4
    assert system["wer"] == (system["substitutions"] + system["insertions"] + system["deletions"]) / system["words"]
    assert system["wer_interval"]["low"] <= system["wer"] <= system["wer_interval"]["high"]
    assert {"p50", "p90", "p99"} <= system["latency"][0].keys()
    assert (found["normalisation"]["name"], found["samples"], found["seed"]) == ("none", 2, 3)
    assert found["comparisons"] == []


def test_what_is_heard_is_what_transcribe_hears(run, bundle, data):
    found = json.loads(run("evaluate", bundle, "--data", data, "--json").stdout)
    said = [json.loads(line) for line in run("transcribe", bundle, data.parent, "--json").stdout.splitlines()]
    assert [result["heard"] for result in found["systems"][0]["results"]] == [line["text"] for line in said]


def test_a_comparison_and_its_page(run, bundle, a_bundle, data, tmp_path):
    target = tmp_path / "pages" / "report.html"
    result = run("evaluate", bundle, "--compare", a_bundle, "--data", data, "--html", target)
    assert result.exit_code == 0, result.output
    assert f"{bundle} against {a_bundle}" in result.stdout
    assert "+0.00 percentage points" in result.stdout
    assert "different answers  none" in result.stdout
    text = target.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.count("<circle") == 2


def test_damaged_recordings_are_left_out_and_named(run, bundle, data):
    (data.parent / "b.flac").write_bytes(b"fLaC")
    result = run("evaluate", bundle, "--data", data)
    assert result.exit_code == 0, result.output
    assert "2 utterances of" in result.stdout
    assert "left out 1 utterance: b (" in result.stderr


def test_other_rates_are_resampled_and_it_is_said(run, bundle, data, speech):
    soundfile.write(data.parent / "a.wav", speech(0.5)[::2], RATE // 2)
    result = run("evaluate", bundle, "--data", data)
    assert result.exit_code == 0, result.output
    assert result.stderr == "edgespeech: resampled 1 recording from 8000 Hz to the model's 16000 Hz\n"


def test_a_page_that_is_there_is_not_replaced(refused, run, bundle, data, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("mine", encoding="utf-8")
    arguments = ("evaluate", bundle, "--data", data, "--html", target)
    assert refused(*arguments) == f"{target} exists; name another file, or replace it with --force"
    assert target.read_text(encoding="utf-8") == "mine"
    assert run(*arguments, "--force").exit_code == 0
    assert target.read_text(encoding="utf-8") != "mine"


def test_a_set_without_transcripts(refused, bundle, data):
    assert "has no transcripts" in refused("evaluate", bundle, "--data", data.parent)
    assert "test.tsv may be one" in refused("evaluate", bundle, "--data", data.parent)


def test_sets_that_are_none(refused, bundle, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no sound files" in refused("evaluate", bundle, "--data", tmp_path / "empty")
    assert "no such folder, archive" in refused("evaluate", bundle, "--data", tmp_path / "nowhere")
    (tmp_path / "x.tar.gz").write_bytes(b"\x1f\x8b" + bytes(50))
    assert "no tar archive" in refused("evaluate", bundle, "--data", tmp_path / "x.tar.gz")


def test_systems_that_are_none(refused, bundle, a_bundle, data, tmp_path):
    assert "is not there" in refused("evaluate", tmp_path / "nowhere", "--data", data)
    assert "neither a bundle nor a checkpoint" in refused("evaluate", data.parent, "--data", data)
    assert "named twice" in refused("evaluate", bundle, "--compare", bundle, "--data", data)
    next(a_bundle.glob("*.onnx")).write_bytes(b"")
    assert "export the bundle again" in refused("evaluate", a_bundle, "--data", data)


def test_options_of_decoders(refused, bundle, data):
    assert "--num-beams is not for" in refused("evaluate", bundle, "--data", data, "--num-beams", "4")


def test_a_list_needs_its_set(run, refused, bundle, data, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESPEECH_DATA", str(tmp_path / "fetched"))
    listed = tmp_path / "lists" / "two.tsv"
    assert run("calib", "draw", data, listed, "--samples", "2").exit_code == 0
    assert "--root" in refused("evaluate", bundle, "--data", listed)
    result = run("evaluate", bundle, "--data", listed, "--root", data)
    assert "2 utterances of" in result.stdout


def test_an_interruption_ends_the_process_that_runs_the_model(run, bundle, data, tmp_path, monkeypatch):
    started = []

    def stop(worker, waveforms, batch_size):
        started.append(worker._process)
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(Worker, "answer", stop)
    result = run("evaluate", bundle, "--data", data, "--html", tmp_path / "x.html")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "edgespeech: interrupted\n"
    assert [process.poll() is not None for process in started] == [True]
    assert not (tmp_path / "x.html").exists()


def test_classifiers_are_judged_by_accuracy(run, refused, data, tmp_path):
    folder, sounds = tmp_path / "classifier", tmp_path / "sounds"
    folder.mkdir()
    bundle = build_head("onnx", "audio-classification", folder)
    for name, frames in (("A/one", "AAB"), ("A/two", "BB"), ("B/three", "BCB"), ("Z/four", "CC")):
        (sounds / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(sounds / f"{name}.wav", spoken(frames), RATE)
    result = run("evaluate", bundle, "--data", sounds)
    assert result.exit_code == 0, result.output
    for part in (
        "66.67 %, 95 % interval",
        "2 of 3 labels right",
        "A 1 of 2, B 1 of 1",
        "A for B (1)",
        "real-time factor",
    ):
        assert part in result.stdout
    assert "left out 1 utterance: Z/four (the model does not know the label 'Z')" in result.stderr
    assert "has no labels" in refused("evaluate", bundle, "--data", data)
