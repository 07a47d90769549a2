"""Small checkpoints with random weights and the outliers of trained ones, for the tests of every package.

folder = make_twin(tmp_path / "twin", "feed-forward", do_stable_layer_norm=True)

Each kind is known from published models. The norms behind what is planted are set as training sets them: what is large
gets a small weight, so that the rest of the network hears all channels alike, and no output depends on one alone.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from checkpoints import TINY, make_model, write_processor
from torch import Tensor, nn

Outliers = Literal["feed-forward", "massive", "constant"]
OUTLIERS: tuple[Outliers, ...] = get_args(Outliers)
SIZES: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 3, "intermediate_size": 160}
TIMES = 100.0  # a feed-forward layer's outlier channel over the others, https://arxiv.org/abs/2208.07339
MASSIVE, SHARE = 1000.0, 0.02  # over the others, in this share of all frames, https://arxiv.org/abs/2402.17762
LOUDEST = 12.0  # activation of the hidden unit that makes them; in most frames it is far below 0, which is silence
CONSTANT = 128.0  # in one channel of all frames, over values around 1
NORMAL = 0.6745  # median magnitude of a normal distribution of deviation 1
SECONDS = 8  # of the audio by which is planted


def make_twin(
    folder: str | Path, kind: Outliers, family: Any = "wav2vec2", *, head: str = "ForCTC", seed: int = 0, **options: Any
) -> Path:
    """Write a checkpoint folder with outliers of a kind in its encoder, and return it; options as `make_checkpoint`."""
    folder, options = Path(folder), {**SIZES, **options}
    model = make_model(family, head=head, seed=seed, **options)
    plant(model.base_model, kind, seed)
    model.save_pretrained(folder)
    write_processor(folder, {**TINY, **options}["vocab_size"], options.get("feat_extract_norm") == "layer")
    return folder


@torch.no_grad()
def plant(encoder: Any, kind: Outliers, seed: int = 0) -> None:
    """Plant outliers in an encoder of this library or of transformers.

    "feed-forward": a channel of the output of a feed-forward layer is `TIMES` as large as the others.
    "massive": in a few frames a feed-forward layer puts a value `MASSIVE` times as large as the others into a channel.
    "constant": a channel is `CONSTANT` in every frame from the first layer on.
    """
    generator = torch.Generator().manual_seed(seed)
    audio = torch.randn(1, SECONDS * 16000, generator=generator)
    _set_norms(encoder, audio)
    layers = encoder.encoder.layers
    feed_forward = layers[len(layers) // 2].feed_forward
    channel = int(torch.randint(feed_forward.output_dense.out_features, (1,), generator=generator))
    if kind == "constant":
        encoder.feature_projection.projection.weight[channel] *= 0.1
        encoder.feature_projection.projection.bias[channel] = CONSTANT
    elif kind == "feed-forward":
        feed_forward.output_dense.weight[channel] *= TIMES
    else:
        (before,) = _inputs(encoder, audio, [feed_forward.intermediate_dense])
        _fire(feed_forward, before, channel)
    _set_norms(encoder, audio)


def _fire(feed_forward: Any, states: Tensor, channel: int) -> None:
    """Let the first hidden unit of a feed-forward layer speak in few frames, loudly, and to one channel only.

    It listens to what differs most between frames.
    """
    first, last = feed_forward.intermediate_dense, feed_forward.output_dense
    centred = states.flatten(0, 1) - states.mean((0, 1))
    first.weight[0] = torch.linalg.svd(centred, full_matrices=False).Vh[0]
    heard = states @ first.weight[0]  # (batch, frames)
    threshold = heard.quantile(1 - SHARE)
    steep = LOUDEST / (heard.max() - threshold)
    first.weight[0] *= steep
    first.bias[0] = -threshold * steep
    last.weight[:, 0] = 0
    last.weight[channel, 0] = 2 * MASSIVE / LOUDEST


def _set_norms(encoder: nn.Module, audio: Tensor) -> None:
    """Give the transformer's norms weights by which half of what each channel gives lies within NORMAL."""

    def equalise(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        plain = nn.functional.layer_norm(inputs[0], norm.normalized_shape, eps=norm.eps)
        usual = plain.flatten(0, -2).abs().median(0).values  # (channels,)
        sign = torch.where(norm.weight < 0, -1.0, 1.0)
        norm.weight.copy_(sign * NORMAL / usual)

    norms = [module for module in encoder.encoder.modules() if isinstance(module, nn.LayerNorm)]
    hooks = [norm.register_forward_pre_hook(equalise) for norm in norms]
    encoder(audio)
    for hook in hooks:
        hook.remove()


def _inputs(encoder: nn.Module, audio: Tensor, modules: list[nn.Module]) -> list[Tensor]:
    """What the modules are given for the audio."""
    found: dict[nn.Module, Tensor] = {}
    hooks = [module.register_forward_pre_hook(lambda m, inputs: found.update({m: inputs[0]})) for module in modules]
    encoder(audio)
    for hook in hooks:
        hook.remove()
    return [found[module] for module in modules]
