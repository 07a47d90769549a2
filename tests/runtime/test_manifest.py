"""The manifest: there and back, and one line for everything that can be wrong with it."""

import copy
import dataclasses
import json

import pytest
from edgespeech_runtime.bundle.contracts import BIAS, COLUMNS, contract
from edgespeech_runtime.bundle.manifest import Frames, Manifest
from edgespeech_runtime.errors import BundleError
from tone_translator import FACTS
from tone_translator import manifest_data as translator_data


def test_there_and_back(manifest_data):
    manifest_data["report"] = {"parity": {"onnx": 1.5e-6}, "note": "Grüße"}
    manifest_data["provenance"] = {"checkpoint": ["a", 1, None]}
    manifest = Manifest.from_json(json.dumps(manifest_data))
    assert json.loads(manifest.to_json()) == manifest_data
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_format_stands_first(manifest_data):
    assert list(json.loads(Manifest.from_json(json.dumps(manifest_data)).to_json()))[:2] == ["format", "task"]


def test_unknown_fields_are_ignored(manifest_data):
    plain = Manifest.from_json(json.dumps(manifest_data))
    manifest_data["later"] = {"a": 1}
    manifest_data["audio"]["later"] = 2
    assert Manifest.from_json(json.dumps(manifest_data)) == plain


def test_report_and_provenance_may_be_absent(manifest_data):
    del manifest_data["report"], manifest_data["provenance"]
    assert Manifest.from_json(json.dumps(manifest_data)).report == {}


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 100_000])
def test_not_json(text):
    with pytest.raises(BundleError, match=r"edgespeech.json is not JSON \(.*\): export the bundle again"):
        Manifest.from_json(text)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_not_an_object(text):
    with pytest.raises(BundleError, match="expected a JSON object, got"):
        Manifest.from_json(text)


def test_a_newer_format_asks_for_an_upgrade(manifest_data):
    manifest_data["format"] = 2
    del manifest_data["audio"]  # whatever else changed
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(json.dumps(manifest_data))
    assert str(caught.value) == "bundle format 2, this runtime reads up to 1: upgrade edgespeech-runtime"


@pytest.mark.parametrize("found", [0, -1, "1", True, None, 1.5])
def test_a_format_that_is_none(manifest_data, found):
    manifest_data["format"] = found
    with pytest.raises(BundleError, match="format: expected 1, got"):
        Manifest.from_json(json.dumps(manifest_data))


@pytest.mark.parametrize(
    ("field", "value", "known"),
    [
        (
            "task",
            "telepathy",
            "ctc, audio-classification, audio-frame-classification, audio-xvector, feature-extraction, encoder-decoder",
        ),
        ("engine", "abacus", "onnx, openvino, numpy"),
        ("precision", "int3", "float32, float16, int8"),
    ],
)
def test_unknown_names_list_the_known(manifest_data, field, value, known):
    manifest_data[field] = value
    with pytest.raises(BundleError, match=rf"{field} '{value}' is not one of {known}: upgrade edgespeech-runtime"):
        Manifest.from_json(json.dumps(manifest_data))


@pytest.mark.parametrize("field", ["task", "engine", "audio", "graphs", "files", "frames", "golden"])
def test_a_missing_field_is_named(manifest_data, field):
    del manifest_data[field]
    with pytest.raises(BundleError, match=rf"the field {field} is missing: export the bundle again"):
        Manifest.from_json(json.dumps(manifest_data))


def test_a_ctc_bundle_must_have_its_vocabulary(manifest_data):
    for lacking in (
        manifest_data | {"vocabulary": None},
        {k: v for k, v in manifest_data.items() if k != "vocabulary"},
    ):
        with pytest.raises(BundleError, match="vocabulary: a bundle of the task 'ctc' must have it"):
            Manifest.from_json(json.dumps(lacking))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../weights.data",
        "a/../../b",
        "..",
        "",
        ".",
        "a//b",
        "./a",
        "a/",
        "C:\\a",
        "a\\b",
        "C:a",
        "a\0",
        "\ud800",
    ],
)
def test_paths_that_leave_the_bundle_are_refused(manifest_data, path):
    manifest_data["files"][path] = manifest_data["files"]["single.onnx"]
    with pytest.raises(BundleError, match="is not a plain path inside the bundle"):
        Manifest.from_json(json.dumps(manifest_data))


