"""Shards to one file or to subtitles, totals, and how right rows are."""

import json

import edgespeech_runtime
import numpy as np
import pytest
import tone_heads
from corpora import TEXTS
from edgespeech_calib import score
from edgespeech_calib.corpus import merging
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.scores import score_rows
from edgespeech_calib.errors import CorpusError
from edgespeech_calib.scoring.bootstrap import interval
from edgespeech_calib.speech.manifests import read
from edgespeech_runtime.bundle.manifest import Features


@pytest.fixture
def output(bundle, tones, tmp_path, run_inline):
    manifest = tones(12)
    with manifest.open("a") as file:
        file.write('{"audio_filepath": "gone.wav", "text": "A"}\n')
    return run_inline(Job(str(bundle), "transcribe", threads=1), manifest, tmp_path / "out", shards=3)[0]


def test_one_file_has_all_rows_in_the_order_of_the_manifest(output, rows, tmp_path):
    assert merging.merge(output, "jsonl", tmp_path / "all.jsonl") == 1
    found = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert found == rows(output)
    assert (tmp_path / "all.jsonl").read_bytes() == b"".join(output.shard(number).read_bytes() for number in range(3))


def test_a_table_is_a_manifest(output, tmp_path):
    merging.merge(output, "tsv", tmp_path / "all.tsv")
    lines = (tmp_path / "all.tsv").read_text().splitlines()
    assert lines[0] == "id\taudio\toffset\tduration\ttext\tconfidence\terror"
    assert lines[13].startswith("gone.wav\t")
    assert lines[13].endswith("no such audio file")
    found = read(tmp_path / "all.tsv")
    assert [one.text for one in found][:12] == [TEXTS[index % len(TEXTS)] for index in range(12)]


def test_subtitles_of_each_file(output, tmp_path):
    assert merging.merge(output, "srt", tmp_path / "srt") == 12
    assert (tmp_path / "srt" / "0000.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:00,")
    assert "AB C" in (tmp_path / "srt" / "0000.srt").read_text()


