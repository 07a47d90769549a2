"""Graphs of fixed shapes, as torch modules over one model. What they take and give is the runtime's contract.

Nothing in them counts: which frames are real comes in as masks of 0 and 1, so that a device that has only numbers of 8
or 16 bits can run all of it. Padding changes nothing, as in the graphs whose shapes are free.
"""

from typing import Any, Literal

import torch
from edgespeech_runtime.bundle.contracts import HEADS, Decoder, Static, static_contract
from edgespeech_runtime.bundle.manifest import Frames
from edgespeech_runtime.choices import Task
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder.adapter import AdapterLayer
from edgespeech.encoder.features import TimeGroupNorm
from edgespeech.encoder.positions import PositionalConv, PositionalStack, within
from edgespeech.encoder.transformer import Trace
from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
from edgespeech.models.speech import SpeechModel
from edgespeech_export.graphs.encoder_decoder import DecoderStep, flat
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.heads import last_layers
from edgespeech_export.writers.channels_last import PatchMatMul, windows

Form = Literal["convolutions", "products"]


def pools(task: Task) -> bool:
    """Whether the task's output is one of all frames."""
    return task in HEADS and "frames" not in HEADS[task].axes


def is_adapted(config: SpeechEncoderConfig, task: Task) -> bool:
    """Whether the output depends on the encoder's adapter; a head's mixture of layers is taken before it."""
    mixes = config.use_weighted_layer_sum and task not in ("ctc", "encoder-decoder")
    return config.add_adapter and not mixes


def mask_depths(encoder: SpeechModel, task: Task, layers: int) -> tuple[int, ...]:
    """After how many of the strided layers, in all `layers`, the graph must know which frames are real."""
    stack, config = len(encoder.config.conv_dim), encoder.config
    first = {1} if config.feat_extract_norm == "group" else set()
    adapters = config.num_adapter_layers if is_adapted(config, task) else 0
    last = {layers} if pools(task) else set()
    return tuple(sorted(first | set(range(stack, stack + max(1, adapters))) | last))


class StaticEncoder(nn.Module):
    """The speech encoder for one padded utterance, its masks given.

    A conv stack with its channels last is computed without any convolution where `form` is "products": the emulator of
    Qualcomm's HTP computes the first one, of one channel and stride 5, at shifted places (QNN 2.7.0).
    """

    def __init__(self, encoder: SpeechModel, task: Task, static: Static, form: Form) -> None:
        super().__init__()
        self.encoder = encoder
        self.is_adapted = is_adapted(encoder.config, task)
        self.depths = static.masks
        self.stack = len(encoder.config.conv_dim)
        self.mask_value = static.hidden
        first = encoder.feature_extractor.conv_layers[0]
        self.first = FirstProduct(first) if form == "products" and isinstance(first, PatchMatMul) else None

    def forward(self, waveform: Tensor, masks: tuple[Tensor, ...], trace: Trace | None = None) -> Tensor:
        """(1, samples), a mask (1, frames) for each of `depths` -> (1, frames, size)."""
        by_depth = dict(zip(self.depths, masks, strict=True))
        x = self._features(waveform, by_depth.get(1))
        x, _ = self.encoder.feature_projection(x)
        x = self._transformed(x, by_depth[self.stack], trace or Trace())
        return self._adapted(x, by_depth) if self.is_adapted else x

    def _features(self, waveform: Tensor, mask: Tensor | None) -> Tensor:
        """(1, samples) -> (1, frames, channels); frames of the first layer are those of `mask`."""
        first: Any
        first, *rest = self.encoder.feature_extractor.conv_layers
        if self.first is not None:
            x = self.first(waveform, mask)
        elif isinstance(first, PatchMatMul):
            x = first.masked(waveform, mask)  # (1, frames, channels)
        else:
            x = first.conv(waveform[:, None])  # (1, channels, frames)
            if isinstance(first.layer_norm, TimeGroupNorm) and mask is not None:
                x = time_norm(first.layer_norm, x, mask)
            elif first.layer_norm is not None:
                x = first.layer_norm(x)
            x = first.activation(x)
        for layer in rest:
            x, _ = layer(x, None)
        return x if isinstance(first, PatchMatMul) else x.transpose(1, 2)

    def _transformed(self, x: Tensor, mask: Tensor, trace: Trace) -> Tensor:
        """(1, frames, hidden) -> the same shape."""
        transformer = self.encoder.encoder
        x = x * mask[:, :, None]
        x = x + positional(transformer.pos_conv_embed, x, mask)
        if not transformer.pre_norm:
            x = transformer.layer_norm(x)
        trace.saw(x)
        bias = (1 - mask)[:, None, None] * self.mask_value
        positions = transformer.positions(x.shape[1])
        for layer in transformer.layers:
            x, _ = layer(x, bias, positions)
            trace.saw(x)
        return transformer.layer_norm(x) if transformer.pre_norm else x

    def _adapted(self, x: Tensor, masks: dict[int, Tensor]) -> Tensor:
        """(1, frames_in, hidden) -> (1, frames, output)."""
        adapter: Any = self.encoder.adapter
        if adapter.proj is not None:
            x = adapter.proj_layer_norm(adapter.proj(x))
        x = x.transpose(1, 2)  # (1, output, frames)
        layer: AdapterLayer
        for index, layer in enumerate(adapter.layers):
            x = F.glu(layer.conv(x * masks[self.stack + index][:, None]), dim=1)
        return x.transpose(1, 2)


