"""Decoders to and from checkpoint folders, in both directions, tied and untied, alone from models with other heads."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from decoders import (
    CLASSES,
    FAMILIES,
    REFERENCED,
    VOCABULARY,
    Family,
    encoder_states,
    make_decoder,
    make_decoder_checkpoint,
    token_ids,
)
from safetensors.torch import load_file, save_file

import edgespeech
from edgespeech.decoder import TextDecoder
from edgespeech.errors import CheckpointError, ConfigError, WeightsError
from edgespeech.models.decoders.table import DECODER_CLASSES

TIES = [pytest.param(family, tied, id=f"{family}-{tied}") for family in REFERENCED for tied in (True, False)]
ALONE: dict[Family, tuple[str, ...]] = {
    "bert": ("BertModel", "BertForMaskedLM", "BertForPreTraining", "BertLMHeadModel", "BertForSequenceClassification"),
    "gpt2": ("GPT2Model", "GPT2LMHeadModel", "GPT2DoubleHeadsModel"),
    "bart": ("BartModel", "BartForConditionalGeneration", "BartForCausalLM", "BartForSequenceClassification"),
    "mbart": ("MBartModel", "MBartForConditionalGeneration", "MBartForCausalLM"),
}
PLAIN = {"bert": {"is_decoder": False, "add_cross_attention": False}, "gpt2": {"add_cross_attention": False}}
AS_DECODER = {"is_decoder": True, "add_cross_attention": True}


def mine(family: Family) -> type[TextDecoder]:
    return getattr(edgespeech, CLASSES[family])  # type: ignore[no-any-return]


def loaded(kind: str, folder: Path, **options: Any) -> Any:
    """Load with transformers; any weight that is missing, superfluous or misshapen is a failure."""
    model, report = getattr(transformers, kind).from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True, **options
    )
    assert not any(report.values()), report
    return model.eval()


def logits(model: Any) -> torch.Tensor:
    states, frames = encoder_states(7, 3)
    with torch.no_grad():
        return model(token_ids(2, 6), encoder_hidden_states=states, encoder_attention_mask=frames).logits  # type: ignore[no-any-return]


def names(message: str) -> set[str]:
    """The weights that the warning names."""
    return set(message.split(" has no weights for ")[1].split(": they are fresh")[0].split(", "))


@pytest.mark.parametrize(("family", "tied"), TIES)
def test_theirs_here(tmp_path: Path, family: Family, tied: bool) -> None:
    theirs = make_decoder(family, weights="transformers", tie_word_embeddings=tied)
    theirs.save_pretrained(tmp_path)
    model = mine(family).from_pretrained(tmp_path)
    torch.testing.assert_close(logits(model), logits(theirs), atol=1e-5, rtol=1e-5)
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
    assert not model.training


@pytest.mark.parametrize(("family", "tied"), TIES)
def test_mine_there(tmp_path: Path, family: Family, tied: bool) -> None:
    model = make_decoder(family, tie_word_embeddings=tied)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(logits(loaded(CLASSES[family], tmp_path)), logits(model), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back(tmp_path: Path, family: Family, tied: bool) -> None:
    model = make_decoder(family, tie_word_embeddings=tied)
    model.save_pretrained(tmp_path)
    again = mine(family).from_pretrained(tmp_path)
    assert again.config == mine(family).config_class.from_pretrained(tmp_path)
    torch.testing.assert_close(again.state_dict(), model.state_dict(), atol=0, rtol=0)
    assert set(dict(again.named_parameters())) == set(dict(model.named_parameters()))


@pytest.mark.parametrize(("family", "kind"), [(family, kind) for family in REFERENCED for kind in ALONE[family]])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_alone_from_other_heads(tmp_path: Path, family: Family, kind: str) -> None:
    """Everything but the fresh weights is what transformers loads for the same class from the same folder."""
    make_decoder_checkpoint(tmp_path, family, weights="transformers", kind=kind, **PLAIN.get(family, {}))
    model = mine(family).from_pretrained(tmp_path, **AS_DECODER)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    config.is_decoder = config.add_cross_attention = True
    theirs, report = getattr(transformers, CLASSES[family]).from_pretrained(
        tmp_path, config=config, output_loading_info=True
    )
    fresh = set(report["missing_keys"])
    assert set(model.state_dict()) == set(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        if name not in fresh:
            torch.testing.assert_close(model.state_dict()[name], tensor, atol=0, rtol=0)
    assert model.config.add_cross_attention
    assert logits(model).isfinite().all()


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_missing_cross_attention_is_fresh_and_named_once(tmp_path: Path, family: Family) -> None:
    make_decoder_checkpoint(tmp_path, family, weights="transformers", **(PLAIN[family] | {"initializer_range": 0.1}))
    with pytest.warns(UserWarning, match="has no weights for") as caught:
        model = mine(family).from_pretrained(tmp_path, **AS_DECODER)
    assert len(caught) == 1
    fresh = names(str(caught[0].message))
    expected = {name for name in model.state_dict() if "crossattention" in name or "ln_cross_attn" in name}
    assert fresh == expected
    for name in fresh:
        tensor = model.state_dict()[name]
        if tensor.ndim == 1:
            assert set(tensor.tolist()) == ({0.0} if name.endswith("bias") else {1.0})
        else:
            deviation = 0.05 if name.endswith("c_proj.weight") else 0.1
            assert float(tensor.std()) == pytest.approx(deviation, rel=0.1)


def test_missing_head_is_fresh_and_named(tmp_path: Path) -> None:
    make_decoder_checkpoint(tmp_path, "bert", weights="transformers", kind="BertModel")
    with pytest.warns(UserWarning, match="has no weights for") as caught:
        edgespeech.BertLMHeadModel.from_pretrained(tmp_path)
    assert all(name.startswith("cls.predictions.") for name in names(str(caught[0].message)))


@pytest.mark.parametrize("family", FAMILIES)
def test_pickled_weights(tmp_path: Path, family: Family) -> None:
    """A pickle holds tied weights under all their names."""
    model = make_decoder(family)
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    torch.testing.assert_close(logits(mine(family).from_pretrained(tmp_path)), logits(model), atol=0, rtol=0)


@pytest.mark.parametrize("family", REFERENCED)
def test_tied_weights_that_differ_are_untied(tmp_path: Path, family: Family) -> None:
    """As in transformers: the configuration is taken to be wrong."""
    model = make_decoder(family, tie_word_embeddings=False)
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**settings, "tie_word_embeddings": True}), "utf-8")
    again = mine(family).from_pretrained(tmp_path)
    assert not again.config.tie_word_embeddings
    torch.testing.assert_close(logits(again), logits(model), atol=0, rtol=0)
    theirs = getattr(transformers, CLASSES[family]).from_pretrained(tmp_path, attn_implementation="eager")
    if family != "bert":  # whose bias transformers then takes from elsewhere
        torch.testing.assert_close(logits(again), logits(theirs), atol=1e-5, rtol=1e-5)


def rewritten(folder: Path, change: Any) -> None:
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors", metadata={"format": "pt"})


OLD: dict[Family, Any] = {
    "bert": lambda old: {
        **{name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
           for name, tensor in old.items()},
        "bert.embeddings.position_ids": torch.arange(40)[None],
    },
    "gpt2": lambda old: {
        **old,
        "transformer.h.0.attn.bias": torch.ones(1, 1, 40, 40),
        "transformer.h.1.attn.masked_bias": torch.tensor(-1e4),
        "transformer.h.1.crossattention.bias": torch.ones(1, 1, 40, 40),
    },
    "bart": lambda old: {**old, "model.decoder.version": torch.tensor([3.0])},
    "mbart": lambda old: {**old, "final_logits_bias": torch.zeros(1, VOCABULARY)},
    "speech2text2": lambda old: {name: tensor for name, tensor in old.items() if "embed_positions" not in name},
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_what_older_checkpoints_hold(tmp_path: Path, family: Family) -> None:
    model = make_decoder(family)
    model.save_pretrained(tmp_path)
    rewritten(tmp_path, OLD[family])
    torch.testing.assert_close(logits(mine(family).from_pretrained(tmp_path)), logits(model), atol=0, rtol=0)


@pytest.mark.parametrize("family", ["bart", "mbart"])
def test_final_logits_bias_is_added_and_kept(tmp_path: Path, family: Family) -> None:
    kind = {"bart": "BartForConditionalGeneration", "mbart": "MBartForConditionalGeneration"}[family]
    whole = make_decoder(family, weights="transformers", kind=kind)
    whole.final_logits_bias.normal_()
    whole.save_pretrained(tmp_path / "whole")
    model = mine(family).from_pretrained(tmp_path / "whole")
    states, frames = encoder_states(7, 3)
    with torch.no_grad():
        expected = whole(
            encoder_outputs=(states,), attention_mask=frames, decoder_input_ids=token_ids(2, 6), use_cache=False
        ).logits
    torch.testing.assert_close(logits(model), expected, atol=1e-5, rtol=1e-5)
    model.save_pretrained(tmp_path / "again")
    torch.testing.assert_close(logits(mine(family).from_pretrained(tmp_path / "again")), logits(model))


class TestRefused:
    """Loading is strict."""

    @pytest.mark.parametrize("family", FAMILIES)
    def test_missing(self, tmp_path: Path, family: Family) -> None:
        model = make_decoder(family)
        model.save_pretrained(tmp_path)
        for name in model.stored():
            if "embed_positions.weights" in name:  # it is computed
                continue
            (tmp_path / "part").mkdir(exist_ok=True)
            (tmp_path / "part" / "config.json").write_text((tmp_path / "config.json").read_text("utf-8"), "utf-8")
            weights = {other: tensor for other, tensor in model.stored().items() if other != name}
            save_file(weights, tmp_path / "part" / "model.safetensors")
            with pytest.raises(WeightsError, match=name):
                mine(family).from_pretrained(tmp_path / "part")

    @pytest.mark.parametrize("family", FAMILIES)
    def test_superfluous(self, tmp_path: Path, family: Family) -> None:
        model = make_decoder(family)
        model.save_pretrained(tmp_path)
        stranger = model.names.layers + ".7.stranger.weight"
        rewritten(tmp_path, lambda old: {**old, stranger: torch.ones(1)})
        with pytest.raises(WeightsError, match="stranger"):
            mine(family).from_pretrained(tmp_path)

    def test_misshapen(self, tmp_path: Path) -> None:
        make_decoder_checkpoint(tmp_path, "gpt2")
        with pytest.raises(WeightsError, match="has shape"):
            edgespeech.GPT2LMHeadModel.from_pretrained(tmp_path, n_inner=50)

    def test_another_family(self, tmp_path: Path) -> None:
        make_decoder_checkpoint(tmp_path, "gpt2")
        with pytest.raises(CheckpointError, match="model_type 'bert'"):
            edgespeech.BertLMHeadModel.from_pretrained(tmp_path)

    def test_bert_that_is_no_decoder(self, tmp_path: Path) -> None:
        make_decoder_checkpoint(tmp_path, "bert", weights="transformers", **PLAIN["bert"])
        with pytest.raises(ConfigError, match="is_decoder=True"):
            edgespeech.BertLMHeadModel.from_pretrained(tmp_path)


def test_the_table_names_all_families() -> None:
    further = {"MarianForCausalLM", "RobertaForCausalLM", "TrOCRForCausalLM", "XLMRobertaForCausalLM"}
    assert {kind.__name__ for kind in DECODER_CLASSES.values()} == {*CLASSES.values(), *further}
    for model_type, kind in DECODER_CLASSES.items():
        assert kind.config_class.model_type == model_type
