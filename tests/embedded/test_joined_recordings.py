"""Recordings of real speech joined with zeros: the words of each alone, whether the zeros are run or not."""

import csv

import numpy as np
import pytest
from edgespeech_runtime import load, read_audio
from edgespeech_runtime.tasks.batches import HeadRunner
from places import real_speech

RATE = 16000


@pytest.fixture(scope="module")
def model(bundle):
    with load(bundle("ctc-en", "onnx"), threads=1) as loaded:
        yield loaded


def recordings(name: str, count: int) -> list[np.ndarray]:
    folder = real_speech(name)
    with (folder / "train.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    return [read_audio(folder / row["path"], RATE) for row in rows[:: len(rows) // count][:count]]


@pytest.mark.parametrize(("name", "count"), [("coffee", 6), ("ljspeech", 6), ("keywords", 20)])
def test_no_word_changes_where_zeros_are_left_out(model, monkeypatch, name, count):
    alone = recordings(name, count)
    pause = int(sum(map(len, alone)) * 2 / 3 / count)  # 40 % of all
    zeros = np.zeros(max(pause, RATE), np.float32)
    joined = np.concatenate([part for samples in alone for part in (samples, zeros)])
    expected = [model.transcribe(samples) for samples in alone]
    ran = []
    run = HeadRunner.run
    monkeypatch.setattr(HeadRunner, "run", lambda *all_: ran.extend(map(len, all_[1])) or run(*all_))
    found = model.transcribe(joined)
    assert sum(ran) <= len(joined) / 1.5
    assert found.text.split() == [word for each in expected for word in each.text.split()]
    assert model.transcribe(joined, skip_silence=False).text == found.text
    starts = np.cumsum([0, *(len(samples) + len(zeros) for samples in alone[:-1])]) / RATE
    known = [start + word.start for start, each in zip(starts, expected, strict=True) for word in each.words]
    assert [word.start for word in found.words] == pytest.approx(known, abs=0.011)


def test_no_word_changes_where_noise_is_left_out(model):
    """Pauses of noise have no clear edges: the words are not those of each alone, but those of all of it run."""
    rng = np.random.default_rng(3)
    alone = recordings("ljspeech", 6)
    joined = np.concatenate([each for part in alone for each in (part, rng.normal(0, 1e-3, 3 * RATE))])
    found = model.transcribe(joined.astype(np.float32))
    assert model.transcribe(joined.astype(np.float32), skip_silence=False).text == found.text
    assert len(found.segments) >= 6