def positional(layer: PositionalConv | PositionalStack, x: Tensor, mask: Tensor) -> Tensor:
    """(1, frames, hidden) -> the same shape, without the part of a long kernel that would only ever see padding."""
    if isinstance(layer, PositionalStack):
        for each in layer.layers:
            x = positional(each, x, mask)  # type: ignore[arg-type]
        return x
    frames, taps = x.shape[1], layer.conv.weight.shape[2]
    weight, before = within(layer.conv.weight, layer.before, frames)
    if weight.shape[2] == taps and not layer.is_depthwise:
        return layer(x, mask)
    x = x.transpose(1, 2)  # (1, hidden, frames)
    if layer.batch_norm is not None:
        x = layer.batch_norm(x)
    x = F.pad(x * mask[:, None], (before, weight.shape[2] - 1 - before))
    if layer.is_depthwise:
        x = layer.over_row(x, weight)
    else:
        x = F.conv1d(x, weight, layer.conv.bias, groups=layer.conv.groups)
    return layer.activated(x)


class FirstProduct(nn.Module):
    """The first convolution and its norm: the waveform cut into blocks of a stride, and a product over windows."""

    def __init__(self, layer: PatchMatMul) -> None:
        super().__init__()
        self.kernel, self.stride = layer.kernel, layer.stride
        basis = layer.get_buffer("basis")[:, 0]
        self.weight = nn.Parameter((basis.T @ layer.conv.weight).contiguous(), requires_grad=False)
        self.layer = layer

    def forward(self, waveform: Tensor, mask: Tensor | None) -> Tensor:
        """(1, samples) -> (1, frames, channels)."""
        x = windows(waveform[:, :, None], self.kernel, self.stride) @ self.weight
        if self.layer.conv.bias is not None:
            x = x + self.layer.conv.bias
        if self.layer.group_norm is not None and mask is not None:
            x = time_norm(self.layer.group_norm, x.transpose(1, 2), mask).transpose(1, 2)
        if self.layer.layer_norm is not None:
            x = self.layer.layer_norm(x)
        return self.layer.activation(x)


