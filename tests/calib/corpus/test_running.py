"""Runs over a corpus: shards, resumption, what differs is refused, bad recordings are rows."""

import json
import shutil

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
import tone_heads
import tone_translator
from corpora import RATE, SAID, TEXTS
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.output import Output
from edgespeech_calib.corpus.rows import Row
from edgespeech_calib.corpus.running import LOST
from edgespeech_calib.errors import CorpusError
from tone_bundles import spoken


def job(bundle, method="transcribe", **more):
    return Job(str(bundle), method, threads=1, **more)


def content(output):
    return {path.name: path.read_bytes() for path in sorted((output.folder / "shards").iterdir())}


def test_rows_are_what_the_model_gives_each_recording(bundle, tones, tmp_path, run_inline, rows):
    manifest = tones(12)
    output, summary = run_inline(job(bundle), manifest, tmp_path / "out")
    found = rows(output)
    assert [row["line"] for row in found] == list(range(1, 13))
    assert [row["text"] for row in found] == [TEXTS[index % len(TEXTS)] for index in range(12)]
    with edgespeech_runtime.load(bundle, threads=1) as model:
        for row in found:
            alone = model.transcribe(row["audio"])
            assert row["text"] == alone.text
            assert row["duration"] == pytest.approx(alone.duration, abs=1e-3)
            times = [(word["start"], word["end"], word["confidence"]) for word in row["words"]]
            expected = [(word.start, word.end, word.confidence) for word in alone.words]
            np.testing.assert_allclose(times, expected, atol=1e-3)
            assert row["confidence"] == pytest.approx(np.mean([word.confidence for word in alone.words]), abs=1e-3)
    assert {row["error"] for row in found} == {None}
    assert (summary.rows, summary.failed, summary.words) == (12, 0, sum(len(row["text"].split()) for row in found))
    assert summary.audio_seconds == pytest.approx(sum(row["duration"] for row in found))
    run = json.loads((output.folder / "run.json").read_text())
    assert (run["shards"], run["done"], run["rows"], run["failures"]) == (2, [0, 1], 12, 0)


def test_bad_lines_are_rows_and_the_run_goes_on(bundle, tones, tmp_path, run_inline, rows):
    folder = tones(2).parent
    soundfile.write(folder / "other.wav", spoken("A_B|C")[::2], RATE // 2)  # another rate, half the samples
    soundfile.write(folder / "short.wav", np.zeros(100, np.float32), RATE)
    (folder / "noise.flac").write_bytes(b"fLaC, and no more of it")
    (folder / "empty.wav").touch()
    bad = ["gone.wav", "short.wav", "noise.flac", "empty.wav", "."]
    lines = [
        {"audio_filepath": "0000.wav"},
        *({"audio_filepath": name} for name in bad),
        {"audio_filepath": "0001.wav", "offset": 9.0, "duration": 1.0},
        "",
        "{",
        {"audio_filepath": "0000.wav"},
        {"audio_filepath": "0001.wav", "duration": -1},
        {"audio_filepath": "0000.wav", "offset": 0.06, "duration": 0.04, "id": "part"},
        {"audio_filepath": "other.wav"},
    ]
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "bad.jsonl").write_text("\n".join(texts) + "\n")
    output, summary = run_inline(job(bundle), folder / "bad.jsonl", tmp_path / "out")
    found = rows(output)
    assert [row["line"] for row in found] == list(range(1, 14))
    assert [row["line"] for row in found if row["error"] is None] == [1, 12, 13]
    assert summary.failed == 10
    assert found[0]["text"] == "AB C"
    assert found[11]["text"] == "C"
    assert found[11]["offset"] == 0.06
    assert found[12]["duration"] == pytest.approx(0.1)
    messages = ["no such audio file", "too few", "noise.flac", "the file is empty", "it is a folder", "behind the end"]
    messages += ["line 8: the line is empty", "not JSON", "the id '0000.wav' is that of line 1 too", "the duration is"]
    for row, message in zip([row for row in found if row["error"]], messages, strict=True):
        assert message in row["error"]
        assert row["text"] is None


def test_a_run_goes_on_where_it_stopped(bundle, tones, tmp_path, run_inline):
    manifest = tones(25)
    whole, _ = run_inline(job(bundle), manifest, tmp_path / "whole", shards=5)
    run_inline(job(bundle), manifest, tmp_path / "out", shards=5, chosen=[1, 3])
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "shards").iterdir()}
    assert sorted(before) == ["00001.jsonl", "00003.jsonl"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["done"] == [1, 3]
    output, summary = run_inline(job(bundle), manifest, tmp_path / "out", shards=5)
    assert content(output) == content(whole)
    assert summary.rows == 25
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "shards").iterdir()}
    assert {name: after[name] for name in before} == before
    assert (tmp_path / "out" / "run.json").read_bytes() == (tmp_path / "whole" / "run.json").read_bytes()


def test_another_run_in_the_folder_is_refused(bundle, tones, tmp_path, run_inline):
    manifest = tones(5)
    run_inline(job(bundle), manifest, tmp_path / "out", shards=2)
    before = content(Output(tmp_path / "out"))
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    run_inline(job(other), manifest, tmp_path / "out", shards=2)  # the same bundle elsewhere is the same bundle
    facts = json.loads((other / "edgespeech.json").read_text())
    facts["provenance"] = {"note": "another"}
    (other / "edgespeech.json").write_text(json.dumps(facts))
    longer = tones(6, "longer.jsonl")
    for wrong, path, shards, message in [
        (job(other), manifest, 2, "another bundle"),
        (job(bundle, batch_size=3), manifest, 2, "another batch_size: 8, and now it is 3"),
        (job(bundle, arguments={"beams": 4}), manifest, 2, "another beams: null, and now it is 4"),
        (job(bundle), longer, 2, "another manifest"),
        (job(bundle), manifest, 3, "of 2 shards, not 3"),
    ]:
        with pytest.raises(CorpusError, match=message):
            run_inline(wrong, path, tmp_path / "out", shards=shards)
    assert content(Output(tmp_path / "out")) == before
    with pytest.raises(CorpusError, match=r"0000\.wav for one"):
        run_inline(job(bundle), manifest, manifest.parent)