def test_a_path_in_a_folder_of_the_bundle_is_plain(manifest_data):
    manifest_data["files"]["onnx/model.onnx"] = manifest_data["files"]["single.onnx"]
    assert "onnx/model.onnx" in Manifest.from_json(json.dumps(manifest_data)).files


def _set(data, place, value):
    *folders, last = place.split("/")
    for folder in folders:
        data = data[int(folder) if folder.isdigit() else folder]
    data[last] = value


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("audio/sampling_rate", 0, "audio.sampling_rate: expected a positive number, got 0"),
        ("audio/hop", 160, "audio.hop is 160, but the strides in frames multiply to 320"),
        ("audio/hop", -1, "audio.hop: expected a positive number, got -1"),
        ("audio/shortest", 319, "audio.shortest: 319 samples give no frame"),
        ("graphs/single/file", "gone.onnx", "graphs.single: 'gone.onnx' is not listed in files"),
        ("graphs/batch/weights", "gone.data", "graphs.batch: 'gone.data' is not listed in files"),
        ("graphs/single/inputs", [], "graphs.single.inputs: expected input_values, got none"),
        ("graphs/batch/inputs/1/name", "mask", "graphs.batch.inputs: expected input_values, input_lengths, got"),
        ("graphs/single/outputs/0/name", "logprobs", "graphs.single.outputs: expected logits, got logprobs"),
        ("files/golden.npz/bytes", -1, "files: expected a size of at least 0 bytes, got -1"),
        ("files/golden.npz/sha256", "ABC", "files: expected 64 hexadecimal digits of SHA-256, got 'ABC'"),
        ("frames/kernels", [10, 3], "frames: expected kernels, strides and paddings of one length"),
        ("frames/strides", [0], "frames: expected positive kernels and strides"),
        ("frames/paddings", [-1], "frames: expected paddings of at least 0"),
        ("vocabulary/blank", 8, "vocabulary.blank: expected an id below 8, got 8"),
        ("vocabulary/special", [0, 9], "vocabulary.special: expected ids below 8, got 9"),
        ("vocabulary/word_delimiter", "/", "vocabulary.word_delimiter: '/' is not among the tokens; use null for none"),
        ("golden/file", "gone.npz", "golden.file: 'gone.npz' is not listed in files"),
        ("golden/tolerance", 0, "golden.tolerance: expected a positive number, got 0"),
    ],
)
def test_values_that_contradict_each_other(manifest_data, place, value, message):
    data = copy.deepcopy(manifest_data)
    _set(data, place, value)
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(json.dumps(data))
    assert str(caught.value).startswith(f"edgespeech.json: {message}")


def test_the_single_graph_must_be_there(manifest_data):
    del manifest_data["graphs"]["single"]
    with pytest.raises(BundleError, match="the graph 'single' is missing"):
        Manifest.from_json(json.dumps(manifest_data))


def test_an_encoder_decoder_there_and_back():
    data = translator_data()
    manifest = Manifest.from_json(json.dumps(data))
    assert (manifest.vocabulary, manifest.decoder) == (None, FACTS)
    assert json.loads(manifest.to_json()) == data
    del data["vocabulary"]  # as null
    assert Manifest.from_json(json.dumps(data)) == manifest


def test_the_batch_graph_of_an_encoder_may_be_absent():
    data = translator_data()
    del data["graphs"]["encoder_batch"]
    assert set(Manifest.from_json(json.dumps(data)).graphs) == {"encoder", "decoder"}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("decoder", None, "decoder: a bundle of the task 'encoder-decoder' must have it"),
        ("decoder/layers", 0, "decoder.layers: expected at least 1, got 0"),
        ("decoder/layers", True, "decoder.layers: expected a whole number, got True"),
        (
            "decoder/layers",
            2,
            "graphs.encoder.outputs: expected cross.0.key, cross.0.value, cross.1.key, cross.1.value,",
        ),
        ("decoder/heads", -1, "decoder.heads: expected at least 1, got -1"),
        ("decoder/head_dim", 0, "decoder.head_dim: expected at least 1, got 0"),
        ("decoder/vocabulary_size", 0, "decoder.vocabulary_size: expected at least 1, got 0"),
        ("decoder/longest", 1, "decoder.longest: expected at least 2, or null for any number, got 1"),
        ("decoder/longest", "64", "decoder.longest: expected a whole number, got '64'"),
        ("decoder/text", "gone.json", "decoder.text: 'gone.json' is not listed in files"),
        ("decoder/generation", [], "decoder.generation: expected an object, got []"),
        (
            "graphs/decoder/inputs/2/name",
            "mask",
            "graphs.decoder.inputs: expected tokens, positions, bias, cross_bias,",
        ),
        ("graphs/decoder/outputs", [], "graphs.decoder.outputs: expected logits, new.0.key, new.0.value, got none"),
        ("graphs/encoder/outputs/0/name", "states", "graphs.encoder.outputs: expected cross.0.key, cross.0.value, got"),
        ("graphs/encoder_batch/inputs", [], "graphs.encoder_batch.inputs: expected input_values, input_lengths, got"),
        ("graphs/decoder/file", "gone.onnx", "graphs.decoder: 'gone.onnx' is not listed in files"),
    ],
)
def test_an_encoder_decoder_that_contradicts_itself(place, value, message):
    data = translator_data()
    _set(data, place, value)
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(json.dumps(data))
    assert str(caught.value).startswith(f"edgespeech.json: {message}")


