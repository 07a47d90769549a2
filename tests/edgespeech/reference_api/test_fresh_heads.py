"""A head on a checkpoint that has another or none, weights of other sizes, and adapters: fresh, and named once."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import MULTILINGUAL, XVECTOR, make_checkpoint, waveforms

import edgespeech
from edgespeech.errors import WeightsError

SMALL: dict[str, Any] = {
    "num_hidden_layers": 1,
    "conv_dim": [16, 12],
    "conv_kernel": [10, 8],
    "conv_stride": [8, 8],
    "classifier_proj_size": 8,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
    "num_codevectors_per_group": 4,
    **XVECTOR,
}
# The ten classes of the reference library's pages that have a head, and which parts of it may be missing.
CLASSES: dict[str, tuple[str, set[str]]] = {
    "Wav2Vec2ForCTC": ("wav2vec2", {"lm_head"}),
    "Wav2Vec2ForSequenceClassification": ("wav2vec2", {"projector", "classifier"}),
    "Wav2Vec2ForAudioFrameClassification": ("wav2vec2", {"classifier"}),
    "Wav2Vec2ForXVector": ("wav2vec2", {"projector", "tdnn", "feature_extractor", "classifier", "objective"}),
    "Wav2Vec2ForPreTraining": ("wav2vec2", {"quantizer", "project_hid", "project_q"}),
    "HubertForCTC": ("hubert", {"lm_head"}),
    "HubertForSequenceClassification": ("hubert", {"projector", "classifier"}),
    "UniSpeechForCTC": ("unispeech", {"lm_head"}),
    "UniSpeechForSequenceClassification": ("unispeech", {"projector", "classifier"}),
    "UniSpeechForPreTraining": ("unispeech", {"quantizer", "project_hid", "project_q", "ctc_proj"}),
}


def loaded(name: str, folder: Path, **options: Any) -> tuple[Any, set[str]]:
    """Return a model and the weights that the one warning names."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = getattr(edgespeech, name).from_pretrained(folder, **options)
    if not caught:
        return model, set()
    (warning,) = caught
    message = str(warning.message)
    assert "\n" not in message
    assert message.startswith(f"{folder} has no weights for ")
    assert message.endswith(": they are fresh, train the model before use")
    return model, set(message.removeprefix(f"{folder} has no weights for ").split(": ")[0].split(", "))


@pytest.mark.parametrize("source", ["Model", "ForCTC", "ForPreTraining"])
@pytest.mark.parametrize("name", CLASSES)
@torch.no_grad()
def test_a_checkpoint_without_that_head(tmp_path: Path, name: str, source: str) -> None:
    family, parts = CLASSES[name]
    if source == "ForPreTraining" and family == "hubert":
        source = "ForSequenceClassification" if name == "HubertForCTC" else "ForCTC"
    make_checkpoint(tmp_path, family, head=source, **SMALL)  # type: ignore[arg-type]
    torch.manual_seed(3)
    model, fresh = loaded(name, tmp_path)
    theirs, report = getattr(transformers, name).from_pretrained(tmp_path, output_loading_info=True)
    assert fresh == {key for key in report["missing_keys"] if "masked_spec_embed" not in key}
    assert {key.split(".")[0] for key in fresh} == (set() if name.endswith(source) else parts)
    audio, _ = waveforms(4000)
    torch.testing.assert_close(
        model.base_model(audio).last_hidden_state, theirs.base_model(audio).last_hidden_state, rtol=0, atol=1e-4
    )
    state, reference = model.state_dict(), theirs.state_dict()
    for key in fresh:
        assert state[key].isfinite().all()
        assert reference[key].numel() < 100 or float(state[key].float().std()) == pytest.approx(
            float(reference[key].float().std()), rel=0.5, abs=1e-6
        )
    torch.manual_seed(3)
    again, _ = loaded(name, tmp_path)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in state.items())


