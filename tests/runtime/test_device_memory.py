"""What a GPU leaves in its own memory, on the CPU's provider: the host's memory taken for a device's.

The oracle is the cache in the host's memory, which other tests hold against formulas: same tokens, same bits.
"""

import dataclasses
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest
from edgespeech_runtime import load
from edgespeech_runtime.bundle.contracts import COLUMNS
from edgespeech_runtime.engines import DeviceTensor
from edgespeech_runtime.engines.onnx_graph import DeviceBinding
from edgespeech_runtime.engines.onnx_providers import CPU, PROVIDERS
from edgespeech_runtime.errors import EngineError
from edgespeech_runtime.generation.cache.columns import BLOCK, Slots
from edgespeech_runtime.generation.cache.decoder import CachedDecoder
from edgespeech_runtime.generation.cache.device_slots import DeviceSlots
from tone_translator import FACTS, LONGEST, SIZE, START, write_bundle

SPOKEN = ["ABC", "AB|C|A", "C|B", "A", "B_A_C|A|B", "ABCA|BCAB|CABC|A"]
STEPS = ["tokens", "positions", "bias", "cross_bias"]  # what goes up for a token


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("translator"), "onnx")


@pytest.fixture
def host(pristine):
    with load(pristine, threads=1, self_check="never") as model:
        yield model


@pytest.fixture
def open_apart(monkeypatch):
    """`open_apart(bundle, memory="cpu")`: the model on a device whose memory the provider calls so."""

    def load_apart(bundle, memory="cpu"):
        monkeypatch.setitem(PROVIDERS, CPU, dataclasses.replace(PROVIDERS[CPU], memory=memory))
        return load(bundle, threads=1, self_check="never")

    return load_apart


@pytest.fixture
def apart(open_apart, pristine):
    with open_apart(pristine) as model:
        yield model


@pytest.fixture
def calls(monkeypatch):
    """What each call takes from the host's memory and gives there, (inputs, outputs) by name."""
    seen = []
    run = DeviceBinding.run

    def spied(binding):
        hosted = {name: value.numpy() for name, value in binding._inputs.items() if not isinstance(value, DeviceTensor)}
        outputs = run(binding)
        seen.append((hosted, {name: each for name, each in outputs.items() if not isinstance(each, DeviceTensor)}))
        return outputs

    monkeypatch.setattr(DeviceBinding, "run", spied)
    return seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 4},
        {"num_beams": 3, "num_return_sequences": 3, "length_penalty": 0.3},
        {"do_sample": True, "seed": 3, "temperature": 2.0},
        {"max_new_tokens": 2 * BLOCK + 5, "min_new_tokens": 2 * BLOCK, "max_length": None},
        {"max_new_tokens": BLOCK + 5, "min_new_tokens": BLOCK + 2, "num_beams": 3, "max_length": None},
        {"language": "bb"},
    ],
    ids=str,
)
def test_tokens_and_scores_are_the_same(host, apart, say, options):
    samples = [say(text, tail=7 * i) for i, text in enumerate(SPOKEN)]
    found = apart.hypotheses(samples, **options)
    assert found == host.hypotheses(samples, **options)
    assert len({row[0].tokens for row in found}) > 3  # or nothing would be compared
    assert apart.hypotheses(samples[4], **options) == host.hypotheses(samples[4], **options)


def test_logits_are_the_same_over_as_many_tokens_as_there_can_be(host, apart, say):
    samples = [say(text, tail=11) for text in SPOKEN]
    tokens = np.random.default_rng(0).integers(0, SIZE, (len(samples), LONGEST))
    np.testing.assert_array_equal(apart.step_logits(samples, tokens), host.step_logits(samples, tokens))
    assert apart.self_check() == host.self_check() < 1e-4


@pytest.mark.parametrize("beams", [(1, 1, 1), (4, 4, 4, 4), (1, 5, 2, 3)])
def test_logits_after_a_prompt_and_with_beams_that_come_and_go(host, apart, say, beams):
    rng = np.random.default_rng(len(beams))
    prompt, rows, found = rng.integers(0, SIZE, (2, 3)), 1, []
    steps = []
    for count in beams:
        steps.append((rng.integers(0, SIZE, (2, count)), rng.integers(0, rows, (2, count))))
        rows = count
    for model in (host, apart):
        decoder = model._encoded(*model._padded([say("ABC"), say("A|BCA")]))
        found.append([decoder.start(prompt), *(decoder.extend(*step) for step in steps)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_many_threads_get_what_each_gets_alone(host, apart, say):
    samples = [say(text) for text in SPOKEN] * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda sample: apart.generate(sample, num_beams=3), samples))
    assert found == [host.generate(sample, num_beams=3) for sample in samples]


