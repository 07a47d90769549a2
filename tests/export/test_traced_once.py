"""What the tests keep of tracing: graphs of one form are one, whatever their weights, and any other form is another."""

from typing import Any

import pytest
import torch
from checkpoints import make_model
from edgespeech_export.graphs.heads import head_graphs
from edgespeech_export.writers.weight_store import round_weights
from layer_changes import CHANGES
from tracing import key

SMALL: dict[str, Any] = {"conv_dim": [16, 12], "conv_kernel": [10, 8], "conv_stride": [8, 8], "weights": "edgespeech"}
ADAPTERS: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "adapter_attn_dim": 6}


def form(model: Any, name: str = "single", samples: int = 1000) -> str:
    sources = {source.name: source for source in head_graphs("ctc", model.requires_grad_(False), 32)}
    return key(sources[name], samples)


def test_weights_and_settings_of_training_do_not_matter() -> None:
    model = make_model(**SMALL)
    before = form(model)
    round_weights(model)
    assert form(model) == before
    assert form(make_model(**SMALL, seed=1, layerdrop=0.1, mask_time_length=3)) == before


@pytest.mark.parametrize(
    "other", [{"hidden_act": "relu"}, {"layer_norm_eps": 1e-3}, {"num_attention_heads": 2}, {"vocab_size": 31}], ids=str
)
def test_another_setting_is_another_form(other: dict[str, Any]) -> None:
    assert form(make_model(**SMALL, **other)) != form(make_model(**SMALL))


def test_another_graph_or_length_of_the_example_is_another_form() -> None:
    model = make_model(**SMALL)
    assert len({form(model), form(model, "batch"), form(model, samples=1001)}) == 3


@pytest.mark.parametrize("change", CHANGES)
def test_a_layer_that_differs_makes_another_form(change: Any) -> None:
    model, same = make_model(**SMALL, **ADAPTERS), make_model(**SMALL, **ADAPTERS)
    change(same.base_model.encoder.layers[1])
    assert form(same) != form(model)


def test_weights_that_are_one_and_methods_that_were_replaced_make_another_form() -> None:
    model = make_model(**SMALL)
    before = form(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.base_model.encoder), "forward", lambda self, states: states)
        assert form(model) != before
    first, second = model.base_model.encoder.layers[:2]
    second.attention.k_proj.weight = first.attention.k_proj.weight
    assert form(model) != before


def test_values_that_are_no_weights_are_part_of_the_form() -> None:
    model, other = make_model(**SMALL), make_model(**SMALL)
    model.table, other.table = torch.tensor([1.0]), torch.tensor([2.0])
    assert form(model) != form(other)
