"""Graphs of fixed shapes, as torch modules over one model. What they take and give is the runtime's contract.

Nothing in them counts: which frames are real comes in as masks of 0 and 1, so that a device that has only numbers of 8
or 16 bits can run all of it. Padding changes nothing, as in the graphs whose shapes are free.
"""

import torch
from edgespeech_runtime.contracts import Decoder, Static, static_contract
from edgespeech_runtime.manifest import Frames
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.encoder.adapter import AdapterLayer
from edgespeech.encoder.features import TimeGroupNorm
from edgespeech.models.ctc import SpeechForCTC
from edgespeech.models.encoder_decoder import SpeechEncoderDecoderModel
from edgespeech.models.speech import SpeechModel
from edgespeech_export.channels_last import PatchMatMul
from edgespeech_export.encoder_decoder_graphs import DecoderStep, flat
from edgespeech_export.graphs import GraphSource


def mask_depths(encoder: SpeechModel) -> tuple[int, ...]:
    """After how many of the strided layers the graph must know which frames are real."""
    stack, config = len(encoder.config.conv_dim), encoder.config
    adapters = config.num_adapter_layers if config.add_adapter else 0
    first = {1} if config.feat_extract_norm == "group" else set()
    return tuple(sorted(first | set(range(stack, stack + max(1, adapters)))))


