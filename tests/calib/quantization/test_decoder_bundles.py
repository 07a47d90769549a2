"""Bundles with a quantized decoder in the runtime as it is: a trained one still writes what it wrote.

That takes minutes for each engine; the usual run has a tiny model with random weights.
"""

import shutil
from dataclasses import replace

import edgespeech_runtime
import jiwer
import numpy as np
import pytest
from edgespeech_calib.quantization.backends import open_decoder
from edgespeech_calib.quantization.options import QuantizationOptions
from edgespeech_calib.quantization.targets import detect, types
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, File, Golden
from exported_models import sounds
from places import SAMPLES, embedded

MOST = 0.02  # of the words of a trained decoder that 8 bits may change


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def dictation(request, tmp_path_factory):
    bundle = tmp_path_factory.mktemp("dictation") / request.param
    export(embedded("dictation-en"), bundle, ExportOptions(engine=request.param))
    return bundle


def quantized(bundle, folder, weights):
    """The bundle with another decoder, over the same file of weights."""
    shutil.copytree(bundle, folder)
    source = open_bundle(bundle)
    graph = source.manifest.graphs["decoder"]
    (folder / graph.file).unlink()
    backend = open_decoder(
        source, QuantizationOptions(decoder_weights=weights), types(detect(), source.manifest.engine)
    )
    graphs = backend.write(folder)
    assert graphs["decoder"].weights == graph.weights
    (folder / MANIFEST_FILE).unlink()
    files = {path.name: File(path.stat().st_size, sha256(path)) for path in folder.iterdir()}
    manifest = replace(
        source.manifest,
        precision="int8",
        graphs={**source.manifest.graphs, **graphs},
        files=files,
        golden=Golden(source.manifest.golden.file, 1e3),
    )
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return backend.integer_share(folder)


@pytest.mark.slow
def test_in_int8_a_trained_decoder_writes_the_same_alone_in_batches_and_with_beams(dictation, tmp_path):
    share = quantized(dictation, tmp_path / "bundle", "int8")
    assert share.share > 0.5
    assert share.floating == ()
    paths = sorted([*SAMPLES.parent.glob("*.wav"), *SAMPLES.parent.glob("*.flac")])
    with (
        edgespeech_runtime.load(dictation, threads=1) as exact,
        edgespeech_runtime.load(tmp_path / "bundle", threads=1) as model,
    ):
        expected = " ".join(exact.transcribe(path).text for path in paths)
        assert jiwer.wer(expected, " ".join(model.transcribe(path).text for path in paths)) <= MOST
        assert model.generate(paths) == [model.generate(path) for path in paths]
        assert model.generate(paths, num_beams=4) == [model.generate(path, num_beams=4) for path in paths]
        assert model.self_check() > 0


@pytest.mark.slow
def test_in_int4_its_logits_are_near(dictation, tmp_path):
    """Some words may change: 4 bits are a trade that the gate is there to judge."""
    quantized(dictation, tmp_path / "bundle", "int4")
    with edgespeech_runtime.load(tmp_path / "bundle", threads=1) as model:
        expected = np.abs(open_bundle(dictation).arrays("golden.npz", "logits")[0]).max()
        assert 0 < model.self_check() < 0.1 * expected


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_in_int8_logits_of_random_weights_are_near_and_batches_say_what_each_says_alone(float_bundle, tmp_path, engine):
    exact = float_bundle("encoder-decoder", engine)
    share = quantized(exact, tmp_path / "bundle", "int8")
    assert share.floating == ()
    waveforms = sounds(4000, 6100, 2500)
    with edgespeech_runtime.load(tmp_path / "bundle", threads=1) as model:
        expected = np.abs(open_bundle(exact).arrays("golden.npz", "logits")[0]).max()
        assert 0 < model.self_check() < 0.1 * expected  # a wrong scale or row gives as much as the logits
        assert model.generate(waveforms) == [model.generate(waveform) for waveform in waveforms]
