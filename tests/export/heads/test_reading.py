"""Which head a checkpoint has, and what is said where that cannot be known or exported: one line, before any work."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edgespeech_export import ExportError, ExportOptions, export
from edgespeech_export.sources.reading import read
from safetensors.torch import load_file, save_file

from edgespeech.errors import CheckpointError, ConfigError, EdgeSpeechError, UnknownModelError, WeightsError

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def changed(checkpoint_of: Any, tmp_path: Path) -> Callable[[str, Edit], Path]:
    """Copy the checkpoint of a kind, with `config.json` changed."""

    def change(kind: str, edit: Edit) -> Path:
        folder = Path(shutil.copytree(checkpoint_of(kind), tmp_path / "checkpoint"))
        config = json.loads((folder / "config.json").read_text("utf-8"))
        edit(config)
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        return folder

    return change


def refused(folder: Path, kind: type[Exception], match: str, **options: Any) -> None:
    """The export raises one line and leaves no file behind."""
    before = sorted(folder.parent.iterdir())
    with pytest.raises(kind, match=match) as caught:
        export(folder, folder.parent / "bundle", ExportOptions(**options))
    assert isinstance(caught.value, EdgeSpeechError)
    assert "\n" not in str(caught.value)
    assert sorted(folder.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("class-35", "audio-classification"),
        ("class-hubert", "audio-classification"),
        ("class-unispeech", "audio-classification"),
        ("frames", "audio-frame-classification"),
        ("xvector", "audio-xvector"),
        ("wav2vec2-group", "ctc"),
    ],
)
def test_the_class_that_wrote_a_checkpoint_says_its_task(checkpoint_of: Any, kind: str, task: str) -> None:
    assert read(checkpoint_of(kind), None).task == task


@pytest.mark.parametrize("architectures", [None, [], ["Wav2Vec2ForMaskedLM"]])
def test_what_is_a_ctc_model_without_saying_so(changed: Any, architectures: Any) -> None:
    folder = changed("wav2vec2-group", lambda config: config.update(architectures=architectures))
    assert read(folder, None).task == "ctc"


@pytest.mark.parametrize(
    ("architectures", "match"),
    [
        (["Wav2Vec2ForSpeechScoring"], "heads that can be exported are ForCTC, ForSequenceClassification, ForAudioF"),
        ("Wav2Vec2ForCTC", "architectures must be a list of names of classes, got 'Wav2Vec2ForCTC'"),
        ([3], r"architectures must be a list of names of classes, got \[3\]"),
    ],
)
def test_heads_that_cannot_be_exported(changed: Any, architectures: Any, match: str) -> None:
    refused(changed("class-35", lambda config: config.update(architectures=architectures)), CheckpointError, match)


@pytest.mark.parametrize("family", ["sew-d", "wav2vec2-conformer", None])
@pytest.mark.parametrize("head", ["ForCTC", "Model", "ForPreTraining", "ForXVector"])
def test_a_family_that_is_not_known_is_named_whatever_its_head(changed: Any, family: Any, head: str) -> None:
    folder = changed("class-35", lambda config: config.update(model_type=family, architectures=[f"Any{head}"]))
    refused(folder, UnknownModelError, f"of the family {family!r}, which cannot be exported; data2vec-audio, hubert, ")


def test_a_head_that_its_family_does_not_have(changed: Any) -> None:
    folder = changed("class-hubert", lambda config: config.update(architectures=["HubertForXVector"]))
    refused(
        folder, UnknownModelError, "model_type 'hubert'; x-vector models are known for: data2vec-audio, unispeech-sat"
    )


def test_a_classifier_that_does_not_say_so_is_no_ctc_model(changed: Any) -> None:
    refused(changed("class-35", lambda config: config.pop("architectures")), CheckpointError, r"lm_head|vocab\.json")


@pytest.mark.parametrize(
    ("kind", "weight"),
    [
        ("class-35", "classifier.weight"),
        ("class-unispeech", "layer_weights"),
        ("frames", "classifier.bias"),
        ("xvector", "tdnn.1.kernel.weight"),
        ("xvector", "feature_extractor.bias"),
    ],
)
def test_a_head_without_one_of_its_weights(changed: Any, kind: str, weight: str) -> None:
    folder = changed(kind, lambda config: None)
    weights = load_file(folder / "model.safetensors")
    del weights[weight]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, WeightsError, f"weights missing in .*{weight}")


def test_labels_that_do_not_fit_the_weights(changed: Any) -> None:
    refused(changed("class-35", lambda config: config["id2label"].popitem()), WeightsError, r"classifier.* \[35")


def test_labels_with_a_gap(changed: Any) -> None:
    folder = changed("frames", lambda config: config["id2label"].update({"7": config["id2label"].pop("1")}))
    refused(folder, ConfigError, r"classes 0, 1, ... without gaps, got \[0, 2, 7\]")


def test_what_the_logits_mean(changed: Any) -> None:
    folder = changed("class-35", lambda config: config.update(problem_type="multi_label_classification"))
    assert read(folder, None).facts["problem_type"] == "multi_label_classification"


def test_a_problem_that_is_not_known(changed: Any) -> None:
    folder = changed("class-35", lambda config: config.update(problem_type="ranking"))
    refused(folder, CheckpointError, "problem_type must be one of single_label_classification, .* got 'ranking'")


def test_no_feature_extractor(changed: Any) -> None:
    folder = changed("xvector", lambda config: None)
    (folder / "preprocessor_config.json").unlink()
    refused(folder, CheckpointError, "preprocessor_config")


def test_a_language_for_a_model_without_languages(changed: Any) -> None:
    refused(changed("xvector", lambda config: None), ExportError, "target_lang picks a CTC adapter", target_lang="eng")
