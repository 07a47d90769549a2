"""Long sequences and many calls: what a step is given, what is kept, and that memory does not grow."""

import ctypes
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import CALLED_LONG, ENGINES, Pair, Pairs, sounds

STATUS = Path("/proc/self/statm")
PAGE = 4096  # bytes


class Watched:
    """A binding that notes what is bound, and what each call gets and gives."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding
        self.bound: Counter[str] = Counter()
        self.inputs: dict[str, np.ndarray] = {}
        self.calls: list[dict[str, tuple[int, ...]]] = []

    def set(self, inputs: Any) -> None:
        self.bound.update(inputs.keys())
        self.inputs.update(inputs)
        self._binding.set(inputs)

    def run(self) -> Any:
        outputs = self._binding.run()
        arrays = {**self.inputs, **outputs}
        self.calls.append({name: array.shape for name, array in arrays.items()})
        return outputs


@contextmanager
def watching(pair: Pair) -> Iterator[list[Watched]]:
    """Give the bindings that are made meanwhile."""
    graphs, made = pair.runtime._graphs, []
    bind = graphs.bind

    def watched(*arguments: Any) -> Watched:
        made.append(Watched(bind(*arguments)))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graphs, "bind", watched)
        yield made


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sequence_over_the_whole_position_table(pairs: Pairs, engine: str) -> None:
    """480 tokens are those of transformers; each step brings one token, and the cache is made longer now and then."""
    pair = pairs.pair("gpt2", engine)
    (waveform,) = sounds(5000)
    options: dict[str, Any] = {"eos_token_id": None, "max_length": CALLED_LONG}
    with watching(pair) as made:
        found = pair.runtime.generate(waveform, **options)
    assert len(found) == CALLED_LONG
    assert [found] == pair.expected(waveform, eos_token_id=[], max_length=CALLED_LONG)
    assert found == pair.ours.generate(pair.values(waveform), **options)[0].tolist()
    (watched,) = made
    calls = watched.calls
    assert len(calls) == CALLED_LONG - 1
    for index, shapes in enumerate(calls):
        assert shapes["tokens"] == shapes["positions"] == (1, 1)
        assert shapes["new.0.key"] == (1, 4, 6, 1)
        assert shapes["logits"] == (1, 1, pair.vocabulary)
        assert index < shapes["cache.0.key"][3] <= index + 64
    assert watched.bound["cross.0.key"] == watched.bound["cross_bias"] == 1
    assert watched.bound["cache.0.key"] == -(-CALLED_LONG // 64)


@pytest.mark.parametrize("engine", ENGINES)
def test_long_sequences_with_beams(pairs: Pairs, engine: str) -> None:
    """Beams are rows of one cache, whose columns are written once and never moved."""
    pair = pairs.pair("gpt2", engine)
    (waveform,) = sounds(3000)
    options: dict[str, Any] = {"eos_token_id": None, "max_length": 460, "num_beams": 2}
    with watching(pair) as made:
        found = pair.runtime.generate(waveform, **options)
    assert found == pair.ours.generate(pair.values(waveform), **options)[0].tolist()
    (watched,) = made
    assert [shapes["tokens"] for shapes in watched.calls] == [(1, 1), *[(1, 2)] * 458]
    assert watched.bound["cache.1.value"] <= 9
    assert watched.bound["cross.1.value"] == 1
    assert all(shapes["cross.1.value"][0] == 1 for shapes in watched.calls)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_audio_is_encoded_once(pairs: Pairs, engine: str) -> None:
    pair = pairs.pair("gpt2", engine)
    runs: list[str] = []
    run = pair.runtime._graphs.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair.runtime._graphs, "run", lambda name, inputs: (runs.append(name), run(name, inputs))[1])
        pair.runtime.generate(sounds(3000)[0], max_length=30, num_beams=3)
        assert runs == ["encoder"]
        pair.runtime.generate(sounds(3000, 2500), max_length=30)
        assert runs == ["encoder", "encoder_batch"]


MOST_GROWTH = 24 * 2**20  # bytes; what is kept for a shape is bounded, but shapes differ in size


def resident() -> int:
    """Bytes of memory that this process has, without what it has freed and glibc has kept."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return int(STATUS.read_text().split()[1]) * PAGE


def growth(pair: Pair, calls: int, warm: int) -> int:
    """Bytes by which memory grows in `calls` calls after `warm` others; most have lengths that none before had."""
    rng = np.random.default_rng(0)

    def call(index: int) -> None:
        lengths = rng.integers(320, 3000, int(rng.integers(1, 3))).tolist()
        pair.runtime.generate(sounds(*lengths), max_length=6, num_beams=(1, 3)[index % 2])

    for index in range(warm):
        call(index)
    before = resident()
    for index in range(calls):
        call(index)
    return resident() - before


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("engine", ENGINES)
def test_memory_does_not_grow_from_call_to_call(pairs: Pairs, engine: str) -> None:
    assert growth(pairs.pair("gpt2", engine), calls=300, warm=300) < MOST_GROWTH


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("engine", ENGINES)
def test_memory_does_not_grow_in_a_thousand_calls(pairs: Pairs, engine: str) -> None:
    assert growth(pairs.pair("gpt2", engine), calls=1000, warm=300) < MOST_GROWTH
