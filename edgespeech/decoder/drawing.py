"""Fresh weights of a text decoder, distributed as the published models began."""

import math

import torch
from torch import nn

from edgespeech.decoder.attention import TransposedLinear
from edgespeech.decoder.configuration import Architecture
from edgespeech.decoder.layer import DecoderLayer
from edgespeech.decoder.names import part


@torch.no_grad()
def draw(model: nn.Module, architecture: Architecture) -> None:
    """Draw normal weights of the configured deviation; biases and the padding token's embedding are 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear | TransposedLinear | nn.Embedding):
            module.weight.normal_(0.0, architecture.deviation)
            if not isinstance(module, nn.Embedding) and module.bias is not None:
                module.bias.zero_()
    for module in model.modules():  # after a head that shares the table
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            module.weight[module.padding_idx].zero_()
    if (
        architecture.transposed
    ):  # https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
        for layer in model.modules():
            if isinstance(layer, DecoderLayer):
                for projection in residual(layer, architecture.cross):
                    projection.weight.normal_(0.0, architecture.deviation / math.sqrt(2 * architecture.layers))


def residual(layer: DecoderLayer, cross: bool) -> list[TransposedLinear]:
    """Return the projections of a layer whose output is added to the layer's input."""
    kinds = (layer.names.attention, layer.names.cross) if cross else (layer.names.attention,)
    paths = [*(f"{kind.module}.{kind.out}" for kind in kinds), layer.names.feed_out]
    return [part(layer, path) for path in paths]
