"""Workers over Ray, which is started once for this module and stopped at its end."""

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpora import RATE, SAID, TEXTS, descendants, kill, workers
from edgespeech_calib.corpus.actor import Transcriber
from edgespeech_calib.corpus.entries import open_corpus
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.output import Output
from edgespeech_calib.corpus.running import Run
from edgespeech_calib.corpus.shards import Plan
from edgespeech_calib.corpus.workers.over_ray import RayPool, start_ray, stop_ray
from edgespeech_calib.errors import CorpusError
from tone_bundles import spoken

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of Ray, and of what it imports
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at in /proc"),
]
MEGABYTES = 2**20


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A Ray of this machine with two processors; nothing of it is left at the end."""
    with contextlib.redirect_stdout(sys.stderr):
        assert start_ray("local", 2, 1) == 2
        yield
        stop_ray()
    started = [pid for pid, command in descendants(os.getpid()).items() if "ray" in command.split("/")[-1]]
    assert not started


def run(job, manifest, folder, count=2, on_lost=lambda chunk, reason: None):
    corpus, output = open_corpus(manifest), Output(folder)
    shards = output.begin(job, corpus, 4, 1)
    work = Run(corpus, Plan(corpus.entries, shards, range(shards)), output, job)
    with contextlib.closing(RayPool(job, count)) as pool:
        work.run(pool, on_lost=on_lost)
    return output


def content(output):
    return {path.name: path.read_bytes() for path in sorted((output.folder / "shards").iterdir())}


def test_rows_are_those_of_one_process(bundle, tones, tmp_path, run_inline):
    job, manifest = Job(str(bundle), "transcribe", threads=1, batch_size=2), tones(60)
    expected, _ = run_inline(job, manifest, tmp_path / "one", shards=4)
    assert content(run(job, manifest, tmp_path / "out")) == content(expected)


def test_actors_that_are_killed_cost_no_row(bundle, tones, tmp_path, run_inline):
    job, manifest = Job(str(bundle), "transcribe", {"beams": 50}, threads=1, batch_size=1), tones(200)
    expected, _ = run_inline(job, manifest, tmp_path / "one", shards=4)
    killed = []
    ended = threading.Event()

    def end_some():
        generator = np.random.default_rng(1)
        while not ended.wait(0.05) and len(killed) < 3:
            there = workers(os.getpid())
            if there and list((tmp_path / "out").glob("shards/*.jsonl")) and kill(int(generator.choice(there))):
                killed.append(time.monotonic())

    killer = threading.Thread(target=end_some)
    killer.start()
    try:
        output = run(job, manifest, tmp_path / "out")
    finally:
        ended.set()
        killer.join()
    assert killed
    assert content(output) == content(expected)


def test_a_model_that_cannot_be_loaded_ends_the_run(bundle, tones, tmp_path):
    with pytest.raises(CorpusError, match="device 'npu'"):
        run(Job(str(bundle), "transcribe", devices=("npu",)), tones(3), tmp_path / "out")
    assert not list((tmp_path / "out").glob("shards/*"))


def test_more_workers_than_processors_are_refused():
    with pytest.raises(CorpusError, match="3 workers of 1 threads need 3 processors, and Ray at local has 2"):
        start_ray("local", 3, 1)


def stored():
    """Bytes of memory that Ray's object store has ever written to."""
    (raylet,) = [pid for pid, command in descendants(os.getpid()).items() if "raylet/raylet" in command]
    blocks = {}
    for path in Path(f"/proc/{raylet}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if "plasma" in str(path.readlink()):
                blocks[path.stat().st_ino] = path.stat().st_blocks
    assert blocks
    return 512 * sum(blocks.values())


def test_no_sound_crosses_processes(bundle, tmp_path):
    folder = tmp_path / "speech"
    folder.mkdir()
    for index in range(20):
        soundfile.write(folder / f"{index}.wav", spoken("|".join([SAID[4]] * 100)), RATE)
    sound = sum(path.stat().st_size for path in folder.iterdir()) * 2  # as float32
    assert sound > 30 * MEGABYTES
    before = stored()
    output = run(Job(str(bundle), "transcribe", threads=1), folder, tmp_path / "out")
    assert output.summary(0).rows == 5
    assert stored() - before < MEGABYTES
    kept = ray.put(np.ones(10 * MEGABYTES, np.uint8))
    assert stored() - before >= 10 * MEGABYTES  # what is measured is the store
    del kept


def test_a_class_for_ray_data(bundle, tones):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    manifest = tones(10)
    rows = [{"audio_filepath": str(manifest.parent / f"{index:04}.wav"), "text": "x"} for index in range(10)]
    rows.append({"audio_filepath": str(manifest.parent / "gone.wav"), "text": "y"})
    ray.data.DataContext.get_current().enable_progress_bars = False
    found = (
        ray.data.from_items(rows)
        .map_batches(
            Transcriber, fn_constructor_kwargs={"bundle": str(bundle)}, batch_size=4, num_cpus=1, concurrency=1
        )
        .take_all()
    )
    found.sort(key=lambda row: row["audio_filepath"])
    assert [row["pred_text"] for row in found] == [*(TEXTS[index % len(TEXTS)] for index in range(10)), None]
    assert {row["text"] for row in found} == {"x", "y"}
    assert [row["error"] is None for row in found] == [True] * 10 + [False]
    assert found[0]["seconds"] == pytest.approx(0.1)