def time_norm(norm: TimeGroupNorm, x: Tensor, mask: Tensor) -> Tensor:
    """Normalise each channel of (1, channels, frames) over the frames of `mask` (1, frames), by means alone.

    A sum over thousands of frames needs more digits than a device of 16 bits has; a mean does not.
    """
    mask = mask[:, None]
    share = mask.mean(2, keepdim=True)
    centred = (x - (x * mask).mean(2, keepdim=True) / share) * mask
    variance = centred.square().mean(2, keepdim=True) / share
    return centred * (norm.weight[:, None] * torch.rsqrt(variance + norm.eps)) + norm.bias[:, None]


class StaticHead(nn.Module):
    """What a head makes of one padded utterance."""

    def __init__(self, model: Any, task: Task, static: Static, form: Form) -> None:
        super().__init__()
        self.encoder = StaticEncoder(model.base_model, task, static, form)
        self.model = model
        self.is_pooled = pools(task)

    def forward(self, input_values: Tensor, *masks: Tensor) -> Tensor:
        """(1, samples), masks (1, frames) -> the task's output; what pools frames does so by the last mask."""
        trace = Trace([])
        last = self.encoder(input_values, masks, trace)
        states = self.model.mixed(trace.hidden_states, last)
        output: Tensor = self.model.head(states, masks[-1] if self.is_pooled else None)
        return output


class StaticCross(nn.Module):
    """What all layers of the decoder attend to, of one padded utterance."""

    def __init__(self, model: SpeechEncoderDecoderModel, static: Static, form: Form) -> None:
        super().__init__()
        self.encoder = StaticEncoder(model.encoder, "encoder-decoder", static, form)
        self.model = model

    def forward(self, input_values: Tensor, *masks: Tensor) -> tuple[Tensor, ...]:
        """(1, samples), masks (1, frames) -> key and value of each layer."""
        states = self.encoder(input_values, masks)
        if self.model.enc_to_dec_proj is not None:
            states = self.model.enc_to_dec_proj(states)
        return flat(self.model.decoder.cross(states))


def static_head_graphs(
    task: Task, model: nn.Module, size: int, static: Static, frames: Frames, form: Form
) -> list[GraphSource]:
    """Return the graph for each bucket; `size` is that of the output's last axis."""
    graphs = static_contract(task, static).items()
    module, fixed = StaticHead(model, task, static, form), {"batch": 1, HEADS[task].axes[-1]: size}
    return [
        GraphSource(name, module, *tensors, {**fixed, **sizes(samples, frames)}, layers=last_layers(model))
        for (name, tensors), samples in zip(graphs, static.buckets, strict=True)
    ]


def static_encoder_decoder_graphs(
    model: SpeechEncoderDecoderModel, static: Static, frames: Frames, facts: Decoder, form: Form
) -> list[GraphSource]:
    """Return an encoder for each bucket, and the two forms of the decoder."""
    tensors = static_contract("encoder-decoder", static, facts)
    fixed = {"batch": 1, "vocabulary": facts.vocabulary_size, "heads": facts.heads, "head_dim": facts.head_dim}
    encoder, decoder = StaticCross(model, static, form), DecoderStep(model)
    layers = model.encoder.encoder.layers
    graphs = [
        GraphSource(name, encoder, *tensors[name], {**fixed, **sizes(samples, frames)}, layers=layers)
        for name, samples in ((f"encoder_{samples}", samples) for samples in static.buckets)
    ]
    longest_sizes = {"slots": static.slots, **sizes(static.buckets[-1], frames)}
    for name, new in (("prefill", static.prefill), ("step", 1)):
        all_fixed = {**fixed, **longest_sizes, "new": new, "columns": static.slots + new}
        graphs.append(GraphSource(name, decoder, *tensors[name], all_fixed, layers=model.decoder.layers))
    return graphs


def sizes(samples: int, frames: Frames) -> dict[str, int]:
    """Return the sizes that follow from a bucket, by the names of axes."""
    depths = range(1, len(frames.kernels) + 1)
    counts = {f"frames.{depth}": frames.count(samples, depth) for depth in depths}
    return {"samples": samples, "frames": frames.count(samples), **counts}
