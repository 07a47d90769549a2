"""Calls that are ended while an engine computes: by `cancel()`, by signals, and not by signals that are handled."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
import slow_bundles
from edgespeech_runtime import load
from edgespeech_runtime.errors import CancelledError
from tones import spoken

ENDS = 300  # seconds, after which something hangs
INTERRUPTED = """
import os, signal, sys, threading
import numpy as np
import edgespeech_runtime
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
model = edgespeech_runtime.load(sys.argv[1], threads=1)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    model.logits(np.zeros(int(sys.argv[2]), np.float32) + 0.1)
except KeyboardInterrupt:
    print("interrupted")
print(model.logits(np.zeros(640, np.float32)).shape)
"""
HANDLED = """
import os, signal, sys, threading
import numpy as np
import edgespeech_runtime
seen = []
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
samples = np.load(sys.argv[2])
model = edgespeech_runtime.load(sys.argv[1], threads=1)
expected = model.logits(samples)
timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
timer.start()
found = model.logits(samples)
timer.join()
print("the same" if np.array_equal(found, expected) else found, end=f", {len(seen)} signal\\n")
"""


@pytest.fixture(scope="module")
def slow_bundle(tmp_path_factory):
    made = {}

    def build(engine):
        if engine not in made:
            made[engine] = slow_bundles.build(engine, tmp_path_factory.mktemp(f"slow-{engine}"))
        return made[engine]

    return build


def test_cancel_from_another_thread(slow_bundle, engine):
    long = np.full(320 * slow_bundles.FRAMES, 0.1, np.float32)
    with load(slow_bundle(engine), threads=1) as model, ThreadPoolExecutor(1) as pool:
        call, finished = pool.submit(model.logits, long), threading.Event()
        call.add_done_callback(lambda _: finished.set())
        while not finished.wait(0.2):  # the call may not have begun when the first comes
            model.cancel()
        with pytest.raises(CancelledError, match="the call was cancelled"):
            call.result(timeout=0)
        assert model.transcribe(spoken("A_B")).text == "AB"  # later calls run as ever


def test_cancel_ends_calls_that_wait_for_another(slow_bundle, engine):
    long = np.full(320 * slow_bundles.FRAMES, 0.1, np.float32)
    with load(slow_bundle(engine), threads=1) as model, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(model.logits, long) for _ in range(3)]
        while wait(calls, timeout=0.2).not_done:  # a call may not have begun when the first comes
            model.cancel()
        for call in calls:
            with pytest.raises(CancelledError, match="the call was cancelled"):
                call.result(timeout=0)
        assert model.logits(np.zeros(640, np.float32)).shape[0] == 2


def test_cancel_when_nothing_runs(tiny_bundle, engine, say):
    with load(tiny_bundle(engine)) as model:
        model.cancel()
        assert model.transcribe(say("A_B")).text == "AB"


def test_cancel_from_a_callback(tiny_bundle, say):
    with load(tiny_bundle()) as model:

        def stop(text):
            model.cancel()
            model.logits(say("A"))  # of the same call

        with pytest.raises(CancelledError):
            model.transcribe(say("A_B"), on_text=stop)
        assert model.transcribe(say("A_B")).text == "AB"


@pytest.mark.parametrize("engine", ["onnx", "openvino"])  # numpy's steps are Python
def test_an_interrupt_ends_what_computes(slow_bundle, engine):
    pytest.importorskip("edgespeech_runtime.engines." + engine)
    command = [sys.executable, "-c", INTERRUPTED, slow_bundle(engine), str(320 * slow_bundles.FRAMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS, start_new_session=True)
    assert (done.stdout, done.stderr) == ("interrupted\n(2, 8)\n", "")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_signal_that_is_handled_changes_no_result(slow_bundle, engine, tmp_path):
    pytest.importorskip("edgespeech_runtime.engines." + engine)
    np.save(tmp_path / "samples.npy", np.tile(spoken("A_B|C_"), slow_bundles.SOME_FRAMES // 6))
    command = [sys.executable, "-c", HANDLED, slow_bundle(engine), tmp_path / "samples.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS, start_new_session=True)
    assert (done.stdout, done.stderr) == ("the same, 1 signal\n", "")


def test_the_program_ends_with_its_own_code(slow_bundle, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    bursts = np.random.default_rng(0).uniform(-0.3, 0.3, (slow_bundles.FRAMES // 10, 3200))  # no silence, nor steady
    bursts[::3] /= 30
    soundfile.write(tmp_path / "x.wav", bursts.ravel(), 16000)
    code = (
        "import os, signal, sys, threading\n"
        "from edgespeech.cli import main\n"
        "from edgespeech_runtime.tasks.batches import HeadRunner\n"
        "run = HeadRunner.run\n"
        "def and_signal(self, *arguments):\n"
        "    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "    return run(self, *arguments)\n"
        "HeadRunner.run = and_signal\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "transcribe", slow_bundle("onnx"), tmp_path / "x.wav", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS, start_new_session=True)
    assert (done.returncode, done.stderr) == (143, "edgespeech: interrupted\n")
