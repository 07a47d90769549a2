"""The language model that a bundle carries: of the options, of the checkpoint, or none."""

import json
import shutil
from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
from checkpoints import make_checkpoint
from edgespeech_export import ExportError, ExportOptions, export
from edgespeech_export.language_model import BundledModel, of_checkpoint
from edgespeech_runtime.bundle.manifest import LanguageModel, Manifest
from edgespeech_runtime.errors import BundleError

GOLDENS = Path(__file__).parents[1] / "goldens" / "ngrams"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint with a language model of its own, in the form of `Wav2Vec2ProcessorWithLM`."""
    folder = make_checkpoint(tmp_path_factory.mktemp("lm") / "tiny", num_hidden_layers=1)
    home = folder / "language_model"
    home.mkdir()
    shutil.copyfile(GOLDENS / "three.trie", home / "3gram.bin")
    (home / "unigrams.txt").write_text("WONDERFUL\n")
    attributes = {"alpha": 0.7, "beta": 1.0, "unk_score_offset": -8.0, "score_boundary": False}
    (home / "attrs.json").write_text(json.dumps(attributes))
    return folder


@pytest.fixture(scope="module")
def bundles(checkpoint, tmp_path_factory):
    """Its own model; one of the options; none."""
    folder = tmp_path_factory.mktemp("bundles")
    chosen = {"own": None, "given": BundledModel(GOLDENS / "three.arpa", alpha=0.25), "none": False}
    for name, model in chosen.items():
        export(checkpoint, folder / name, ExportOptions(engine="numpy", language_model=model))
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("own", LanguageModel("language_model.bin", 0.7, 1.0, -8.0, False)),
        ("given", LanguageModel("language_model.lm", 0.25, 1.5, -10.0, True)),
        ("none", None),
    ],
)
def test_the_manifest_says_which(bundles, name, expected):
    manifest = Manifest.from_json((bundles / name / "edgespeech.json").read_text())
    assert manifest.language_model == expected
    assert (expected is None) or expected.file in manifest.files
    assert sorted(p.name for p in (bundles / name).glob("language_model*")) == ([expected.file] if expected else [])


def test_searches_use_the_bundle_s_model(bundles):
    audio = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    with edgespeech_runtime.load(bundles / "given") as model, edgespeech_runtime.load(bundles / "none") as without:
        found = model.transcribe(audio, beams=8)
        same = without.transcribe(audio, language_model=GOLDENS / "three.arpa", alpha=0.25, beams=8)
        assert found.text == same.text
        assert [word.confidence for word in found.words] == [word.confidence for word in same.words]
        assert model.transcribe(audio).text == without.transcribe(audio).text
        assert model.transcribe(audio, beams=8, language_model=False).text == without.transcribe(audio, beams=8).text
        assert found.text != without.transcribe(audio, beams=8).text


def test_a_checkpoint_s_model(checkpoint, tmp_path):
    assert of_checkpoint(tmp_path) is None
    found = of_checkpoint(checkpoint)
    assert (found.path.name, found.alpha, found.unknown_offset) == ("3gram.bin", 0.7, -8.0)
    shutil.copytree(checkpoint / "language_model", tmp_path / "language_model")
    (tmp_path / "language_model" / "other.arpa").touch()
    with pytest.raises(ExportError, match=r"expected one language model, got 3gram.bin, other.arpa"):
        of_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line"),
        ((GOLDENS / "three.arpa").read_text().lower(), "the LM has no word of this vocabulary: it has '"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_the_export(checkpoint, tmp_path, text, message):
    (tmp_path / "lm.arpa").write_text(text)
    options = ExportOptions(engine="numpy", language_model=BundledModel(tmp_path / "lm.arpa"))
    steps = []
    with pytest.raises(ExportError, match=message):
        export(checkpoint, tmp_path / "bundle", options, progress=steps.append)
    assert steps == ["reading the checkpoint"]
    assert not (tmp_path / "bundle").exists()


def test_a_checkpoint_s_model_that_does_not_fit(checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    (folder / "language_model" / "3gram.bin").write_bytes(b"")
    with pytest.raises(ExportError, match=r"3gram.bin is no language model .*; --no-lm leaves it out"):
        export(folder, tmp_path / "bundle", ExportOptions(engine="numpy"))


def test_a_model_is_for_ctc(tmp_path):
    folder = make_checkpoint(tmp_path / "classifier", head="ForSequenceClassification", num_hidden_layers=1)
    options = ExportOptions(engine="numpy", language_model=BundledModel(GOLDENS / "three.arpa"))
    with pytest.raises(ExportError, match="is for CTC checkpoints; this one is for audio-classification"):
        export(folder, tmp_path / "bundle", options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "other.lm"}, "language_model.file: 'other.lm' is not listed in files"),
        ({"alpha": float("nan")}, "language_model.alpha: expected a number"),
        ({"alpha": "much"}, "language_model.alpha: expected a number, got 'much'"),
    ],
)
def test_a_manifest_that_contradicts_itself(bundles, change, message):
    data = json.loads((bundles / "own" / "edgespeech.json").read_text())
    data["language_model"] |= change
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(json.dumps(data))
