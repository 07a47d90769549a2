"""Changes to one layer of a tiny encoder with adapters, each of which alters what its graph computes."""

from typing import Any

from torch import nn


def wider(layer: Any) -> None:
    layer.feed_forward.intermediate_dense = nn.Linear(32, 20)
    layer.feed_forward.output_dense = nn.Linear(20, 32)


def with_another_activation(layer: Any) -> None:
    layer.feed_forward.intermediate_act_fn = nn.ReLU()


def with_another_epsilon(layer: Any) -> None:
    layer.final_layer_norm.eps = 1e-3


def with_fewer_heads(layer: Any) -> None:
    layer.attention.heads, layer.attention.head_dim = 2, 16


def without_adapter(layer: Any) -> None:
    layer.adapter_layer = None


CHANGES = (wider, with_another_activation, with_another_epsilon, with_fewer_heads, without_adapter)
