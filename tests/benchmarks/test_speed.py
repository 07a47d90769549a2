"""The benchmark as its user runs it, on a tiny model. How fast anything is, is not asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from benchmarks.contenders import Task, contenders
from benchmarks.measure import LEAST_SNR
from benchmarks.models import MADE_BY, StaleModelsError, models
from benchmarks.speech import SHIPPED, Speech
from benchmarks.speed import main
from benchmarks.workload import RATE, waveform, write_checkpoint

ROOT = Path(__file__).parents[2]
QUICK = ("torch", "onnxruntime, plain quantize_static")  # each export takes a while
TITLES = [
    "torch, transformers",
    "torch, edgespeech",
    "onnxruntime, plain export",
    "onnxruntime, plain quantize_static",
    "onnxruntime, plain quantize_dynamic",
    "onnxruntime, bundle float32",
    "onnxruntime, bundle float16",
    "onnxruntime, bundle int8",
    "OpenVINO, plain export",
    "OpenVINO, plain nncf.quantize",
    "OpenVINO, bundle float32",
    "OpenVINO, bundle float16",
    "OpenVINO, bundle int8",
    "numpy, bundle float32",
]


def kept(folder):
    return models(folder, {"size": "tiny"}, lambda place: write_checkpoint(place, "tiny"))


def speed(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.speed", "--size", "tiny", "--runs", "1", "--threads", "1"]
    command += ["--calib", SHIPPED, "--samples", "4"]
    return subprocess.run([*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=900)


def check(done, file, titles):
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    rows = {f"{row['engine']}, {row['name']}": row for row in found["rows"]}
    assert list(rows) == titles
    assert found["reference"] == titles[0]
    assert found["unavailable"] == {}
    for title, row in rows.items():
        assert row["agrees"] is True
        if row["precision"] == "int8":
            assert row["tolerance"] is None
            assert row["snr_db"] > LEAST_SNR
        else:
            assert 0 <= row["max_abs_difference"] <= row["tolerance"]
        assert len(row["seconds"]) == 1
        assert row["median_seconds"] == row["min_seconds"] == row["seconds"][0] > 0
        assert row["speedup_eager"] > 0
        engine = row["engine"]
        assert (row["speedup_plain"] is not None) == (engine + ", plain export" in titles)
        assert (row["speedup_float32"] is not None) == (engine + ", bundle float32" in titles)
        assert (row["size_share"] is not None) == (engine + ", bundle float32" in titles)
        assert (row["speedup_tool"] is not None) == (row["precision"] == "int8")
        assert row["megabytes"] > 0
        line = next(
            line for line in done.stdout.splitlines() if line.split("  ")[0] == row["engine"] and row["name"] in line
        )
        assert f"{row['median_seconds']:.4f}" in line, title
        off_by = f"{row['snr_db']:.1f} dB" if row["precision"] == "int8" else f"{row['max_abs_difference']:.1e}"
        assert off_by in line, title
    assert found["versions"]["torch"] == torch.__version__
    assert (found["size"], found["runs"], found["threads"], found["audio_seconds"]) == ("tiny", 1, 1, 0.5)
    assert found["calibration"] == {"set": SHIPPED, "samples": 4}
    assert found["machine"] in done.stdout
    assert "load average before" in done.stdout
    assert {"load_before", "load_after", "seed"} <= found.keys()


def test_some(tmp_path):
    file = tmp_path / "new" / "bench.json"
    done = speed("--seconds", 0.5, "--json", file, *(part for text in QUICK for part in ("--only", text)))
    check(done, file, [title for title in TITLES if any(text in title for text in QUICK)])


@pytest.mark.slow
def test_all(tmp_path):
    check(speed("--seconds", 0.5, "--json", tmp_path / "bench.json"), tmp_path / "bench.json", TITLES)


def test_all_are_offered(tmp_path):
    assert [each.title for each in contenders(Task(tmp_path, tmp_path, waveform(1), 1))] == TITLES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "tensorflow"], "no contender's title has tensorflow in it"),
        (["--runs", "0"], "--runs"),
        (["--seconds", "0"], "--seconds"),
        (["--models", "."], "delete it, or name another"),
        (["--calib", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(arguments, said):
    done = CliRunner().invoke(main, ["--size", "tiny", "--threads", "1", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_kept_models_are_used_again_until_something_changes(tmp_path):
    folder = tmp_path / "kept"
    with kept(folder) as place:
        assert place == folder
        written = (place / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    with kept(folder) as place:
        assert (place / "checkpoint" / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(StaleModelsError, match="delete it"), models(folder, {"size": "base"}, pytest.fail):
        pass
    made_by = json.loads((folder / MADE_BY).read_text(encoding="utf-8"))
    made_by["versions"]["torch"] = "1.0"
    (folder / MADE_BY).write_text(json.dumps(made_by), encoding="utf-8")
    with pytest.raises(StaleModelsError, match="delete it"), kept(folder):
        pass
    assert (folder / "checkpoint" / "model.safetensors").exists()


def test_temporary_models_go_away():
    with kept(None) as place:
        assert (place / "checkpoint" / "config.json").exists()
    assert not place.exists()


def test_the_checkpoint_is_seeded_and_no_weight_is_idle(tmp_path):
    for name in "ab":
        write_checkpoint(tmp_path / name, "tiny")
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in "ab")
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())
    for name, tensor in a.items():
        if tensor.ndim == 1:
            assert tensor.std() > 0.1, name  # no bias of zeros, no norm of ones


def test_the_waveform_is_as_long_as_asked():
    assert waveform(1.5).shape == (int(1.5 * RATE),)


def test_what_calibrates_is_not_what_is_heard():
    speech = Speech.open(SHIPPED, 8)
    calibrating = list(speech.calibration())
    assert len(calibrating) == 8
    heard = speech.waveform(10.0)
    assert heard.shape == (10 * RATE,)
    first = speech.data.utterances[0]
    for values in calibrating:
        assert values.shape[0] == 1
        assert values.mean() == pytest.approx(0, abs=1e-3)
        assert values.std() == pytest.approx(1, abs=1e-2)
    drawn = {utterance.id for utterance in speech.data.sample(8, 0)}
    others = [utterance for utterance in speech.data if utterance.id not in drawn]
    begins = others[0].audio.read(RATE)
    assert (heard[: len(begins)] == begins).all()
    assert first.id in drawn or first is others[0]


def test_int8_without_speech_is_no_contender(tmp_path):
    task = Task(tmp_path, tmp_path, waveform(1), 1)
    with pytest.raises(ValueError, match="speech to calibrate on"):
        task.calibrating()
