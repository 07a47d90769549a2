"""`transcribe --manifest`, `merge`, and `evaluate` with many workers."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import tone_bundles
import tone_heads
from corpora import RATE, SAID, TEXTS, descendants, kill, workers
from edgespeech_calib import open_set
from edgespeech_calib.evaluation.evaluation import evaluate
from tone_bundles import spoken

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at in /proc")


@pytest.fixture(scope="session")
def tone_bundle(tmp_path_factory):
    return tone_bundles.build("onnx", tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    """240 recordings of a few words."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for index in range(240):
        soundfile.write(folder / f"{index:03}.wav", spoken(SAID[index % len(SAID)]), RATE)
        rows.append({"audio_filepath": f"{index:03}.wav", "text": TEXTS[index % len(TEXTS)]})
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "corpus.jsonl"


def content(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").iterdir())}


@pytest.fixture
def small(manifest, tmp_path):
    """A manifest of four of them, and one that is not there."""
    rows = [json.loads(line) for line in manifest.read_text().splitlines()[:4]]
    rows = [{**row, "audio_filepath": str(manifest.parent / row["audio_filepath"])} for row in rows]
    rows.append({"audio_filepath": "gone.wav", "text": "A"})
    (tmp_path / "small.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "small.jsonl"


def test_a_corpus_from_manifest_to_one_file(run, refused, tone_bundle, small, tmp_path):
    out = tmp_path / "out"
    result = run("transcribe", tone_bundle, "--manifest", small, "--output-dir", out, "--shards", 2)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "1 of 5 recordings failed" in result.stderr
    again = run("transcribe", tone_bundle, "--manifest", small, "--output-dir", out)
    assert again.exit_code == 1
    assert "2 of 2 shards are there already" in again.stderr
    merged = run("merge", out, "--json")
    assert merged.exit_code == 0
    facts = json.loads(merged.stdout)
    assert (facts["rows"], facts["failures"], facts["of_shards"]) == (5, 1, 2)
    rows = [json.loads(line) for line in (out / "merged.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == [*TEXTS[:4], None]
    assert "gone.wav: no such audio file" in rows[4]["error"]
    table = run("merge", out, "--format", "tsv", "--output", tmp_path / "x.tsv")
    assert "words per minute" in table.stdout
    assert (tmp_path / "x.tsv").read_text().count("\n") == 6
    assert run("merge", out, "--format", "srt").exit_code == 0
    assert len(list((out / "srt").rglob("*.srt"))) == 4
    assert "has no arrays" in refused("merge", out, "--format", "npz")


def test_what_is_refused(refused, tone_bundle, small, tmp_path):
    out = tmp_path / "out"
    of_corpus = ("transcribe", tone_bundle, "--manifest", small)
    assert "--output-dir" in refused(*of_corpus)
    of_corpus = (*of_corpus, "--output-dir", out)
    assert "--manifest and --srt exclude" in refused(*of_corpus, "--srt")
    assert "the manifest names the recordings" in refused(*of_corpus, "a.wav")
    assert "--num-beams is not for" in refused(*of_corpus, "--num-beams", 2)
    assert "--workers is for a corpus" in refused("transcribe", tone_bundle, "a.wav", "--workers", 2)
    assert "no such bundle" in refused("transcribe", tmp_path / "nope", *of_corpus[2:])
    assert "no such manifest" in refused(*of_corpus[:3], tmp_path / "gone.jsonl", "--output-dir", out)
    assert "device 'npu'" in refused(*of_corpus, "--device", "npu")
    assert "--compare and --workers exclude" in refused(
        "evaluate", tone_bundle, "--data", small, "--workers", 1, "--compare", tmp_path
    )
    assert "holds no run" in refused("merge", tmp_path)
    assert not out.exists() or not (out / "run.json").exists()


def test_options_that_differ_are_named(run, refused, tone_bundle, small, tmp_path):
    of_corpus = ("transcribe", tone_bundle, "--manifest", small, "--output-dir", tmp_path / "out", "--quiet")
    assert run(*of_corpus).exit_code == 1
    assert "another batch_size: 8, and now it is 4" in refused(*of_corpus, "--batch-size", 4)
    assert "another beams: null, and now it is 3" in refused(*of_corpus, "--beams", 3)
    small.write_text(small.read_text() + '{"audio_filepath": "more.wav"}\n')
    assert "another manifest" in refused(*of_corpus)


def test_tasks_of_a_slurm_array_write_all_shards(run, refused, tone_bundle, small, tmp_path, monkeypatch):
    of_corpus = ("transcribe", tone_bundle, "--manifest", small, "--output-dir", tmp_path / "out")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    assert run(*of_corpus).exit_code == 0
    assert "1 of 2 shards" in refused("merge", tmp_path / "out")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    result = run(*of_corpus)
    assert result.exit_code == 1
    assert "task 2 of 2 of a SLURM job array: 1 shard of 2" in result.stderr
    assert json.loads(run("merge", tmp_path / "out", "--json").stdout)["rows"] == 5


def test_word_errors_over_workers_are_those_of_one_process(run, tone_bundle, manifest, tmp_path):
    rows = manifest.read_text().splitlines()[:30]
    rows = [row.replace("B B", "B A").replace('"0', f'"{manifest.parent}/0') for row in rows]
    (tmp_path / "wrong.jsonl").write_text("\n".join(rows) + "\n")
    result = run("evaluate", tone_bundle, "--data", tmp_path / "wrong.jsonl", "--workers", 2, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    expected = evaluate([tone_bundle], open_set(tmp_path / "wrong.jsonl")).to_dict()["systems"][0]
    assert found["wer"] == expected["wer"] > 0
    assert found["wer_interval"] == expected["wer_interval"]
    assert (found["cer"], found["words"], found["utterances"]) == (expected["cer"], expected["words"], 30)
    shown = run("evaluate", tone_bundle, "--data", tmp_path / "wrong.jsonl", "--output-dir", tmp_path / "rows")
    assert "95 % interval" in shown.stdout
    assert len(list((tmp_path / "rows" / "shards").iterdir())) == 1


def test_embeddings_and_labels(run, refused, small, tmp_path):
    for task in ("audio-xvector", "audio-classification"):
        (tmp_path / task).mkdir()
        bundle = tone_heads.build_head("onnx", task, tmp_path / task)
        out = tmp_path / f"out-{task}"
        assert run("transcribe", bundle, "--manifest", small, "--output-dir", out).exit_code == 1
        assert "it writes no text" in refused(
            "transcribe", bundle, "--manifest", small, "--output-dir", out, "--beams", 2
        )
    with np.load(tmp_path / "out-audio-xvector" / "shards" / "00000.npz") as archive:
        assert archive["embeddings"].shape == (4, 3)
        assert len(archive["ids"]) == 4
    assert run("merge", tmp_path / "out-audio-xvector", "--format", "npz").exit_code == 0
    with np.load(tmp_path / "out-audio-xvector" / "merged.npz") as archive:
        assert archive["embeddings"].shape == (4, 3)
    assert '"label": ' in (tmp_path / "out-audio-classification" / "shards" / "00000.jsonl").read_text()


def disturbed(start, arguments, folders, kills, generator):
    """Runs to new folders, with so many kills -9 of workers and drivers at random moments; returns the folders."""
    killed, used = 0, []
    for folder in folders:
        used.append(folder)
        while True:
            process = start(*arguments, "--output-dir", folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None:
                time.sleep(generator.uniform(0.05, 0.7))
                there = workers(process.pid)
                is_driver = generator.random() < 0.25
                if killed < kills and (is_driver or there):
                    killed += kill(process.pid if is_driver else int(generator.choice(there)))
            if process.returncode >= 0:
                assert process.returncode == 0
                break
        if killed >= kills:
            return used
    raise AssertionError(f"{killed} kills in {len(used)} runs")


def check_kills(start, tone_bundle, manifest, tmp_path, kills, *options):
    arguments = ("transcribe", tone_bundle, "--manifest", manifest, "--threads", 1, "--shards", 12)
    arguments += ("--workers", 2, "--beams", 100, "--batch-size", 2)
    assert start(*arguments, "--output-dir", tmp_path / "whole", "--quiet").wait() == 0
    expected = content(tmp_path / "whole")
    assert sum(value.count(b"\n") for value in expected.values()) == 240
    folders = (tmp_path / f"out-{index}" for index in range(40))
    for folder in disturbed(start, (*arguments, *options), folders, kills, np.random.default_rng(kills)):
        assert content(folder) == expected
        assert (folder / "run.json").read_bytes() == (tmp_path / "whole" / "run.json").read_bytes()


@linux
def test_five_kills_change_no_byte(start, tone_bundle, manifest, tmp_path):
    check_kills(start, tone_bundle, manifest, tmp_path, 5)


@linux
@pytest.mark.slow
def test_fifty_kills_change_no_byte(start, tone_bundle, manifest, tmp_path):
    check_kills(start, tone_bundle, manifest, tmp_path, 50)


@linux
@pytest.mark.slow
def test_fifty_kills_over_ray_change_no_byte(start, tone_bundle, manifest, tmp_path):
    pytest.importorskip("ray")
    check_kills(start, tone_bundle, manifest, tmp_path, 50, "--ray")


@linux
def test_workers_end_with_the_driver_and_with_ctrl_c(start, tone_bundle, manifest, tmp_path):
    arguments = ("transcribe", tone_bundle, "--manifest", manifest, "--workers", 2, "--beams", 100, "--shards", 12)
    for number in (signal.SIGKILL, signal.SIGINT):
        process = start(*arguments, "--output-dir", tmp_path / "out")
        while not list((tmp_path / "out").glob("shards/*.jsonl")):
            time.sleep(0.05)
            assert process.poll() is None
        own = list(descendants(process.pid))
        os.kill(process.pid, number)
        message = process.communicate(timeout=60)[1]
        assert process.returncode == (-9 if number == signal.SIGKILL else 130)
        for _ in range(100):
            left = [pid for pid in own if os.path.exists(f"/proc/{pid}")]  # noqa: PTH110
            if not left:
                break
            time.sleep(0.1)
        assert not left
        (tmp_path / "out" / "shards" / "00000.jsonl").unlink(missing_ok=True)
        for path in (tmp_path / "out" / "shards").iterdir():
            path.unlink()
    assert "interrupted; " in message
    assert "the same command goes on" in message


def test_a_run_that_was_killed_behind_its_last_shard_is_recorded(run, tone_bundle, small, tmp_path):
    of_corpus = ("transcribe", tone_bundle, "--manifest", small, "--output-dir", tmp_path / "out", "--quiet")
    run(*of_corpus)
    path = tmp_path / "out" / "run.json"
    before = path.read_bytes()
    path.write_text(json.dumps({**json.loads(before), "done": [], "rows": 0, "failures": 0}))
    assert run(*of_corpus).exit_code == 1
    assert path.read_bytes() == before
