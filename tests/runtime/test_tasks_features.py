"""Feature extractors, from waveform to hidden states, on every engine; `tone_heads` says what is right."""

from dataclasses import replace

import numpy as np
import pytest
from edgespeech_runtime import FeatureModel, load
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.manifest import Features, Manifest
from edgespeech_runtime.errors import ArgumentError, AudioError, BundleError
from tone_heads import FEATURES, LABELS, build_head, build_static_head, scores
from tones import FRAME

FORMS = {"last": Features(len(LABELS)), "several": Features(1, (0, 2, 7)), "one": Features(len(LABELS), (4,))}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """`bundles(form, engine)`: a bundle whose hidden states are the scores of `tone_heads`, made once."""
    made = {}

    def get(form, engine):
        if (form, engine) not in made:
            folder = tmp_path_factory.mktemp("features")
            facts = {"features": FORMS[form]}
            if engine == "static":
                build_static_head(FEATURES, folder, **facts)
            else:
                build_head(engine, FEATURES, folder, **facts)
            made[form, engine] = folder
        return made[form, engine]

    return get


@pytest.fixture(params=["onnx", "openvino", "numpy", "static"])
def engine(request):
    pytest.importorskip({"onnx": "onnxruntime", "static": "onnxruntime"}.get(request.param, request.param))
    return request.param


@pytest.fixture
def opened(bundles, engine):
    models = []

    def make(form):
        models.append(load(bundles(form, engine), threads=1))
        return models[-1]

    yield make
    for model in models:
        model.close()


def expected(samples):
    """[frames, 3] of a waveform."""
    return scores(normalize(samples))


def test_the_last_hidden_state(opened, say):
    model, samples = opened("last"), say("AABC", tail=17)
    assert isinstance(model, FeatureModel)
    assert (model.dimensions, model.layers) == (3, None)
    found = model.features(samples)
    assert (found.dtype, found.shape) == (np.float32, (4, 3))
    np.testing.assert_allclose(found, expected(samples), atol=1e-4)
    assert not hasattr(model, "logits")


def test_several_hidden_states_stand_in_front_of_the_frames(opened, say):
    model, samples = opened("several"), say("CBBA")
    found = model.features(samples)
    assert (model.layers, found.shape) == ((0, 2, 7), (3, 4, 1))
    np.testing.assert_allclose(found[:, :, 0].T, expected(samples), atol=1e-4)
    for index, layer in enumerate(model.layers):
        np.testing.assert_array_equal(model.features(samples, layer=layer), found[index])


def test_a_single_layer_has_no_axis_of_its_own(opened, say):
    model, samples = opened("one"), say("AB")
    found = model.features(samples)
    assert found.shape == (2, 3)
    np.testing.assert_array_equal(model.features(samples, layer=4), found)


def test_features_do_not_change_with_what_runs_beside_them(opened, say):
    model = opened("several")
    audio = [say(said) for said in ("AB", "AAABC", "CCAABB", "B", "AB")]
    for batch_size in (1, 3, 8):
        for found, samples in zip(model.features(audio, batch_size=batch_size), audio, strict=True):
            np.testing.assert_allclose(found, model.features(samples), atol=1e-4, rtol=0)
    assert [found.shape for found in model.features(tuple(audio), layer=2)] == [(n, 1) for n in (2, 5, 6, 1, 2)]


@pytest.mark.parametrize(
    ("form", "layer", "message"),
    [
        ("several", 1, "this bundle has the layers 0, 2, 7, got 1; export it again with others"),
        ("several", True, "the layers 0, 2, 7, got True"),
        ("several", -1, "got -1"),
        ("last", 0, "this bundle has the last hidden state alone, got 0"),
    ],
)
def test_a_layer_that_is_not_there(bundles, say, form, layer, message):
    with load(bundles(form, "numpy")) as model, pytest.raises(ArgumentError, match=message):
        model.features(say("A"), layer=layer)


def test_less_than_a_frame(bundles):
    with load(bundles("last", "numpy")) as model, pytest.raises(AudioError, match=rf"{FRAME}"):
        model.features(np.zeros(FRAME - 1, np.float32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dimensions": 0}, "features.dimensions: expected a positive number, got 0"),
        ({"layers": ()}, "features.layers: expected numbers of layers, ascending and at least one"),
        ({"layers": (2, 1)}, "features.layers"),
        ({"layers": (-1, 1)}, "features.layers"),
    ],
)
def test_facts_that_are_refused(values, message):
    with pytest.raises(BundleError, match=message):
        replace(Features(4, (0, 1)), **values)


def test_the_manifest_comes_back_as_it_was_written(bundles):
    text = (bundles("several", "numpy") / "edgespeech.json").read_text(encoding="utf-8")
    manifest = Manifest.from_json(text)
    assert manifest.features == FORMS["several"]
    assert Manifest.from_json(manifest.to_json()) == manifest
    with pytest.raises(BundleError, match="features: a bundle of the task 'feature-extraction' must have it"):
        replace(manifest, features=None)
