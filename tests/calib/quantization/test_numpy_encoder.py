"""INT8 for the numpy engine: the bundle against a torch model whose weights were rounded by the same rule.

The oracle's rule is written here once more: symmetric, 8 bits, a scale for each output channel or row of a table.
"""

import json
from functools import cache
from types import SimpleNamespace

import edgespeech_runtime
import numpy as np
import pytest
import torch
from edgespeech_calib import open_set
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization import QuantizationOptions, pipeline, quantize, timing
from edgespeech_calib.quantization.numpy.encoder import NumpyEncoder
from edgespeech_calib.quantization.report import page as report_page
from edgespeech_calib.quantization.targets import types
from edgespeech_export.proof import encoder_decoder as encoder_decoder_proof
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.folder import open_bundle
from exported_models import sounds
from kinds import KINDS
from torch.nn.utils import parametrize

from edgespeech import AutoModelForCTC, SpeechEncoderDecoderModel

ENGINE = "numpy"  # see `usual`
LEAST = 128  # weights of those that are rounded
DECODERS = ("bert", "gpt2", "bart", "mbart", "speech2text2-plain")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(timing, "RUNS", 1)


@torch.no_grad()
def rounded(model, leave=()):
    """Round a model's weights in place, but for modules whose names are in `leave`; how many there are now."""
    done = {}
    for name, module in model.named_modules():
        if name in leave:
            continue
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
        weight = getattr(module, "weight", getattr(module, "weights", None))  # the latter of sinusoidal positions
        if not isinstance(weight, torch.Tensor) or weight.ndim < 2 or weight.numel() < LEAST or id(weight) in done:
            continue
        axis = 1 if type(module).__name__ == "TransposedLinear" else 0
        others = [place for place in range(weight.ndim) if place != axis]
        step = weight.abs().amax(dim=others, keepdim=True) / 127
        weight.copy_((weight / torch.where(step > 0, step, 1)).round() * step)
        done[id(weight)] = weight.numel()
    return sum(done.values())


def kernels_by_channel(model):
    """Names of positional convolutions that have a kernel for each channel: they stay in float."""
    groups = {name: getattr(module, "groups", 1) for name, module in model.named_modules()}
    return {name for name, count in groups.items() if 1 < count == model.config.hidden_size}


@pytest.fixture(scope="module")
def int8(float_bundle, tmp_path_factory):
    """`int8("wav2vec2-group")`: what quantizing the numpy bundle of a kind, or of an encoder-decoder, gave; once.

    Whatever it costs in words, of which random weights write nothing that means anything.
    """
    folder = tmp_path_factory.mktemp("int8")
    options = QuantizationOptions(max_changed_words=1000)

    @cache
    def make(bundle):
        return folder / bundle.name, quantize(bundle, folder / bundle.name, options=options)

    return make


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_ctc_models_compute_with_the_rounded_weights(exported_kinds, int8, kind):
    case = exported_kinds.case(kind, "numpy")
    folder, found = int8(case.bundle)
    model = AutoModelForCTC.from_pretrained(case.checkpoint)
    stored = rounded(model, leave=kernels_by_channel(model))
    waveforms = sounds(4000, 9001, 700)
    with edgespeech_runtime.load(folder) as runtime:
        is_normalized = runtime.manifest.audio.normalize
        values = [torch.from_numpy(normalize(w) if is_normalized else w)[None] for w in waveforms]
        expected = [model.logits(value)[0].numpy() for value in values]
        for logits in ([runtime.logits(w) for w in waveforms], runtime.logits(waveforms, batch_size=3)):
            for a, b in zip(expected, logits, strict=True):
                np.testing.assert_allclose(b, a, atol=1e-4 * max(1, np.abs(a).max()), rtol=0)
    assert sum(layer.macs for layer in found.layers) == stored
    assert {layer.precision for layer in found.layers} == {"int8"}
    assert found.layers[0].name.endswith("feature_extractor.conv_layers.0.conv")


@pytest.mark.parametrize("name", DECODERS)
def test_encoder_decoders_compute_with_the_rounded_weights(pairs, int8, name):
    pair = pairs.pair(name, "numpy")
    folder, _ = int8(pair.bundle)
    model = SpeechEncoderDecoderModel.from_pretrained(pair.checkpoint)
    rounded(model)
    (waveform,) = sounds(6000)
    with edgespeech_runtime.load(folder) as runtime:
        facts = runtime.manifest
        written = encoder_decoder_proof.reference(model, facts.decoder, [waveform], facts.audio.normalize)
        (tokens,), (expected,) = written.tokens, written.exact
        found = runtime.step_logits([waveform], tokens)[0]
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()), rtol=0)
        said = runtime.generate(waveform, num_beams=1, max_length=tokens.shape[1])
        assert said == tokens[0, : len(said)].tolist()