def test_subtitles_of_a_file_have_all_its_parts(bundle, tones, tmp_path, run_inline):
    folder = tones(1).parent
    parts = [(0.06, 0.04), (0.0, 0.06)]  # in no order, and with another file between them
    lines = [{"audio_filepath": "0000.wav", "offset": offset, "duration": seconds} for offset, seconds in parts]
    tones(2)
    lines.insert(1, {"audio_filepath": "0001.wav"})
    (folder / "parts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    output, _ = run_inline(Job(str(bundle), "transcribe", threads=1), folder / "parts.jsonl", tmp_path / "out")
    assert merging.merge(output, "srt", tmp_path / "srt") == 2
    content = (tmp_path / "srt" / "0000.srt").read_text()
    assert "AB C" in " ".join(content.split())
    assert sorted(path.name for path in (tmp_path / "srt").iterdir()) == ["0000.srt", "0001.srt"]


def test_totals(output, rows):
    found = merging.totals(output)
    seconds = sum(row["duration"] or 0 for row in rows(output))
    assert (found.shards, found.summary.rows, found.summary.failed) == (3, 13, 1)
    assert found.summary.audio_seconds == pytest.approx(seconds)
    assert found.words_per_minute == pytest.approx(60 * found.summary.words / seconds)
    assert found.real_time_factor == pytest.approx(found.summary.work_seconds / seconds)


def test_an_incomplete_run_is_refused(output, tmp_path):
    output.shard(1).unlink()
    with pytest.raises(CorpusError, match="has 2 of 3 shards"):
        merging.totals(output)
    assert merging.totals(output, allow_incomplete=True).summary.rows == 9
    merging.merge(output, "jsonl", tmp_path / "all.jsonl")
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 9
    with pytest.raises(CorpusError, match=r"run\.json is missing"):
        merging.totals(type(output)(tmp_path))


def test_word_errors_of_rows_are_those_of_their_texts(output, rows):
    altered = [
        {**row, "text": row["text"] and row["text"].replace("CC", "C"), "reference": row.get("reference")}
        for row in rows(output)
    ]
    altered[0]["reference"] = None
    found = score_rows(altered, "transcribe")
    used = [row for row in altered if row["error"] is None and row["reference"] is not None]
    expected = score([row["reference"] for row in used], [row["text"] for row in used])
    assert (found.utterances, found.failed, found.unlabelled) == (11, 1, 1)
    assert found.counts == expected.counts
    assert found.characters == expected.characters
    counts = [one.counts for one in expected.utterances]
    assert found.interval == interval([one.errors for one in counts], [one.total for one in counts])
    assert found.to_dict()["wer"] == expected.wer > 0


def test_labels_of_rows(tones, tmp_path, run_inline, rows):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    tone_heads.build_head("onnx", "audio-classification", bundle)
    output, _ = run_inline(Job(str(bundle), "classify", threads=1), tones(10, label="A"), tmp_path / "out")
    found = score_rows(rows(output), "classify")
    right = sum(row["label"] == "A" for row in rows(output))
    assert 0 < right < 10
    assert found.to_dict()["accuracy"] == right / 10
    with pytest.raises(CorpusError, match="no texts"):
        merging.merge(output, "srt", tmp_path / "srt")
    merging.merge(output, "tsv", tmp_path / "all.tsv")
    assert (tmp_path / "all.tsv").read_text().startswith("id\taudio\toffset\tduration\tlabel\tscore\terror\n")


def test_rows_without_anything_to_compare_with(output, rows):
    with pytest.raises(CorpusError, match="a column text"):
        score_rows([{**row, "reference": None} for row in rows(output)], "transcribe")
    with pytest.raises(CorpusError, match="gives neither"):
        score_rows(rows(output), "embed")


def test_arrays_of_embeddings_in_the_order_of_the_manifest(tones, tmp_path, run_inline, rows):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    tone_heads.build_head("onnx", "audio-xvector", bundle)
    manifest = tones(11)
    with manifest.open("a") as file:
        file.write('{"audio_filepath": "gone.wav"}\n')
        file.write('{"audio_filepath": "0003.wav", "id": "a much longer name than the others have"}\n')
    output, _ = run_inline(Job(str(bundle), "embed", threads=1), manifest, tmp_path / "out", shards=4)
    assert merging.merge(output, "npz", tmp_path / "all.npz") == 1
    good = [row for row in rows(output) if row["error"] is None]
    with np.load(tmp_path / "all.npz") as archive:
        assert sorted(archive.files) == ["embeddings", "ids"]
        assert archive["ids"].tolist() == [row["id"] for row in good]
        assert archive["embeddings"].shape == (12, *good[0]["shape"])
        with edgespeech_runtime.load(bundle, threads=1) as model:
            for row, one in zip(good, archive["embeddings"], strict=True):
                np.testing.assert_allclose(one, model.embed(row["audio"]), atol=1e-5)


def test_arrays_of_features_under_their_lines(tones, tmp_path, run_inline, rows):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    tone_heads.build_head("onnx", tone_heads.FEATURES, bundle, features=Features(3))
    output, _ = run_inline(Job(str(bundle), "features", threads=1), tones(7), tmp_path / "out", shards=3)
    merging.merge(output, "npz", tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as archive, edgespeech_runtime.load(bundle, threads=1) as model:
        assert archive.files == [str(row["line"]) for row in rows(output)]
        for row in rows(output):
            assert row["array"]["key"] == str(row["line"])
            np.testing.assert_allclose(archive[str(row["line"])], model.features(row["audio"]), atol=1e-5)


def test_arrays_that_are_not_there_or_damaged(output, tones, tmp_path, run_inline):
    with pytest.raises(CorpusError, match="has no arrays"):
        merging.merge(output, "npz", tmp_path / "all.npz")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    tone_heads.build_head("onnx", "audio-xvector", bundle)
    embedded, _ = run_inline(Job(str(bundle), "embed", threads=1), tones(4), tmp_path / "vectors", shards=2)
    whole = embedded.archive(1).read_bytes()
    embedded.archive(1).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorpusError, match=r"00001\.npz is damaged"):
        merging.merge(embedded, "npz", tmp_path / "all.npz")
    assert not (tmp_path / "all.npz").exists()
