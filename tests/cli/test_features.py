"""`edgespeech features`, and `export --layers`: arrays of hidden states and embeddings, and what is refused."""

import json

import numpy as np
import pytest
import soundfile
import tone_heads
from edgespeech_runtime import load
from edgespeech_runtime.bundle.manifest import Features
from tones import RATE, spoken

from edgespeech.cli.options.layers import Layers


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    for name in ("last", "several", "embedding", "classes"):
        (folder / name).mkdir()
    tone_heads.build_head("numpy", tone_heads.FEATURES, folder / "last", features=Features(3))
    tone_heads.build_head("numpy", tone_heads.FEATURES, folder / "several", features=Features(1, (0, 5, 9)))
    tone_heads.build_head("numpy", "audio-xvector", folder / "embedding")
    tone_heads.build_head("numpy", "audio-classification", folder / "classes")
    return folder


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    paths = [folder / name for name in ("a.wav", "b.flac")]
    for path, said in zip(paths, ("AAB", "CBBBBA"), strict=True):
        soundfile.write(path, spoken(said), RATE)
    return paths


def test_one_file(run, bundles, sounds, tmp_path):
    target = tmp_path / "deep" / "a.npy"
    result = run("features", bundles / "last", sounds[0], "--output", target)
    assert result.exit_code == 0
    assert result.stdout == f"{sounds[0]}\t{target}\t[3, 3]\n"
    found = np.load(target)
    assert found.dtype == np.float32
    with load(bundles / "last") as model:
        np.testing.assert_array_equal(found, model.features(sounds[0]))


def test_a_folder_of_several_layers(run, bundles, sounds, tmp_path):
    target = tmp_path / "out"
    result = run("features", bundles / "several", sounds[0].parent, "--output", target, "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"audio": str(sounds[0]), "features": str(target / "a.npy"), "shape": [3, 3, 1]},
        {"audio": str(sounds[1]), "features": str(target / "b.npy"), "shape": [3, 6, 1]},
    ]
    assert {path.name for path in target.iterdir()} == {"a.npy", "b.npy"}
    both = np.load(target / "b.npy")
    run("features", bundles / "several", sounds[1], "--output", tmp_path / "five.npy", "--layer", 5)
    np.testing.assert_array_equal(np.load(tmp_path / "five.npy"), both[1])


def test_embeddings(run, bundles, sounds, tmp_path):
    run("features", bundles / "embedding", *sounds, "--output", tmp_path / "out")
    with load(bundles / "embedding") as model:
        for path in sounds:
            np.testing.assert_allclose(np.load(tmp_path / "out" / f"{path.stem}.npy"), model.embed(path), atol=1e-5)


def test_a_bad_file_is_named_and_the_others_are_written(run, bundles, sounds, tmp_path):
    sounds[0].write_bytes(b"no sound")
    result = run("features", bundles / "last", *sounds, "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert str(sounds[0]) in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.npy"]


def test_what_is_refused(refused, bundles, sounds, tmp_path):
    out = tmp_path / "x.npy"
    last, several = bundles / "last", bundles / "several"
    assert "--output is needed: a file that ends in .npy" in refused("features", last, sounds[0])
    assert f"{out} is one file for 2 recordings" in refused("features", last, *sounds, "--output", out)
    assert "has the layers 0, 5, 9, got 3" in refused("features", several, sounds[0], "--output", out, "--layer", 3)
    said = refused("features", bundles / "classes", sounds[0], "--output", out)
    assert said.endswith(" is a classifier of utterances, which gives answers, no features: use edgespeech classify")
    said = refused("features", bundles / "embedding", sounds[0], "--output", out, "--layer", 0)
    assert "--layer is not for" in said
    assert "transcribes nothing: use edgespeech features" in refused("transcribe", last, sounds[0])
    assert not out.exists()
    out.write_bytes(b"mine")
    assert str(out) in refused("features", last, sounds[0], "--output", out)
    assert out.read_bytes() == b"mine"


def test_a_file_is_replaced_where_that_is_asked_for(run, bundles, sounds, tmp_path):
    out = tmp_path / "x.npy"
    out.write_bytes(b"mine")
    assert run("features", bundles / "last", sounds[0], "--output", out, "--force").exit_code == 0
    assert np.load(out).shape == (3, 3)


def test_inspect_says_the_layers(run, bundles):
    assert "the last hidden state" in run("inspect", bundles / "last").stdout
    shown = run("inspect", bundles / "several").stdout
    assert "0, 5, 9" in shown
    assert "1 dimension a frame" in shown


def test_a_bundle_on_each_device(run, bundles):
    (found,) = json.loads(run("devices", "--check", bundles / "several", "--json").stdout)
    assert (found["works"], found["same_answer"]) == (True, True)


@pytest.mark.parametrize(("said", "meant"), [("last", "last"), ("all", "all"), ("6", (6,)), (" 0, 6,12", (0, 6, 12))])
def test_layers_are_read(said, meant):
    assert Layers().convert(said, None, None) == meant


@pytest.mark.parametrize("said", ["first", "-1", "1,", "1.5", "1-3", ""])
def test_layers_that_are_none(refused, tmp_path, said):
    assert "expected last, all, or numbers as in 6 or 0,6,12" in refused("export", "x", tmp_path, "--layers", said)
