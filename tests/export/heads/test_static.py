"""Bundles of the heads whose graphs have fixed shapes against transformers, in each engine."""

from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
from edgespeech_export import ExportError, StaticShapes
from edgespeech_export.sources.reading import read
from edgespeech_export.sources.static import with_static_shapes
from edgespeech_runtime.errors import AudioError
from exported_models import sounds

TOLERANCE = 1e-4
SAMPLES = (9600, 32000)
BUCKETS = tuple(samples / 16000 for samples in SAMPLES)
TWO: tuple[float, ...] = BUCKETS
ONE: tuple[float, ...] = BUCKETS[1:]
CASES = [
    ("class-35", "openvino", "convolutions", TWO),
    ("class-hubert", "onnx", "products", ONE),
    ("class-unispeech", "numpy", "convolutions", ONE),
    ("frames", "onnx", "products", ONE),
    ("frames", "openvino", "convolutions", ONE),
    pytest.param("xvector", "onnx", "products", ONE, marks=pytest.mark.slow),
    ("xvector", "openvino", "convolutions", ONE),
    ("xvector-adapter", "numpy", "convolutions", ONE),
    ("xvector-wavlm", "onnx", "products", ONE),
    pytest.param("class-data2vec", "openvino", "convolutions", ONE, marks=pytest.mark.slow),
    pytest.param("xvector-weighted", "onnx", "convolutions", ONE, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "engine", "form", "buckets"), CASES)
def test_padding_changes_nothing_from_one_hop_to_a_full_bucket(
    case_of: Any, kind: str, engine: str, form: Any, buckets: tuple[float, ...]
) -> None:
    case = case_of(kind, engine, static=StaticShapes(buckets, form=form))
    with edgespeech_runtime.load(case.bundle, threads=1, self_check="always") as runtime:
        output = runtime.embed if kind.startswith("xvector") else runtime.logits
        shortest, hop = runtime.manifest.audio.shortest, runtime.manifest.audio.hop
        first, last = SAMPLES
        edges = [shortest, shortest + hop - 1, shortest + hop, first - 1, first, first + 1, last - hop, last]
        waveforms = sounds(*edges)
        expected = [case.expected(waveform) for waveform in waveforms]
        for waveform, values in zip(waveforms, expected, strict=True):
            np.testing.assert_allclose(output(waveform), values, atol=TOLERANCE, rtol=0)
        for found, values in zip(output(waveforms[2:6], batch_size=4), expected[2:6], strict=True):
            np.testing.assert_allclose(found, values, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("kind", "buckets"), [("class-35", TWO), ("xvector", ONE)])
def test_what_is_of_the_whole_utterance_takes_no_longer_one(
    case_of: Any, kind: str, buckets: tuple[float, ...]
) -> None:
    case = case_of(kind, "openvino", static=StaticShapes(buckets))
    with edgespeech_runtime.load(case.bundle, threads=1) as runtime:
        output = runtime.embed if kind.startswith("xvector") else runtime.logits
        with pytest.raises(AudioError, match="at most 2 s of audio"):
            output(sounds(SAMPLES[-1] + 1)[0])


def test_frames_of_longer_audio_are_heard_in_windows(case_of: Any) -> None:
    case = case_of("frames", "openvino", static=StaticShapes(ONE))
    (waveform,) = sounds(3 * SAMPLES[-1] + 77)
    with edgespeech_runtime.load(case.bundle, threads=1) as runtime:
        assert len(runtime.logits(waveform)) == runtime.manifest.frames.count(len(waveform))


@pytest.mark.parametrize(
    ("kind", "masks"),
    [
        ("class-35", (1, 2)),
        ("class-hubert", (2,)),
        ("frames", (2,)),
        ("xvector", (1, 2, 5)),
        ("xvector-adapter", (2, 3, 7)),
        ("xvector-weighted", (1, 2, 5)),
    ],
)
def test_masks_are_wanted_where_padding_would_leak(checkpoint_of: Any, kind: str, masks: tuple[int, ...]) -> None:
    source = with_static_shapes(read(checkpoint_of(kind), None), StaticShapes(BUCKETS))
    assert source.facts["static"].masks == masks


def test_a_bucket_below_what_an_x_vector_needs_is_refused(checkpoint_of: Any) -> None:
    source = read(checkpoint_of("xvector"), None)
    with pytest.raises(ExportError, match=rf"0\.04 s, holds 640 samples; this model needs {source.audio.shortest}"):
        with_static_shapes(source, StaticShapes((0.04, 2.0)))
