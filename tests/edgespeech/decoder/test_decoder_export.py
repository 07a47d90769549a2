"""`cross` and `step` can be traced for graphs with any batch, new tokens, slots and frames."""

from typing import Any

import pytest
import torch
from decoders import FAMILIES, Family, make_decoder
from torch import Tensor, nn
from torch.export import Dim

from edgespeech.decoder import Cache, TextDecoder

DYNAMIC = Dim.DYNAMIC
VARIANTS: list[tuple[Family, dict[str, Any]]] = [
    *((family, {}) for family in FAMILIES),
    ("gpt2", {"reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True}),
    ("mbart", {"scale_embedding": True, "tie_word_embeddings": False}),
]


class Step(nn.Module):
    """`step` as a module's forward."""

    def __init__(self, decoder: TextDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, tokens: Tensor, positions: Tensor, bias: Tensor, cache: Cache, cross: Cache, cross_bias: Tensor | None
    ) -> tuple[Tensor, Cache]:
        return self.decoder.step(tokens, positions, bias, cache, cross, cross_bias)


class Cross(nn.Module):
    """`cross` as a module's forward."""

    def __init__(self, decoder: TextDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, states: Tensor) -> Cache:
        return self.decoder.cross(states)


def arguments(model: TextDecoder, batch: int, new: int, slots: int, frames: int, masked: bool) -> tuple[Any, ...]:
    layers, heads, size = model.geometry
    hidden = (torch.rand(batch, 1, new, slots + new) < 0.3).float() * -1e4
    hidden[..., slots:] *= 1 - torch.eye(new)  # each token sees itself
    return (
        torch.randint(0, model.vocab_size, (batch, new)),
        torch.randint(0, 20, (batch, new)),
        hidden,
        columns(layers, batch, heads, slots, size),
        columns(layers, batch, heads, frames, size),
        (torch.rand(batch, 1, 1, frames) < 0.3).float() * -1e4 if masked else None,
    )


def columns(layers: int, *shape: int) -> Cache:
    return tuple((torch.randn(shape), torch.randn(shape)) for _ in range(layers))


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_step(family: Family, options: dict[str, Any], masked: bool) -> None:
    torch.manual_seed(0)
    model = make_decoder(family, **options).requires_grad_(False)
    pairs = [(({0: DYNAMIC, 2: DYNAMIC},) * 2,) * model.geometry.layers] * 2
    dynamic = (
        {0: DYNAMIC, 1: DYNAMIC},
        {0: DYNAMIC, 1: DYNAMIC},
        {0: DYNAMIC, 2: DYNAMIC, 3: DYNAMIC},
        *pairs,
        {0: DYNAMIC, 3: DYNAMIC} if masked else None,
    )
    graph = torch.export.export(
        Step(model), arguments(model, 2, 3, 5, 7, masked), dynamic_shapes=dynamic, strict=False
    ).module()
    for sizes in ((2, 3, 5, 7), (3, 2, 11, 4), (4, 6, 2, 30)):
        given = arguments(model, *sizes, masked)
        torch.testing.assert_close(graph(*given), model.step(*given), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_cross(family: Family) -> None:
    torch.manual_seed(0)
    model = make_decoder(family).requires_grad_(False)
    states = torch.randn(2, 7, model.hidden_size)
    graph = torch.export.export(
        Cross(model), (states,), dynamic_shapes=({0: DYNAMIC, 1: DYNAMIC},), strict=False
    ).module()
    for shape in ((2, 7), (3, 40)):
        states = torch.randn(*shape, model.hidden_size)
        torch.testing.assert_close(graph(states), model.cross(states), atol=1e-5, rtol=1e-5)