class StaticEncoder(nn.Module):
    """The speech encoder for one padded utterance, its masks given."""

    def __init__(self, encoder: SpeechModel, hidden: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.depths = mask_depths(encoder)
        self.stack = len(encoder.config.conv_dim)
        self.hidden = hidden

    def forward(self, waveform: Tensor, masks: tuple[Tensor, ...]) -> Tensor:
        """(1, samples), a mask (1, frames) for each of `depths` -> (1, frames, size)."""
        by_depth = dict(zip(self.depths, masks, strict=True))
        x = self._features(waveform, by_depth.get(1))
        x, _ = self.encoder.feature_projection(x)
        x = self._transformed(x, by_depth[self.stack])
        return x if self.encoder.adapter is None else self._adapted(x, by_depth)

    def _features(self, waveform: Tensor, mask: Tensor | None) -> Tensor:
        """(1, samples) -> (1, frames, channels); frames of the first layer are those of `mask`."""
        first, *rest = self.encoder.feature_extractor.conv_layers
        if isinstance(first, PatchMatMul):
            x = first.masked(waveform, mask)  # (1, frames, channels)
        else:
            x = first.conv(waveform[:, None])  # (1, channels, frames)
            if isinstance(first.layer_norm, TimeGroupNorm):
                x = time_norm(first.layer_norm, x, mask)
            elif first.layer_norm is not None:
                x = first.layer_norm(x)
            x = first.activation(x)
        for layer in rest:
            x, _ = layer(x, None)
        return x if isinstance(first, PatchMatMul) else x.transpose(1, 2)

    def _transformed(self, x: Tensor, mask: Tensor) -> Tensor:
        """(1, frames, hidden) -> the same shape."""
        transformer = self.encoder.encoder
        x = x * mask[:, :, None]
        x = x + transformer.pos_conv_embed(x, mask)
        if not transformer.pre_norm:
            x = transformer.layer_norm(x)
        bias = (1 - mask)[:, None, None] * self.hidden
        for layer in transformer.layers:
            x, _ = layer(x, bias)
        return transformer.layer_norm(x) if transformer.pre_norm else x

    def _adapted(self, x: Tensor, masks: dict[int, Tensor]) -> Tensor:
        """(1, frames_in, hidden) -> (1, frames, output)."""
        adapter = self.encoder.adapter
        if adapter.proj is not None:
            x = adapter.proj_layer_norm(adapter.proj(x))
        x = x.transpose(1, 2)  # (1, output, frames)
        layer: AdapterLayer
        for index, layer in enumerate(adapter.layers):
            x = F.glu(layer.conv(x * masks[self.stack + index][:, None]), dim=1)
        return x.transpose(1, 2)


def time_norm(norm: TimeGroupNorm, x: Tensor, mask: Tensor | None) -> Tensor:
    """Normalise each channel of (1, channels, frames) over the frames of `mask` (1, frames), by means alone.

    A sum over thousands of frames needs more digits than a device of 16 bits has; a mean does not.
    """
    if mask is None:
        return norm(x)
    mask = mask[:, None]
    share = mask.mean(2, keepdim=True)
    centred = (x - (x * mask).mean(2, keepdim=True) / share) * mask
    variance = centred.square().mean(2, keepdim=True) / share
    return centred * (norm.weight[:, None] * torch.rsqrt(variance + norm.eps)) + norm.bias[:, None]


class StaticCtc(nn.Module):
    """Logits of one padded utterance."""

    def __init__(self, model: SpeechForCTC, hidden: float) -> None:
        super().__init__()
        self.encoder = StaticEncoder(model.base_model, hidden)
        self.model = model

    def forward(self, input_values: Tensor, *masks: Tensor) -> Tensor:
        """(1, samples), masks (1, frames) -> (1, frames, vocabulary)."""
        return self.model.lm_head(self.encoder(input_values, masks))


class StaticCross(nn.Module):
    """What all layers of the decoder attend to, of one padded utterance."""

    def __init__(self, model: SpeechEncoderDecoderModel, hidden: float) -> None:
        super().__init__()
        self.encoder = StaticEncoder(model.encoder, hidden)
        self.model = model

    def forward(self, input_values: Tensor, *masks: Tensor) -> tuple[Tensor, ...]:
        """(1, samples), masks (1, frames) -> key and value of each layer."""
        states = self.encoder(input_values, masks)
        if self.model.enc_to_dec_proj is not None:
            states = self.model.enc_to_dec_proj(states)
        return flat(self.model.decoder.cross(states))


def static_ctc_graphs(model: SpeechForCTC, static: Static, frames: Frames) -> list[GraphSource]:
    """Return a CTC model's graph for each bucket."""
    graphs = static_contract("ctc", static).items()
    module, fixed = StaticCtc(model, static.hidden), {"batch": 1, "vocabulary": model.config.vocab_size}
    return [
        GraphSource(name, module, *tensors, {**fixed, **sizes(samples, frames)})
        for (name, tensors), samples in zip(graphs, static.buckets, strict=True)
    ]


def static_encoder_decoder_graphs(
    model: SpeechEncoderDecoderModel, static: Static, frames: Frames, facts: Decoder
) -> list[GraphSource]:
    """Return an encoder for each bucket, and the two forms of the decoder."""
    found = static_contract("encoder-decoder", static, facts)
    fixed = {"batch": 1, "vocabulary": facts.vocabulary_size, "heads": facts.heads, "head_dim": facts.head_dim}
    hearing, decoder = StaticCross(model, static.hidden), DecoderStep(model)
    graphs = [
        GraphSource(f"encoder_{samples}", hearing, *found[f"encoder_{samples}"], {**fixed, **sizes(samples, frames)})
        for samples in static.buckets
    ]
    heard = {"slots": static.slots, **sizes(static.buckets[-1], frames)}
    for name, new in (("prefill", static.prefill), ("step", 1)):
        all_fixed = {**fixed, **heard, "new": new, "columns": static.slots + new}
        graphs.append(GraphSource(name, decoder, *found[name], all_fixed))
    return graphs


def sizes(samples: int, frames: Frames) -> dict[str, int]:
    """Return the sizes that follow from a bucket, by the names of axes."""
    depths = range(1, len(frames.kernels) + 1)
    counts = {f"frames.{depth}": frames.count(samples, depth) for depth in depths}
    return {"samples": samples, "frames": frames.count(samples), **counts}