def test_a_lost_worker_costs_its_chunk(bundle, tones, tmp_path, run_inline):
    manifest = tones(40)
    whole, _ = run_inline(job(bundle, batch_size=2), manifest, tmp_path / "whole")
    generator = np.random.default_rng(0)
    output, _ = run_inline(
        job(bundle, batch_size=2), manifest, tmp_path / "out", is_lost=lambda chunk: generator.random() < 0.5
    )
    assert content(output) == content(whole)


def test_a_recording_that_ends_every_worker_is_a_row(bundle, tones, tmp_path, run_inline, rows):
    def is_lost(chunk):
        return any(entry.id == "0003.wav" for entry in chunk.entries)

    output, summary = run_inline(job(bundle), tones(12), tmp_path / "out", is_lost=is_lost)
    found = rows(output)
    assert [row["id"] for row in found if row["error"]] == ["0003.wav"]
    assert f"{LOST} workers were lost" in found[3]["error"]
    assert [row["text"] for row in found[:3]] == list(TEXTS[:3])
    assert (summary.rows, summary.failed) == (12, 1)


def test_more_shards_than_recordings(bundle, tones, tmp_path, run_inline, rows):
    output, _ = run_inline(job(bundle), tones(3), tmp_path / "out", shards=7)
    assert len(content(output)) == 7
    assert [row["line"] for row in rows(output)] == [1, 2, 3]


@pytest.mark.parametrize("task", tone_heads.TASKS)
def test_every_head_has_rows(task, tones, tmp_path, run_inline, rows):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    tone_heads.build_head("onnx", task, bundle)
    method = {"audio-classification": "classify", "audio-frame-classification": "frames", "audio-xvector": "embed"}[
        task
    ]
    output, _ = run_inline(job(bundle, method), tones(10, label="A"), tmp_path / "out")
    found = rows(output)
    with edgespeech_runtime.load(bundle, threads=1) as model:
        alone = [getattr(model, method)(row["audio"]) for row in found]
    if method == "classify":
        assert [row["label"] for row in found] == [one.label for one in alone]
        assert [row["score"] for row in found] == pytest.approx([one.score for one in alone], abs=1e-5)
        assert {row["reference"] for row in found} == {"A"}
    elif method == "frames":
        assert [[part["label"] for part in row["segments"]] for row in found] == [
            [segment.label for segment in one.segments()] for one in alone
        ]
        assert any(row["segments"] for row in found)
    else:
        for row, one in zip(found, alone, strict=True):
            with np.load(output.folder / row["array"]["file"]) as archive:
                assert archive["ids"][row["array"]["row"]] == row["id"]
                np.testing.assert_allclose(archive["embeddings"][row["array"]["row"]], one, atol=1e-5)
        again, _ = run_inline(job(bundle, method), tones(10, label="A"), tmp_path / "again")
        assert content(again) == content(output)


def test_an_encoder_decoder_has_rows(tones, tmp_path, run_inline, rows):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    tone_translator.write_bundle(bundle, "onnx")
    output, _ = run_inline(job(bundle, arguments={"num_beams": 2}), tones(5), tmp_path / "out")
    with edgespeech_runtime.load(bundle, threads=1) as model:
        for row in rows(output):
            assert row["text"] == model.transcribe(row["audio"], num_beams=2).text
            assert row["words"] == []
            assert row["confidence"] is None


def test_long_recordings_run_too(bundle, tones, tmp_path, run_inline, rows):
    folder = tones(1).parent
    words = spoken("|".join([SAID[4]] * 8))
    soundfile.write(folder / "long.wav", np.concatenate([words, np.zeros(50 * RATE, np.float32), words]), RATE)
    (folder / "x.jsonl").write_text('{"audio_filepath": "long.wav"}\n{"audio_filepath": "0000.wav"}\n')
    output, _ = run_inline(job(bundle), folder / "x.jsonl", tmp_path / "out")
    long, short = rows(output)
    with edgespeech_runtime.load(bundle, threads=1) as model:
        alone = model.transcribe(folder / "long.wav")
    assert long["text"] == alone.text
    assert len(long["words"]) == len(alone.words) > 70
    assert [part["text"] for part in long["segments"]] == [part.text for part in alone.segments]
    assert long["words"][-1]["start"] > 50
    assert short["text"] == "AB C"


def test_what_is_no_number_is_null():
    row = Row(1, {"score": float("nan"), "scores": [{"score": float("inf")}], "error": None})
    assert json.loads(row.to_json()) == {"score": None, "scores": [{"score": None}], "error": None}


def test_what_a_killed_run_left_half_written_goes(bundle, tones, tmp_path, run_inline):
    output, _ = run_inline(job(bundle), tones(2), tmp_path / "out")
    half = [output.folder / ".run.json.1.partial", output.folder / "shards" / ".00000.jsonl.2.partial"]
    for path in half:
        path.touch()
    output.tidy()
    assert not [path for path in half if path.exists()]
    assert output.shard(0).exists()
