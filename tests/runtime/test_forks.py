"""A model that was loaded before the process was forked: it is used there, closed there, and left alone there."""

import multiprocessing
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork"
)

SCRIPT = """
import os, signal, sys
import numpy as np
import edgespeech_runtime
model = edgespeech_runtime.load(sys.argv[1], threads=2)
samples = [np.random.default_rng(seed).uniform(-1, 1, 320 * 400 + 320 * seed).astype(np.float32) for seed in (0, 1)]
expected = model.logits(samples)
def child():
    if sys.argv[2] == "use":
        found = model.logits(samples)
        return all(np.allclose(a, b, atol=1e-4) for a, b in zip(found, expected)) and model.logits(samples[0]).shape
    if sys.argv[2] == "close":
        model.close()
    return sys.argv[2]
pid = os.fork()
if not pid:
    signal.alarm(100)  # or it would hang for ever
    print(child(), flush=True)
    sys.exit(0)
print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(np.array_equal(model.logits(samples)[0], expected[0]))  # the parent goes on
"""


@pytest.mark.parametrize(("does", "said"), [("use", "(400, 8)"), ("close", "close"), ("nothing", "nothing")])
def test_a_model_in_a_forked_process(tiny_bundle, engine, does, said):
    command = [sys.executable, "-c", SCRIPT, tiny_bundle(engine), does]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.splitlines() == [said, "ended 0", "True"], done.stderr
