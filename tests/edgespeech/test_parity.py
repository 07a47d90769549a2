"""The reference encoders against transformers, walking the network upward so that a failure names the layer."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import CLASSES, FAMILIES, THEIR_MASKS, Family, make_checkpoint, make_model, waveforms
from torch import Tensor
from transformers.activations import ACT2FN

import edgespeech
from edgespeech.activations import NAMES

HIDDEN_TOLERANCE = 1e-5  # relative to the hidden state's scale
LOGITS_TOLERANCE = 1e-4

LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
ADAPTER = {"add_adapter": True}
# data2vec has one form of the conv stack and of the norms, and positional convolutions of its own.
CHOOSING = tuple(family for family in FAMILIES if family != "data2vec-audio")
ADAPTED: tuple[Family, ...] = ("wav2vec2", "hubert", "unispeech", "unispeech-sat")  # a language's weights in each layer

# Options that change inference, beyond the base (group norm, post-norm) architecture: families, options.
CASES: dict[str, tuple[tuple[Family, ...], dict[str, Any]]] = {
    "base": (FAMILIES, {}),
    "large": (CHOOSING, LARGE),
    "layer norm, post-norm": (CHOOSING, {"feat_extract_norm": "layer"}),
    "group norm, pre-norm, bias": (CHOOSING, {"do_stable_layer_norm": True, "conv_bias": True}),
    "bias": (("data2vec-audio",), {"conv_bias": True, "feat_extract_activation": "relu"}),
    "four convolutions": (
        FAMILIES,
        {"conv_dim": [7, 13, 5, 9], "conv_kernel": [11, 4, 1, 6], "conv_stride": [3, 1, 2, 5]},
    ),
    "one convolution": (FAMILIES, {"conv_dim": [10], "conv_kernel": [25], "conv_stride": [16]}),
    "one convolution, layer norm": (CHOOSING, {**LARGE, "conv_dim": [3], "conv_kernel": [40], "conv_stride": [40]}),
    "odd positional kernel": (CHOOSING, {"num_conv_pos_embeddings": 7, "num_conv_pos_embedding_groups": 1}),
    "positional kernel 1": (FAMILIES, {"num_conv_pos_embeddings": 1}),
    "positional kernel 2": (CHOOSING, {"num_conv_pos_embeddings": 2, "num_conv_pos_embedding_groups": 32}),
    "positional kernel beyond the audio": (CHOOSING, {"num_conv_pos_embeddings": 128}),
    "positional stack, even kernel": (
        ("data2vec-audio",),
        {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 8, "num_conv_pos_embedding_groups": 1},
    ),
    "positional stack, kernels per channel": (
        ("data2vec-audio",),
        {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 40, "num_conv_pos_embedding_groups": 32},
    ),
    "few distances": (("wavlm",), {"num_buckets": 9, "max_bucket_distance": 6}),
    "distances, large": (("wavlm",), {**LARGE, "num_buckets": 32, "max_bucket_distance": 9}),
    "distances of one layer": (("wavlm",), {"num_hidden_layers": 1, "num_buckets": 4, "max_bucket_distance": 2}),
    "positional kernel per channel": (
        ("wav2vec2",),
        {"num_conv_pos_embeddings": 300, "num_conv_pos_embedding_groups": 32},
    ),
    "one head": (FAMILIES, {"num_attention_heads": 1}),
    "32 heads": (FAMILIES, {"num_attention_heads": 32}),
    "no layers": (FAMILIES, {"num_hidden_layers": 0}),
    "five layers": (FAMILIES, {"num_hidden_layers": 5}),
    "eps": (CHOOSING, {**LARGE, "layer_norm_eps": 0.3}),
    "eps, post-norm": (("data2vec-audio",), {"layer_norm_eps": 0.3}),
    "activations differ": (FAMILIES, {"hidden_act": "relu", "feat_extract_activation": "gelu_new"}),
    "no masking vector": (FAMILIES, {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}),
    "vocabulary of 1000": (FAMILIES, {"vocab_size": 1000}),
    "language adapters": (ADAPTED, {**LARGE, "adapter_attn_dim": 6}),
    "language adapters, post-norm": (ADAPTED, {"adapter_attn_dim": 6}),
    "batch norm": (("hubert",), {"conv_pos_batch_norm": True}),
    "batch norm, pre-norm": (("hubert",), {**LARGE, "conv_pos_batch_norm": True, "num_conv_pos_embeddings": 5}),
    "unnormalised projection": (("hubert",), {"feat_proj_layer_norm": False}),
    "adapter": (("wav2vec2", "wavlm", "data2vec-audio"), ADAPTER),
    "adapter, large": (("wav2vec2", "wavlm"), {**LARGE, **ADAPTER, "output_hidden_size": 20}),
    "adapter of one layer": (("wav2vec2",), {**ADAPTER, "num_adapter_layers": 1, "adapter_stride": 1}),
    "adapter of no layer": (("wav2vec2",), {**ADAPTER, "num_adapter_layers": 0, "output_hidden_size": 12}),
    "adapter of kernel 5": (("wav2vec2",), {**ADAPTER, "adapter_kernel_size": 5, "num_adapter_layers": 2}),
    "adapter of kernel 1": (("wav2vec2",), {**ADAPTER, "adapter_kernel_size": 1, "num_adapter_layers": 2}),
    "both adapters": (("wav2vec2",), {**LARGE, **ADAPTER, "adapter_attn_dim": 3, "output_hidden_size": 48}),
}
PARAMETERS = [
    pytest.param(family, options, id=f"{family}: {name}")
    for name, (families, options) in CASES.items()
    for family in families
]


def pair(folder: Path, family: Family, head: str = "ForCTC", **options: Any) -> tuple[Any, Any]:
    """Make a model with transformers, save it, and load it with edgespeech: ours, theirs."""
    theirs = make_model(family, head=head, **options)
    theirs.save_pretrained(folder)
    return getattr(edgespeech, CLASSES[family] + head).from_pretrained(folder), theirs


def close(ours: Tensor, theirs: Tensor, what: str, tolerance: float = HIDDEN_TOLERANCE) -> None:
    """Compare hidden states within a tolerance relative to their scale."""
    assert ours.shape == theirs.shape, what
    scale = max(float(theirs.abs().max()), 1e-3)
    assert float((ours - theirs).abs().max()) <= tolerance * scale, what


@torch.no_grad()
def walk(ours: Any, theirs: Any, audio: Tensor) -> None:
    """Compare two encoders layer by layer, each layer fed with the same input."""
    x, length = audio[:, None], None
    for index, (layer, reference) in enumerate(
        zip(ours.feature_extractor.conv_layers, theirs.feature_extractor.conv_layers, strict=True)
    ):
        expected = reference(x)
        close(layer(x, length)[0], expected, f"convolution {index}")
        x = expected
    features = x.transpose(1, 2)
    x = theirs.feature_projection(features)
    x = x[0] if isinstance(x, tuple) else x
    close(ours.feature_projection(features)[0], x, "feature projection")
    close(ours.encoder.pos_conv_embed(x, None), theirs.encoder.pos_conv_embed(x), "positional convolution")
    positions, theirs_positions = ours.encoder.positions(x.shape[1]), None
    for index, (layer, reference) in enumerate(zip(ours.encoder.layers, theirs.encoder.layers, strict=True)):
        if positions is None:
            expected = reference(x)
        else:  # the first layer makes biases of distances, the others are given them
            expected, theirs_positions = reference(x, position_bias=theirs_positions)
            close(positions.repeat(len(x), 1, 1), theirs_positions, f"biases {index}")
        close(layer(x, None, positions)[0], expected, f"layer {index}")
        x = expected
    if getattr(theirs, "adapter", None) is not None:
        close(ours.adapter(x, None)[0], theirs.adapter(x), "adapter")


@torch.no_grad()
def whole(ours: Any, theirs: Any, audio: Tensor) -> None:
    """Compare two CTC models from waveform to logits."""
    result = ours(audio, output_hidden_states=True, output_attentions=True)
    expected = theirs(audio, output_hidden_states=True, output_attentions=True)
    close(result.logits, expected.logits, "logits", LOGITS_TOLERANCE)
    for name in ("hidden_states", "attentions"):
        states = expected[name] or ()
        for index, (mine, reference) in enumerate(zip(result[name], states, strict=bool(states))):
            close(mine, reference, f"{name} {index}")


@pytest.mark.parametrize(("family", "options"), PARAMETERS)
def test_weights_written_by_transformers(tmp_path: Path, family: Family, options: dict[str, Any]) -> None:
    ours, theirs = pair(tmp_path, family, **options)
    audio, _ = waveforms(8000, 8000)
    walk(ours.base_model, theirs.base_model, audio)
    whole(ours, theirs, audio)


@pytest.mark.parametrize(("family", "options"), PARAMETERS[::2])
def test_weights_written_by_us(tmp_path: Path, family: Family, options: dict[str, Any]) -> None:
    folder = make_checkpoint(tmp_path, family, weights="edgespeech", **options)
    theirs, report = getattr(transformers, CLASSES[family] + "ForCTC").from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert theirs.dtype == torch.float32
    ours = getattr(edgespeech, CLASSES[family] + "ForCTC").from_pretrained(folder)
    whole(ours, theirs.eval(), waveforms(6000)[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_encoder_alone(tmp_path: Path, family: Family) -> None:
    ours, theirs = pair(tmp_path, family, "Model")
    audio, _ = waveforms(8000, 8000)
    with torch.no_grad():
        result, expected = ours(audio), theirs(audio)
    close(result.last_hidden_state, expected.last_hidden_state, "last hidden state")
    if "extract_features" in expected:
        close(result.extract_features, expected.extract_features, "extract_features")


def test_every_activation_of_transformers_is_known() -> None:
    assert set(ACT2FN) - NAMES == {"xielu"}  # has weights of its own and is made for language models


@pytest.mark.parametrize("name", sorted(NAMES))
@torch.no_grad()
def test_activation(tmp_path: Path, name: str) -> None:
    from edgespeech.activations import activation

    x = torch.cat([torch.linspace(-30, 30, 4001), torch.randn(1000)])
    close(activation(name)(x), ACT2FN[name](x), name, 1e-6)
    one = {"conv_dim": [24], "conv_kernel": [25], "conv_stride": [20]}  # squares of squares would overflow
    ours, theirs = pair(tmp_path, "wav2vec2", hidden_act=name, feat_extract_activation=name, **one)
    whole(ours, theirs, waveforms(2000)[0])


@pytest.mark.parametrize(
    ("family", "options"),
    [
        pytest.param(family, options, id=f"{family}: {name}")
        for name, (families, options) in CASES.items()
        for family in families
        # Where transformers is exact under padding: no norm over time, no adapter that reads beyond the end, no
        # batch norm that turns padding into a constant.
        if options.get("feat_extract_norm") == "layer" and not {"add_adapter", "conv_pos_batch_norm"} & options.keys()
    ],
)
@THEIR_MASKS
@torch.no_grad()
def test_padded_batch(tmp_path: Path, family: Family, options: dict[str, Any]) -> None:
    ours, theirs = pair(tmp_path, family, **options)
    lengths = (9000, 5000, 410)
    audio, mask = waveforms(*lengths)
    result = ours(audio, mask, output_hidden_states=True, output_attentions=True)
    expected = theirs(audio, attention_mask=mask, output_hidden_states=True, output_attentions=True)
    for row, frames in enumerate(ours.base_model.frames(torch.tensor(lengths)).tolist()):
        close(result.logits[row, :frames], expected.logits[row, :frames], f"logits {row}", LOGITS_TOLERANCE)
        for index, (mine, reference) in enumerate(zip(result.hidden_states, expected.hidden_states, strict=True)):
            close(mine[row, :frames], reference[row, :frames], f"row {row}, hidden state {index}")
        for index, (mine, reference) in enumerate(zip(result.attentions, expected.attentions, strict=True)):
            close(mine[row, :, :frames], reference[row, :, :frames], f"row {row}, attention {index}")


@pytest.mark.parametrize("style", ["weight_g", "parametrizations"])
@pytest.mark.parametrize("family", CHOOSING)
def test_both_key_styles_of_weight_norm(tmp_path: Path, family: Family, style: str) -> None:
    from safetensors.torch import load_file, save_file

    ours, theirs = pair(tmp_path, family)
    table = {"original0": "weight_g", "original1": "weight_v"}
    weights = load_file(tmp_path / "model.safetensors")
    if style == "weight_g":
        for new, old in table.items():
            stem = f"{family.replace('-', '_')}.encoder.pos_conv_embed.conv."
            weights[stem + old] = weights.pop(stem + "parametrizations.weight." + new)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    again = getattr(edgespeech, CLASSES[family] + "ForCTC").from_pretrained(tmp_path)
    whole(again, theirs, waveforms(4000)[0])
    assert all(torch.equal(value, ours.state_dict()[name]) for name, value in again.state_dict().items())
