"""The numpy engine's threads: they change no result, take work from many callers, and report errors."""

import threading
from typing import Any

import numpy as np
import pytest
from edgespeech_runtime.engines.numpy_operators import normalisation
from edgespeech_runtime.engines.numpy_operators.workers import Workers

THREADS = Workers(3)


def test_the_number_of_threads_does_not_change_a_result() -> None:
    x, ones = np.random.default_rng(11).standard_normal((1, 64, 5000)).astype(np.float32), np.ones(64, np.float32)
    results = [normalisation.instance_normalization(x, ones, ones, workers=Workers(threads)) for threads in (1, 2, 5)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_workers_share_from_many_threads_at_once_and_report_errors() -> None:
    seen: list[int] = []

    def work(blocks: Any) -> None:
        for block in blocks:
            if block.start == 40:
                raise ValueError("block 40")
            seen.append(block.start)

    callers = [threading.Thread(target=THREADS.share, args=(work, 39, 4)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(seen) == sorted(list(range(0, 39, 4)) * 8)
    with pytest.raises(ValueError, match="block 40"):
        THREADS.share(work, 60, 4)
    THREADS.share(work, 0, 4)