@pytest.mark.parametrize("field", ["layers", "heads", "head_dim", "vocabulary_size", "longest", "text", "generation"])
def test_a_missing_fact_of_the_decoder_is_named(field):
    data = translator_data()
    del data["decoder"][field]
    with pytest.raises(BundleError, match=rf"the field decoder\.{field} is missing: export the bundle again"):
        Manifest.from_json(json.dumps(data))


@pytest.mark.parametrize("graph", ["encoder", "decoder"])
def test_a_graph_of_an_encoder_decoder_must_be_there(graph):
    data = translator_data()
    del data["graphs"][graph]
    with pytest.raises(BundleError, match=f"the graph '{graph}' is missing"):
        Manifest.from_json(json.dumps(data))


def test_the_contract_of_a_decoder_names_every_layer():
    facts = dataclasses.replace(FACTS, layers=2)
    graphs = contract("encoder-decoder", facts)
    inputs, outputs = graphs["decoder"]
    past = [f"cache.{layer}.{kind}" for layer in range(2) for kind in ("key", "value")]
    cross = [name.replace("cache", "cross") for name in past]
    assert [tensor.name for tensor in inputs] == ["tokens", "positions", "bias", "cross_bias", *past, *cross]
    assert [tensor.name for tensor in outputs] == ["logits", *(name.replace("cache", "new") for name in past)]
    assert graphs["encoder"][1] == graphs["encoder_batch"][1] == inputs[-4:]
    assert graphs["cache"][0] == (COLUMNS, *inputs[4:8], *outputs[1:])
    assert [tensor.name for tensor in graphs["cache"][1]] == [name.replace("cache", "kept") for name in past]
    assert inputs[2] == BIAS
    assert [tensor.axes for tensor in inputs[4:6]] == [
        ("batch", "heads", "head_dim", "slots"),
        ("batch", "heads", "slots", "head_dim"),
    ]
    with pytest.raises(BundleError, match="decoder: a bundle of the task 'encoder-decoder' must have it"):
        contract("encoder-decoder")


@pytest.mark.parametrize("report", [{"x": float("nan")}, {"x": object()}])
def test_a_report_that_json_cannot_hold(manifest_data, report):
    manifest = Manifest.from_json(json.dumps(manifest_data))
    manifest.report.update(report)
    with pytest.raises(BundleError, match="report or provenance cannot be written as JSON"):
        manifest.to_json()


WAV2VEC2 = Frames((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), (0,) * 7)


@pytest.mark.parametrize(
    ("samples", "frames"),
    [(0, 0), (1, 0), (399, 0), (400, 1), (719, 1), (720, 2), (16000, 49), (16079, 49), (16080, 50), (160_000, 499)],
)
def test_frame_counts_of_wav2vec2(samples, frames):
    # receptive field 400, hop 320: (samples - 400) // 320 + 1 from 400 on
    assert WAV2VEC2.count(samples) == frames


def test_frame_counts_with_an_adapter():
    adapter = Frames((*WAV2VEC2.kernels, 3), (*WAV2VEC2.strides, 2), (*WAV2VEC2.paddings, 1))
    assert [adapter.count(n) for n in (399, 400, 720, 1040, 16000)] == [0, 1, 1, 2, 25]


def test_delimiter_id(manifest_data):
    assert Manifest.from_json(json.dumps(manifest_data)).vocabulary.delimiter_id == 4
    manifest_data["vocabulary"]["word_delimiter"] = None
    assert Manifest.from_json(json.dumps(manifest_data)).vocabulary.delimiter_id is None