def test_the_sample_of_the_documentation(tmp_path: Path) -> None:
    """Of UniSpeechForSequenceClassification, which starts from a checkpoint of pre-training."""
    make_checkpoint(tmp_path, "unispeech", head="ForPreTraining", **SMALL)
    model, _ = loaded("UniSpeechForSequenceClassification", tmp_path, num_labels=5)
    inputs, labels = waveforms(4000)[0], torch.tensor([1])
    with torch.no_grad():
        logits = model(inputs).logits
    predicted = model.config.id2label[int(torch.argmax(logits, dim=-1))]
    assert predicted in {f"LABEL_{index}" for index in range(5)}
    loss = model(inputs, labels=labels).loss
    loss.backward()
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("name", "options", "fresh"),
    [
        ("Wav2Vec2ForSequenceClassification", {"num_labels": 7}, {"classifier.weight", "classifier.bias"}),
        ("Wav2Vec2ForSequenceClassification", {"classifier_proj_size": 6}, None),
        ("Wav2Vec2ForCTC", {"vocab_size": 40}, {"lm_head.weight", "lm_head.bias"}),
    ],
)
def test_other_sizes(tmp_path: Path, name: str, options: dict[str, Any], fresh: set[str] | None) -> None:
    make_checkpoint(tmp_path, head=name.removeprefix("Wav2Vec2"), **SMALL)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="with ignore_mismatched_sizes=True a fresh one is taken"):
        loaded(name, tmp_path, **options)
    model, found = loaded(name, tmp_path, **options, ignore_mismatched_sizes=True)
    _, report = getattr(transformers, name).from_pretrained(
        tmp_path, **options, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert found == {key for key, *_ in report["mismatched_keys"]}
    assert fresh is None or found == fresh
    kept, _ = loaded(name, tmp_path)
    for key, value in model.state_dict().items():
        assert key in found or torch.equal(value, kept.state_dict()[key])


def test_loading_info(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, head="Model", **SMALL)
    with pytest.warns(UserWarning, match="lm_head"):
        model, info = edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path, output_loading_info=True)
    assert type(model) is edgespeech.Wav2Vec2ForCTC
    assert info["missing_keys"] == {"lm_head.weight", "lm_head.bias"}
    assert not info["mismatched_keys"]
    assert not info["unexpected_keys"]


def test_adapters_on_a_checkpoint_without_them(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, head="Model", **{**SMALL, **MULTILINGUAL, "adapter_attn_dim": None})
    _, fresh = loaded("Wav2Vec2Model", tmp_path, add_adapter=True, num_adapter_layers=1)
    assert fresh == {"adapter.layers.0.conv.weight", "adapter.layers.0.conv.bias"}
    model, fresh = loaded("Wav2Vec2ForCTC", tmp_path, adapter_attn_dim=4)
    assert {key for key in fresh if ".adapter_layer." not in key} == {"lm_head.weight", "lm_head.bias"}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.init_adapter_layers()
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in fresh if key.endswith("weight") and ".norm." not in key}


def test_what_is_no_head_stays_an_error(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    make_checkpoint(tmp_path, **SMALL)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    whole = dict(weights)
    for damage, message in (
        (lambda: weights.pop("lm_head.bias"), "weights missing in .*: lm_head.bias;"),
        (lambda: weights.pop("wav2vec2.encoder.layer_norm.bias"), "weights missing in .*: wav2vec2.encoder"),
        (lambda: weights.update({"spare.weight": torch.zeros(2)}), "does not have: spare.weight;"),
    ):
        damage()
        save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(WeightsError, match=message):
            edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path)
        weights.clear()
        weights.update(whole)


def test_a_head_that_is_not_there_is_not_exported(tmp_path: Path) -> None:
    from edgespeech_export.sources.reading import read

    make_checkpoint(tmp_path, head="Model", **SMALL)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("Wav2Vec2Model", "Wav2Vec2ForCTC"))
    with pytest.raises(WeightsError, match=r"weights missing in .*: lm_head\.bias, lm_head\.weight"):
        read(tmp_path, None)
