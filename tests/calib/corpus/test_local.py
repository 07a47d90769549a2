"""Workers as processes: those that are lost are replaced, whatever they did, and none is left."""

import os
import sys
import time

import pytest
from corpora import TEXTS, kill, workers
from edgespeech_calib.corpus.entries import open_corpus
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.shards import Chunk
from edgespeech_calib.corpus.workers.local import LocalPool
from edgespeech_calib.errors import CorpusError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at in /proc")


def until_idle(pool):
    found = []
    while pool.busy:
        found += pool.wait(1.0)
    return found


def end(pid):
    """Kill a process, and wait until the system has let it go."""
    assert kill(pid)
    while pid in workers(os.getpid()):
        time.sleep(0.01)
    time.sleep(0.2)  # until the executor knows


def test_a_process_that_is_lost_at_any_moment_is_replaced(bundle, tones):
    pool = LocalPool(Job(str(bundle), "transcribe", threads=1), 1)
    chunk = Chunk(0, tuple(open_corpus(tones(5))))
    try:
        while not workers(os.getpid()):
            time.sleep(0.01)
        end(workers(os.getpid())[0])  # while it loads
        assert until_idle(pool) == []
        end(workers(os.getpid())[0])  # with nothing to do
        pool.submit(chunk)
        (lost,) = until_idle(pool)
        assert lost.chunk == chunk
        assert lost.rows is None
        pool.submit(chunk)
        (finished,) = until_idle(pool)
        assert [row.values["text"] for row in finished.rows.rows] == list(TEXTS)
    finally:
        pool.close()
    assert workers(os.getpid()) == []


def test_a_model_that_cannot_be_loaded(bundle):
    pool = LocalPool(Job(str(bundle), "transcribe", devices=("npu",)), 2)
    try:
        with pytest.raises(CorpusError, match="device 'npu'"):
            until_idle(pool)
    finally:
        pool.close()
