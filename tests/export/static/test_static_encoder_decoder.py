"""Speech encoder-decoders whose graphs have fixed shapes say what the reference model says, greedily and with beams."""

from pathlib import Path
from typing import Any

import edgespeech_runtime
import onnx
import pytest
import torch
from edgespeech_export import ExportOptions, StaticShapes, export
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.errors import ArgumentError, AudioError
from exported_models import make_checkpoint, sounds

from edgespeech import SpeechEncoderDecoderModel

BUCKETS = (0.7, 2.0)  # seconds
OPTIONS: tuple[dict[str, Any], ...] = ({}, {"num_beams": 4}, {"num_beams": 6, "max_new_tokens": 12})
LENGTHS = (9000, 11200, 11201, 32000)  # samples


CASES = [("bart", "onnx"), pytest.param(("bert", "openvino"), marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=CASES, ids=["bart-onnx", "bert-openvino"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(reference model, folder of the bundle)."""
    family, engine = request.param
    folder: Path = tmp_path_factory.mktemp("static")
    checkpoint = make_checkpoint(folder / "checkpoint", family)
    export(checkpoint, folder / "bundle", ExportOptions(engine=engine, static=StaticShapes(BUCKETS, slots=48)))
    return SpeechEncoderDecoderModel.from_pretrained(checkpoint), folder / "bundle"


def test_the_tokens_are_the_reference_models(made: Any):
    model, bundle = made
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        waveforms = sounds(*LENGTHS)
        values = [torch.from_numpy(normalize(waveform))[None] for waveform in waveforms]
        for options in OPTIONS:
            found = runtime.generate(waveforms, **options)
            for row, value in zip(found, values, strict=True):
                expected = model.generate(value, **options)[0].tolist()
                assert row == expected[: len(row)]
                assert set(expected[len(row) :]) <= {model.generation_config.pad_token_id}


def test_what_the_shapes_do_not_hold_is_refused(made: Any):
    _, bundle = made
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        with pytest.raises(AudioError, match=r"at most 2 s of audio"):
            runtime.generate(sounds(32001))
        with pytest.raises(ArgumentError, match=r"above the .* positions of the decoder"):
            runtime.generate(sounds(9000), max_new_tokens=60)
        with pytest.raises(ArgumentError, match="use fewer beams or tokens"):
            runtime.generate(sounds(9000), num_beams=49, max_new_tokens=5)


def test_the_decoder_is_two_graphs_that_give_new_columns_alone(made: Any):
    _, bundle = made
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        graphs = runtime.manifest.graphs
        assert list(graphs) == ["encoder_11200", "encoder_32000", "prefill", "step"]
        if runtime.manifest.engine != "onnx":
            return
    for name, new in (("prefill", 4), ("step", 1)):
        model = onnx.load(bundle / graphs[name].file, load_external_data=False)
        shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*model.graph.input, *model.graph.output)
        }
        assert shapes["tokens"] == shapes["cache_position"] == [1, new]
        assert shapes["attention_mask"] == [1, new, 48 + new]
        assert shapes["cache.0.value"][2] == 48
        assert shapes["new.0.value"][2] == new
        assert all(size > 0 for shape in shapes.values() for size in shape)
