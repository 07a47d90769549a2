"""Streams: batches of many recordings that run at the same time, with the results of one at a time."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import slow_bundles
from edgespeech_runtime import load
from edgespeech_runtime.audio.batching import MOST_OF_THREAD
from edgespeech_runtime.engines.threads import run_all, threads_of_each
from edgespeech_runtime.errors import ArgumentError, AudioError, CancelledError
from tones import spoken

TEXTS = ["A_B", "A", "B|C_", "A_B|C_A_B|C_", "C", "B_A", "A|B", "C_C"] * 4


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_results_are_those_of_one_stream(tiny_bundle, engine, threads):
    audio = [spoken(text) for text in TEXTS]
    bundle = tiny_bundle(engine)
    with load(bundle, threads=threads) as model, load(bundle, threads=threads, streams=3) as several:
        expected, transcripts = model.transcribe(audio), several.transcribe(audio, batch_size=4)
        assert [each.text for each in transcripts] == [each.text for each in expected]
        for one, other in zip(several.logits(audio, batch_size=3), model.logits(audio), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
        assert several.transcribe(audio[0]).text == expected[0].text


@pytest.mark.parametrize(
    ("threads", "streams", "expected"),
    [(None, 1, None), (4, 1, 4), (4, 2, 2), (5, 2, 2), (1, 3, 1), (2, 2, 1)],
)
def test_streams_share_the_threads(threads, streams, expected):
    assert threads_of_each(threads, streams) == expected


@pytest.mark.parametrize("streams", [0, -1, 1.0, "2", True, None])
def test_no_number_of_streams(tiny_bundle, streams):
    with pytest.raises(ArgumentError, match="streams: expected a whole number of at least 1, got"):
        load(tiny_bundle(), streams=streams)


def test_as_many_at_the_same_time_as_asked_for():
    both, running, most, lock = threading.Barrier(2), [0], [0], threading.Lock()

    def work(number):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        both.wait(timeout=60)  # which two at the same time alone can pass
        with lock:
            running[0] -= 1
        return number

    assert run_all([lambda n=n: work(n) for n in range(8)], 2) == list(range(8))
    assert most == [2]


def test_the_first_error_ends_the_others():
    begun = []

    def fail():
        raise AudioError("unreadable")

    def work(number):
        begun.append(number)
        time.sleep(0.01)

    with pytest.raises(AudioError, match="unreadable"):
        run_all([fail, *(lambda n=n: work(n) for n in range(100))], 2)
    assert len(begun) < 100


def test_an_unreadable_file_among_many_is_named(tiny_bundle, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    audio = [spoken("A_B")] * 5 + [tmp_path / "text.wav"] + [spoken("A")] * 5
    with load(tiny_bundle(), streams=2) as model, pytest.raises(AudioError, match=r"audio\[5\].*text\.wav"):
        model.transcribe(audio)


def test_cancel_ends_all_streams(engine, tmp_path):
    bundle = slow_bundles.build(engine, tmp_path)
    long = [np.full(320 * slow_bundles.FRAMES, 0.1, np.float32)] * 4
    with load(bundle, threads=2, streams=2) as model:
        errors = []

        def call():
            try:
                model.logits(long, batch_size=1)
            except CancelledError as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        while thread.is_alive():  # the call may not have begun when the first comes
            model.cancel()
            thread.join(0.2)
        assert len(errors) == 1
        assert model.transcribe(spoken("A_B")).text == "AB"


INTERRUPTED = """
import os, signal, sys, threading
import numpy as np
import edgespeech_runtime
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
model = edgespeech_runtime.load(sys.argv[1], threads=2, streams=2)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    model.logits([np.zeros(int(sys.argv[2]), np.float32) + 0.1] * 4, batch_size=1)
except KeyboardInterrupt:
    print("interrupted")
print(model.logits(np.zeros(640, np.float32)).shape)
"""


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_an_interrupt_ends_all_streams(engine, tmp_path):
    pytest.importorskip("edgespeech_runtime.engines." + engine)
    bundle = slow_bundles.build(engine, tmp_path)
    command = [sys.executable, "-c", INTERRUPTED, bundle, str(320 * slow_bundles.FRAMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, start_new_session=True)
    assert (done.stdout, done.stderr) == ("interrupted\n(2, 8)\n", "")


def test_batches_of_a_thread_are_small(tiny_bundle):
    audio = [np.tile(spoken("A_B"), 60)[: MOST_OF_THREAD // 2]] * 6
    with load(tiny_bundle(), streams=2) as model:
        sizes = []
        run = model.runner.run_batch
        model.runner.each(audio, 8, lambda batch: sizes.append(len(batch)) or run(batch))
    assert sum(sizes) == 6
    assert max(sizes) <= 3
