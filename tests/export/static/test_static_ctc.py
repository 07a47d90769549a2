"""CTC bundles whose graphs have fixed shapes against the reference model, in each engine."""

from typing import Any

import edgespeech_runtime
import numpy as np
import onnx
import pytest
import torch
from edgespeech_export import ExportError, ExportOptions, StaticShapes, export
from edgespeech_export.sources.static import with_static_shapes
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.engines.openvino import openvino
from edgespeech_runtime.errors import BundleError

from edgespeech import AutoModelForCTC

LOGITS = 1e-4
BUCKETS = (0.7, 2.0)  # seconds
SAMPLES = tuple(round(16000 * seconds) for seconds in BUCKETS)
CASES = [
    ("wav2vec2-group", "onnx", "convolutions"),
    ("wav2vec2-group", "onnx", "products"),
    pytest.param("wav2vec2-group", "openvino", "convolutions", marks=pytest.mark.slow),
    ("wav2vec2-adapters", "openvino", "convolutions"),
    pytest.param("hubert-batch-norm", "onnx", "products", marks=pytest.mark.slow),
    ("unispeech-stable", "onnx", "convolutions"),
]


@pytest.fixture(scope="session")
def static_of(checkpoint_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Export the static bundle of a kind, once: (reference model, bundle)."""
    made: dict[tuple[str, ...], Any] = {}

    def make(kind: str, engine: str, form: str) -> Any:
        if (kind, engine, form) not in made:
            bundle = tmp_path_factory.mktemp("static") / f"{kind}-{engine}-{form}"
            options = ExportOptions(engine=engine, static=StaticShapes(BUCKETS, form=form))  # type: ignore[arg-type]
            export(checkpoint_of(kind), bundle, options)
            made[kind, engine, form] = AutoModelForCTC.from_pretrained(checkpoint_of(kind)), bundle
        return made[kind, engine, form]

    return make


def sounds(*lengths: int) -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    return [
        (0.1 + 0.2 * (index % 4)) * generator.standard_normal(n).astype(np.float32) + np.float32(0.05 * index)
        for index, n in enumerate(lengths)
    ]


@torch.inference_mode()
def reference(model: Any, waveform: np.ndarray) -> np.ndarray:
    return model(torch.from_numpy(normalize(waveform))[None]).logits[0].numpy()


@pytest.mark.parametrize(("kind", "engine", "form"), CASES)
def test_padding_changes_nothing_from_one_hop_to_a_full_bucket(static_of: Any, kind: str, engine: str, form: str):
    model, bundle = static_of(kind, engine, form)
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        shortest, hop = runtime.manifest.audio.shortest, runtime.manifest.audio.hop
        edges = [shortest, shortest + hop - 1, shortest + hop, SAMPLES[0] - 1]
        for samples in SAMPLES:
            edges += [samples, samples + 1 if samples < SAMPLES[-1] else samples - hop]
        waveforms = sounds(*edges)
        expected = [reference(model, waveform) for waveform in waveforms]
        for waveform, logits in zip(waveforms, expected, strict=True):
            np.testing.assert_allclose(runtime.logits(waveform), logits, atol=LOGITS, rtol=0)
        for found, logits in zip(runtime.logits(waveforms[-4:], batch_size=4), expected[-4:], strict=True):
            np.testing.assert_allclose(found, logits, atol=LOGITS, rtol=0)


def test_longer_audio_is_heard_in_windows_whose_middles_are_kept(static_of: Any):
    model, bundle = static_of("wav2vec2-group", "onnx", "convolutions")
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        (waveform,) = sounds(3 * SAMPLES[-1] + 777)
        found = runtime.logits(waveform)
        assert len(found) == runtime.manifest.frames.count(len(waveform))
        whole = normalize(waveform)
        hop, context = runtime.manifest.audio.hop, SAMPLES[-1] // 4
        step = (SAMPLES[-1] - 2 * context) // hop
        for index in range(3):  # of each window what lies between the middles of its overlaps
            start = index * step * hop
            with torch.inference_mode():
                logits = model(torch.from_numpy(whole[None, start : start + SAMPLES[-1]])).logits[0].numpy()
            first, last = (0 if index == 0 else context // hop), context // hop + step
            kept = found[index * step + first : index * step + last]
            np.testing.assert_allclose(kept, logits[first:last], atol=LOGITS, rtol=0)
        assert runtime.transcribe(waveform).duration == len(waveform) / 16000


def test_every_axis_of_every_graph_is_fixed_and_weights_are_shared(static_of: Any):
    _, bundle = static_of("wav2vec2-group", "onnx", "convolutions")
    graphs = sorted(bundle.glob("*.onnx"))
    assert [graph.name for graph in graphs] == ["single_11200.onnx", "single_32000.onnx"]
    for graph in graphs:
        model = onnx.load(graph, load_external_data=False)
        for value in (*model.graph.input, *model.graph.output):
            assert all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim), value
        assert "Shape" not in {node.op_type for node in model.graph.node}
    largest = sum(tensor.numel() * 4 for tensor in static_of("wav2vec2-group", "onnx", "convolutions")[0].parameters())
    assert (bundle / "weights.data").stat().st_size < 1.5 * largest

    _, bundle = static_of("wav2vec2-group", "openvino", "convolutions")
    for graph in bundle.glob("*.xml"):
        model = openvino.Core().read_model(graph, next(bundle.glob("*.bin")))
        assert not model.is_dynamic()
        assert not any(
            node.get_output_partial_shape(0).is_dynamic for node in model.get_ops() if node.get_output_size()
        )


def test_the_self_check_and_the_placement_work(static_of: Any):
    _, bundle = static_of("wav2vec2-group", "onnx", "convolutions")
    with edgespeech_runtime.load(bundle, threads=1, self_check="always") as runtime:
        assert runtime.self_check() <= runtime.manifest.golden.tolerance
        assert set(runtime.placement()) <= {"single_11200", "single_32000"}


def test_a_bundle_without_the_graph_of_a_bucket_is_refused(static_of: Any):
    _, bundle = static_of("wav2vec2-group", "onnx", "convolutions")
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        text = runtime.manifest.to_json().replace('"single_11200"', '"single_11201"')
    with pytest.raises(BundleError, match="single_11200"):
        type(runtime.manifest).from_json(text)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"buckets": ()}, "ascending, got none"),
        ({"buckets": (5.0, 2.0)}, "ascending, got 5, 2"),
        ({"buckets": (1.0,)}, "must hold the 2 s"),
        ({"slots": 3}, "slots must be at least 32, got 3"),
    ],
)
def test_shapes_that_cannot_be_are_refused(shapes: dict[str, Any], message: str):
    with pytest.raises(ExportError, match=message):
        StaticShapes(**shapes)


def test_a_bucket_below_one_frame_is_refused(checkpoint_of: Any):
    from edgespeech_export.sources.reading import read

    with pytest.raises(ExportError, match=r"0\.01 s, holds 160 samples; this model needs 400"):
        with_static_shapes(read(checkpoint_of("wav2vec2-group"), None), StaticShapes((0.01, 2.0)))
