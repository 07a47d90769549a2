"""What models return, as the reference library documents it: mappings, tuples, what a configuration asks for."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import CLASSES, XVECTOR, make_checkpoint, waveforms

import edgespeech
from edgespeech.base.outputs import CTCOutput

HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "Wav2Vec2Model": ("Model", {}),
    "HubertModel": ("Model", {}),
    "UniSpeechModel": ("Model", {}),
    "Wav2Vec2ForCTC": ("ForCTC", {}),
    "HubertForSequenceClassification": ("ForSequenceClassification", {"use_weighted_layer_sum": True}),
    "Wav2Vec2ForAudioFrameClassification": ("ForAudioFrameClassification", {}),
    "Wav2Vec2ForXVector": ("ForXVector", XVECTOR),
    "Wav2Vec2ForPreTraining": ("ForPreTraining", {}),
    "UniSpeechForPreTraining": ("ForPreTraining", {}),
}
ONE_LAYER = {"num_hidden_layers": 1, "conv_dim": [16, 12], "conv_kernel": [10, 8], "conv_stride": [8, 8]}


def pair(folder: Path, name: str, **more: Any) -> tuple[Any, Any]:
    head, options = HEADS[name]
    family = next(family for family, start in CLASSES.items() if name == start + head)
    make_checkpoint(folder, family, head=head, **{**ONE_LAYER, **options})  # type: ignore[arg-type]
    theirs = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager", **more)
    return getattr(edgespeech, name).from_pretrained(folder, **more), theirs.eval()


@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_names_order_and_tuples_are_the_reference_s(tmp_path: Path, name: str) -> None:
    ours, theirs = pair(tmp_path, name)
    audio, _ = waveforms(3000, 3000)
    see = {"output_hidden_states": True, "output_attentions": True}
    for asked in ({}, see):
        result, expected = ours(audio, **asked), theirs(audio, **asked)
        assert list(result) == list(result.keys()) == list(expected.keys())
        assert len(result) == len(expected)
        rows = ours(audio, **asked, return_dict=False)
        assert type(rows) is tuple
        assert len(rows) == len(theirs(audio, **asked, return_dict=False))
        for mine, value, reference in zip(rows, result.values(), expected.to_tuple(), strict=True):
            assert type(mine) is type(value) is type(reference)
            if isinstance(mine, torch.Tensor):
                torch.testing.assert_close(mine, reference, rtol=0, atol=1e-4)
    for name in ("return_dict", "output_hidden_states", "output_attentions"):
        setattr(ours.config, name, not getattr(ours.config, name))
    assert type(ours(audio)) is tuple
    assert len(ours(audio)) == len(ours(audio, **see))
    assert "attentions" in ours(audio, return_dict=True)
    assert "attentions" not in ours(audio, output_attentions=False, return_dict=True)


def test_a_checkpoint_that_asks_for_more(tmp_path: Path) -> None:
    given = {"return_dict": False, "output_hidden_states": True, "output_attentions": True}
    make_checkpoint(tmp_path, **ONE_LAYER)
    ours = edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path, **given)
    audio, _ = waveforms(3000)
    assert [type(value) for value in ours(audio)] == [torch.Tensor, tuple, tuple]  # where the reference library fails
    ours.save_pretrained(tmp_path / "again")
    again = edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "again")
    assert {name: getattr(again.config, name) for name in given} == given
    assert type(again(audio)) is tuple


def test_a_mapping() -> None:
    logits, states = torch.ones(1, 2, 3), (torch.zeros(1, 2, 4),)
    output = CTCOutput(None, logits, states)
    assert isinstance(output, Mapping)
    assert "logits" in output
    assert "loss" not in output
    assert "attentions" not in output
    assert output.get("loss") is None
    assert output.get("loss", 3) == 3
    assert output["logits"] is output[0] is output[-2] is output.logits is dict(output)["logits"]
    assert output[:2] == output.to_tuple() == (logits, states)
    assert [name for name, _ in output.items()] == ["logits", "hidden_states"]
    assert {**output}.keys() == {"logits", "hidden_states"}
    with pytest.raises(KeyError):
        output["loss"]
    with pytest.raises(IndexError):
        output[2]
    output["loss"] = torch.tensor(2.0)
    assert (output.loss, output[0], len(output)) == (2.0, 2.0, 3)
    with pytest.raises(KeyError, match="CTCOutput has no field losses"):
        output["losses"] = 1
    again = copy.deepcopy(output)
    assert list(again) == list(output)
