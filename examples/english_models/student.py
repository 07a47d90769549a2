"""The wav2vec2-shaped students: configurations, Whisper's weights in them, and a fast forward pass for training.

Whisper's encoder layers compute what wav2vec2's do with `do_stable_layer_norm`, and its decoder layers what GPT-2's do
with cross-attention. Two things have no counterpart: the mel spectrogram, which is learned (`front.py`), and the
absolute positions, in whose place wav2vec2 has a positional convolution. ctc-en learns to do without them
(`positions.py`). dictation-en keeps them, since Whisper's decoder finds its way by the positions in the encoder's
states: its positional convolution adds up a kernel over a constant (`write_positions`).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from teacher import HOP, WINDOW, mel_filters
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import WhisperForConditionalGeneration

from edgespeech import Wav2Vec2Config, Wav2Vec2Model

SIZE, INNER, LAYERS, HEADS = 384, 1536, 4, 6  # of Whisper tiny
CONV_DIM, CONV_KERNEL, CONV_STRIDE = (512, 512, 128, SIZE, SIZE), (WINDOW, 1, 1, 3, 3), (HOP, 1, 1, 1, 2)
BANDS = 126  # frequencies of the first convolution, four phases each
CONSTANT = 8.0  # in the features of dictation-en: large beside their deviation (0.9 at most), small for float16


def encoder_settings(taps: int = 128, groups: int = 16, layers: int = LAYERS) -> dict[str, object]:
    """The settings of `Wav2Vec2Config` of both models, which differ in the number of layers."""
    rates = ("hidden", "attention", "activation", "feat_proj", "final")
    return {
        "hidden_size": SIZE,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "feat_extract_norm": "layer",
        "feat_extract_activation": "gelu",
        "conv_bias": True,
        "conv_dim": CONV_DIM,
        "conv_kernel": CONV_KERNEL,
        "conv_stride": CONV_STRIDE,
        "num_conv_pos_embeddings": taps,
        "num_conv_pos_embedding_groups": groups,
        "do_stable_layer_norm": True,
        "layer_norm_eps": 1e-5,
        "layerdrop": 0.0,
        "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
        **{f"{name}_dropout": 0.0 for name in rates},
    }


def frames_of(samples: int) -> int:
    """Frames of 20 ms that the student makes of `samples`."""
    for kernel, stride in zip(CONV_KERNEL, CONV_STRIDE, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def new_encoder(teacher: WhisperForConditionalGeneration, layers: int = LAYERS) -> Wav2Vec2Model:
    """An encoder with the teacher's layers, a front end at its analytic start, and positions at zero.

    `layers` beyond the teacher's start at random, behind them; what they add is small at first.
    """
    model = Wav2Vec2Model(Wav2Vec2Config(**encoder_settings(layers=layers)))
    transplant_layers(teacher, model)
    start_front(model)
    with torch.no_grad():  # GELU's slope at 0 is a half: a small kernel gets gradients, and changes little at first
        conv = model.encoder.pos_conv_embed.conv
        conv.parametrizations.weight.original0.fill_(0.02)
        conv.bias.zero_()
    return model


@torch.no_grad()
def transplant_layers(teacher: WhisperForConditionalGeneration, model: Wav2Vec2Model) -> None:
    """Whisper's encoder layers and final norm into wav2vec2's: the same computation."""
    source, target = teacher.model.encoder, model.encoder
    pairs = [(source.layer_norm, target.layer_norm)]
    for old, new in zip(source.layers, target.layers, strict=False):
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        pairs += [(getattr(old.self_attn, name), getattr(new.attention, name)) for name in names]
        pairs += [(old.self_attn_layer_norm, new.layer_norm), (old.final_layer_norm, new.final_layer_norm)]
        pairs += [(old.fc1, new.feed_forward.intermediate_dense), (old.fc2, new.feed_forward.output_dense)]
    for old, new in pairs:
        new.weight.copy_(old.weight)
        new.bias.zero_() if old.bias is None else new.bias.copy_(old.bias)
    for layer in target.layers[len(source.layers) :]:
        layer.attention.out_proj.weight.mul_(0.1)
        layer.feed_forward.output_dense.weight.mul_(0.1)


@torch.no_grad()
def start_front(model: Wav2Vec2Model) -> None:
    """Start the front end near a mel spectrogram.

    The first convolution's rows are windowed cosines and sines of both signs, whitened for speech's 6 dB an octave, and
    a few constants, by which the layer norm after it tells the level. The second adds up neighbouring frequencies in
    mel bands, at several offsets of GELU.
    """
    layers = model.feature_extractor.conv_layers
    frequencies = np.concatenate([np.arange(1, 76) * 40.0, np.linspace(3100, 7950, BANDS - 75)])  # Hz
    rows, offsets = fourier_rows(frequencies)
    layers[0].conv.weight.copy_(torch.tensor(rows[:, None]))
    layers[0].conv.bias.copy_(torch.tensor(offsets))
    layers[0].layer_norm.weight.fill_(3.0)
    bands = mel_filters().numpy()  # (bands, 201 frequencies)
    shapes = np.stack([np.interp(frequencies, np.arange(201) * 40.0, band) for band in bands])
    shapes = np.repeat(shapes / np.maximum(shapes.sum(1, keepdims=True), 1e-9), 4, axis=1) / 4  # four phases
    copies = CONV_DIM[1] // len(bands)  # 6; the channels that are left start at random
    signs = np.array([1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
    sums = (shapes[:, None] * signs[None, :copies, None]).reshape(-1, shapes.shape[1])
    weight = torch.randn(CONV_DIM[1], CONV_DIM[0]) * 0.3 * CONV_DIM[0] ** -0.5
    weight[: len(sums), : sums.shape[1]] += torch.tensor(sums, dtype=torch.float32)
    bias = torch.zeros(CONV_DIM[1])
    bias[: len(sums)] = torch.tensor([0.2, -0.3, -1.0, 0.5, 1.5, -2.0])[:copies].repeat(len(bands))
    layers[1].conv.weight.copy_(weight[..., None])
    layers[1].conv.bias.copy_(bias)


def fourier_rows(frequencies: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (channels, taps) and biases (channels,) of the first convolution."""
    time = np.arange(WINDOW) / 16000
    phase = 2 * np.pi * frequencies[:, None] * (time - time[WINDOW // 2])  # (frequencies, taps)
    gain = np.sqrt(1 + (frequencies / 500) ** 2)[:, None] / 12
    window = np.hanning(WINDOW + 1)[:WINDOW]
    cosine, sine = gain * window * np.cos(phase), gain * window * np.sin(phase)
    rows = np.zeros((CONV_DIM[0], WINDOW), np.float32)
    rows[: 4 * len(frequencies)] = np.stack([cosine, -cosine, sine, -sine], axis=1).reshape(-1, WINDOW)
    offsets = np.zeros(CONV_DIM[0], np.float32)
    offsets[4 * len(frequencies) :] = np.resize([0.15, -0.15], CONV_DIM[0] - 4 * len(frequencies))
    return rows, offsets


def front(model: Wav2Vec2Model, waveform: Tensor, layers: int = len(CONV_DIM)) -> Tensor:
    """The conv stack over (batch, samples) as matrix products, channels last: faster than `conv1d` on a CPU here."""
    x = waveform[:, :, None]  # (batch, samples, 1)
    for layer in model.feature_extractor.conv_layers[:layers]:
        weight, kernel, stride = layer.conv.weight, layer.conv.kernel_size[0], layer.conv.stride[0]
        windows = x.unfold(1, kernel, stride).flatten(2)  # (batch, frames, channels * kernel)
        x = F.linear(windows, weight.flatten(1), layer.conv.bias)
        x = F.gelu(F.layer_norm(x, x.shape[-1:], layer.layer_norm.weight, layer.layer_norm.bias))
    return x


def features(model: Wav2Vec2Model, waveform: Tensor) -> Tensor:
    """(batch, samples) -> (batch, frames, 384): the front end with its projection."""
    projection = model.feature_projection
    result: Tensor = projection.projection(projection.layer_norm(front(model, waveform)))
    return result


def transform(
    model: Wav2Vec2Model, x: Tensor, lengths: Tensor | None = None, positions: Tensor | None = None, frozen: int = 0
) -> list[Tensor]:
    """The input of the first layer and the output of each layer (batch, frames, 384), the last one normalised.

    `lengths` (batch,) counts the frames that are real; `positions` (frames, 384) stand in for the convolution. The
    first `frozen` layers get no gradients.
    """
    encoder, bias, mask = model.encoder, None, None
    if lengths is not None:
        mask = torch.arange(x.shape[1]) < lengths[:, None]
        x = x * mask[..., None]
        bias = torch.zeros(mask.shape).masked_fill(~mask, -1e4)[:, None, None]
    x = x + (encoder.pos_conv_embed(x, mask) if positions is None else positions[: x.shape[1]])
    states = [x]
    for index, layer in enumerate(encoder.layers):
        with torch.set_grad_enabled(torch.is_grad_enabled() and index >= frozen):
            x = layer_output(layer, x, bias)
        states.append(x)
    states[-1] = encoder.layer_norm(x)
    return states


def layer_output(layer: nn.Module, x: Tensor, bias: Tensor | None) -> Tensor:
    """What a transformer layer computes, in the precision of the autocast around it."""
    attention, normal = layer.attention, layer.layer_norm(x)
    query, key, value = (
        attention.split(part(normal)) for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    scores = query @ key.transpose(2, 3) * attention.head_dim**-0.5
    mixed = (scores if bias is None else scores + bias.to(scores.dtype)).softmax(-1) @ value
    x = x + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    result: Tensor = x + layer.feed_forward(layer.final_layer_norm(x))
    return result


@torch.no_grad()
def write_positions(model: Wav2Vec2Model, table: Tensor, means: Tensor) -> Wav2Vec2Model:
    """A copy of `model` whose positional convolution gives `table` (positions, 384), for up to as many frames.

    The projection's bias is lowered by `CONSTANT`, so that the convolution's input is nearly constant: the features'
    `means` (384,) less `CONSTANT`. Left of the first frame it is zero. So the convolution gives at each frame the sum
    of the kernel's taps up to there, and any table can be written as the differences of its rows. The convolution's
    bias takes the constant back, and lifts its output to where GELU is the identity. What the features deviate from
    their means is an error in the positions: 5 % of their size with this constant.
    """
    taps = 2 * len(table)
    copy = Wav2Vec2Model(Wav2Vec2Config(**encoder_settings(taps, SIZE, len(model.encoder.layers))))
    state = {name: value for name, value in model.state_dict().items() if "pos_conv" not in name}
    copy.load_state_dict({**copy.state_dict(), **state})
    copy.feature_projection.projection.bias.sub_(CONSTANT)
    steps = torch.diff(table.double(), dim=0, prepend=torch.zeros(1, SIZE, dtype=torch.double))
    kernel = torch.zeros(SIZE, 1, taps)
    kernel[:, 0, 1 : taps // 2 + 1] = (steps / (means.double() - CONSTANT)).float().T.flip(-1)
    length = kernel.norm(dim=(0, 1), keepdim=True)  # weight norm: one length for each tap
    convolution = copy.encoder.pos_conv_embed.conv
    convolution.parametrizations.weight.original0.copy_(length)
    direction = torch.where(length > 0, kernel / length.clamp_min(1e-30), torch.full_like(kernel, SIZE**-0.5))
    convolution.parametrizations.weight.original1.copy_(direction)
    convolution.bias.fill_(CONSTANT)
    return copy