@torch.no_grad()
def test_noise_is_that_of_a_layer_alone(exported_kinds):
    case = exported_kinds.case("wav2vec2-group", "numpy")
    backend = NumpyEncoder(open_bundle(case.bundle), QuantizationOptions(), types("x86-vnni", "numpy"))
    values = [normalize(waveform)[None] for waveform in sounds(4000, 7000)]
    found = backend.noise(lambda: iter(values))
    assert list(found) == [layer.name for layer in backend.layers]
    layer = "wav2vec2.encoder.layers.1.feed_forward.output_dense"
    heard = []
    plain, other = (AutoModelForCTC.from_pretrained(case.checkpoint) for _ in range(2))
    module = plain.get_submodule(layer)
    module.register_forward_hook(lambda module, inputs, output: heard.append((inputs[0], output - module.bias)))
    for value in values:
        plain.logits(torch.from_numpy(value))
    rounded(other, leave={name for name, _ in other.named_modules()} - {layer})
    twin = other.get_submodule(layer)
    signal = sum(float(output.square().sum()) for _, output in heard)
    noise = sum(float((inputs @ twin.weight.T - output).square().sum()) for inputs, output in heard)
    assert found[layer] == pytest.approx(10 * np.log10(signal / noise), abs=0.05)


def test_layers_say_what_they_are(pairs, exported_kinds):
    def layers(bundle):
        backend = NumpyEncoder(open_bundle(bundle), QuantizationOptions(), types("arm", "numpy"))
        return {layer.name: (layer.kind, layer.stage) for layer in backend.layers}

    found = layers(exported_kinds.case("wav2vec2-adapters", "numpy").bundle)
    assert found["wav2vec2.feature_extractor.conv_layers.1.conv"] == ("convolution", "features")
    assert found["wav2vec2.encoder.pos_conv_embed.conv"] == ("positional", "transformer")
    assert found["lm_head"] == ("linear", "head")
    found = layers(pairs.pair("bert", "numpy").bundle)
    assert found["decoder.bert.embeddings.word_embeddings"] == ("table", "head")
    assert found["decoder.bert.encoder.layer.1.attention.self.query"] == ("linear", "head")


def test_the_report_says_that_floats_are_computed_with(exported_kinds, int8):
    case = exported_kinds.case("wav2vec2-group", "numpy")
    folder, found = int8(case.bundle)
    manifest = json.loads((folder / "edgespeech.json").read_text(encoding="utf-8"))
    part = manifest["report"]["quantization"]
    assert (manifest["precision"], part["scheme"], part["arithmetic"]) == ("int8", "weights", "float32")
    assert not {"integer_share", "target", "ran_in_float"} & part.keys()
    with np.load(folder / "weights.npz") as archive:
        sizes = {name: archive[name].size for name in archive.files if not name.endswith(".scale")}
    share = sum(size for name, size in sizes.items() if name.endswith(".int8")) / sum(sizes.values())
    assert part["weights_share"] == pytest.approx(share, abs=1e-4)
    assert part["weights_share"] > 0.9
    assert part["gate"]["speech"] == manifest["provenance"]["calibration"]["set"] == "golden input"
    assert part["gate"]["logits_db"] > 25
    assert all(layer["noise_db"] > 30 for layer in part["layers"])
    page = report_page.page("int8", found)
    assert "of the weights in INT8, computed in float32" in page
    assert "judged on 1 utterance of golden input, 2 s" in page


def test_the_same_bundle_each_time(exported_kinds, tmp_path):
    bundle = exported_kinds.case("unispeech-stable", "numpy").bundle
    for name in ("one", "two"):
        quantize(bundle, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_speech_decides_where_it_is_given(exported_kinds, corpus, tmp_path):
    data = open_set(corpus)
    found = quantize(exported_kinds.case("wav2vec2-group", "numpy").bundle, tmp_path / "int8", data)
    assert found.manifest.provenance["calibration"]["utterances"] == found.judgement.utterances == 5
    options = QuantizationOptions(max_wer_increase=1000.0)
    bundle = exported_kinds.case("wav2vec2-group", "numpy").bundle
    labelled = quantize(bundle, tmp_path / "counted", None, options, evaluation_data=data)
    assert labelled.judgement.increase is not None
    assert labelled.manifest.provenance["calibration"]["set"] == "golden input"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"scheme": "dynamic"}, "scheme"),
        ({"ranges": "minmax"}, "ranges"),
        ({"decoder_weights": "int4"}, "decoder_weights"),
        ({"target": "arm"}, "target"),
    ],
)
def test_options_of_integers_are_refused(exported_kinds, tmp_path, options, name):
    bundle = exported_kinds.case("wav2vec2-group", "numpy").bundle
    with pytest.raises(QuantizationError, match=f"{name} is for engines that compute in integers"):
        quantize(bundle, tmp_path / "int8", options=QuantizationOptions(**options))
    assert list(tmp_path.iterdir()) == []


def test_other_engines_need_speech(bundle, tmp_path):
    with pytest.raises(QuantizationError, match="'onnx' is calibrated on speech; give a set of recordings"):
        quantize(bundle, tmp_path / "int8")


def test_fixed_shapes_are_refused(tmp_path, monkeypatch):
    static = SimpleNamespace(folder="static", manifest=SimpleNamespace(precision="float32", static=object()))
    monkeypatch.setattr(pipeline, "open_bundle", lambda folder: static)
    with pytest.raises(QuantizationError, match="static has fixed shapes"):
        quantize("static", tmp_path / "int8")