def test_for_a_token_only_what_says_which_goes_up_and_only_logits_come_down(apart, say, calls):
    apart.step_logits([say("ABC"), say("AB|CA")], np.full((2, BLOCK + 4), START))
    (heard, left), first, move, *rest = calls
    assert (set(heard), set(left)) == ({"input_values", "input_lengths"}, set())
    empty = {"cache.0.key", "cache.0.value"}
    assert (set(first[0]), set(move[0])) == ({*STEPS, *empty}, {COLUMNS.name, *empty})
    steps, moves = rest[::2], rest[1::2]
    assert (len(steps), len(moves)) == (BLOCK + 3, BLOCK + 2)
    assert all((set(up), set(down)) == ({COLUMNS.name}, set()) for up, down in moves)
    assert all((set(up), set(down)) == (set(STEPS), {"logits"}) for up, down in steps)


def test_a_bundle_without_the_graph_has_its_cache_in_the_hosts_memory(
    open_apart, pristine, tmp_path, rewrite, say, calls
):
    bundle = shutil.copytree(pristine, tmp_path / "bundle")
    rewrite(bundle, lambda data: data["graphs"].pop("cache"))
    samples = [say(text) for text in SPOKEN]
    with load(bundle) as model:
        expected = model.hypotheses(samples, num_beams=2)
    with open_apart(bundle) as model:
        assert model.hypotheses(samples, num_beams=2) == expected
    steps = [set(up) for up, _ in calls if "tokens" in up]
    assert len(steps) > 3
    assert all(up == {*STEPS, "cache.0.key", "cache.0.value"} for up in steps)  # what the encoder gives stays


@pytest.mark.parametrize("memory", sorted({provider.memory for provider in PROVIDERS.values()} - {None}))
def test_memories_are_called_what_onnxruntime_calls_them(memory):
    assert onnxruntime.OrtDevice.make(memory, 0).device_type() != onnxruntime.OrtDevice.make("cpu", 0).device_type()


def test_a_host_keeps_it_in_arrays(host, say):
    decoder = host._encoded(*host._padded([say("ABC")]))
    assert isinstance(decoder, CachedDecoder)
    assert isinstance(decoder._slots, Slots)


def test_no_room_on_the_device_is_one_line(open_apart, pristine, say):
    with (
        open_apart(pristine, memory="nowhere") as model,
        pytest.raises(EngineError, match=r"onnxruntime failed in encoder.onnx: .*nowhere") as caught,
    ):
        model.generate(say("A"))
    assert "\n" not in str(caught.value)


def test_a_decoder_that_fails_on_the_device_is_one_line(apart, say):
    decoder = apart._encoded(*apart._padded([say("ABC")]))
    decoder.start(np.array([[START]]))
    with pytest.raises(EngineError, match=r"onnxruntime failed in decoder.onnx: .") as caught:
        decoder.extend(np.array([[SIZE + 5]]), np.array([[0]]))
    assert "\n" not in str(caught.value)
    assert apart.generate(say("A"))


class Mover:
    """The graph "cache" in numpy, by the words of its contract."""

    def set(self, inputs):
        self.inputs = inputs

    def run(self):
        def kept(name, axis):
            past, new = (self.inputs[f"{prefix}.{name}"] for prefix in ("cache", "new"))
            return np.concatenate((past, new), axis)[(slice(None),) * axis + (self.inputs["columns"],)]

        return {f"kept.0.{kind}": kept(f"0.{kind}", axis) for kind, axis in (("key", 3), ("value", 2))}


def test_slots_hold_every_column_where_the_hosts_do_however_often_they_grow():
    rng = np.random.default_rng(0)
    theirs, slots, used = Slots(FACTS, 2), DeviceSlots(Slots(FACTS, 2), Mover()), 0
    for new in [5, *[3] * (2 * BLOCK), 7, 1]:
        assert slots.reserve(used + new, new)
        theirs.reserve(used + new, new)
        assert slots.count == theirs.count
        for name, array in theirs.arrays.items():
            axis = 3 if name.endswith("key") else 2
            assert slots.arrays[name].shape == array.shape
            np.testing.assert_array_equal(*(np.take(each, range(used), axis) for each in (slots.arrays[name], array)))
            assert np.isfinite(slots.arrays[name]).all()  # hidden, but multiplied with 0
        columns = {
            "new.0.key": rng.standard_normal((2, 1, SIZE, new)).astype(np.float32),
            "new.0.value": rng.standard_normal((2, 1, new, SIZE)).astype(np.float32),
        }
        slots.write(used, {**columns, "logits": None})
        theirs.write(used, columns)
        used += new
