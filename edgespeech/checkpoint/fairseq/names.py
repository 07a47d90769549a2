"""fairseq's weights under the names of the Hugging Face layout, and the configuration that their shapes tell."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgespeech.checkpoint.fairseq.settings import Settings
from edgespeech.errors import CheckpointError

BELOW_HEAD = "w2v_encoder.w2v_model."  # where a fine-tuned model keeps the pre-trained one
CTC_HEAD = "w2v_encoder.proj."
# Patterns of the encoder's names, each with what stands for it.
RENAMED = (
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"mask_emb$", "masked_spec_embed"),
    (r"encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"encoder\.layers\.(\d+)\.self_attn\.", r"encoder.layers.\1.attention."),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"encoder.layers.\1.layer_norm."),
    (r"encoder\.layers\.(\d+)\.fc1\.", r"encoder.layers.\1.feed_forward.intermediate_dense."),
    (r"encoder\.layers\.(\d+)\.fc2\.", r"encoder.layers.\1.feed_forward.output_dense."),
    (r"quantizer\.vars$", "quantizer.codevectors"),
)
ADAPTER = ".adapter_layer."  # of one language, in MMS; its weights have an axis for several in front
ADAPTERS = {
    "ln_W": "norm.weight",
    "ln_b": "norm.bias",
    "W_a": "linear_1.weight",
    "b_a": "linear_1.bias",
    "W_b": "linear_2.weight",
    "b_b": "linear_2.bias",
}
HEADS = ("quantizer", "project_q", "project_hid", "lm_head")  # beside the encoder, not under its prefix
HEAD_DIM = 64  # channels of an attention's head in all published models
# Rates of the layout, and fairseq's names of them.
RATES = {
    "activation_dropout": "activation_dropout",
    "attention_dropout": "attention_dropout",
    "hidden_dropout": "dropout",
    "feat_proj_dropout": "dropout_input",
    "final_dropout": "final_dropout",
    "layerdrop": "encoder_layerdrop",
}


def renamed(weights: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Return the weights of a model with a head, or of one without, under the names of the layout.

    HuBERT's targets of pre-training are left out, wav2vec2's are kept.
    """
    table: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name.startswith(CTC_HEAD):
            table["lm_head." + name.removeprefix(CTC_HEAD)] = tensor
            continue
        name = name.removeprefix(BELOW_HEAD)
        if family == "hubert" and (name == "label_embs_concat" or name.startswith("final_proj.")):
            continue
        if name.startswith("final_proj."):
            name = name.replace("final_proj", "project_hid")
        for pattern, replacement in RENAMED:
            name = re.sub(f"^{pattern}", replacement, name)
        layer, is_adapter, part = name.partition(ADAPTER)
        if is_adapter and part in ADAPTERS and len(tensor) == 1:
            name, tensor = f"{layer}{ADAPTER}{ADAPTERS[part]}", tensor[0]
        table[name if name.split(".")[0] in HEADS else f"{family}.{name}"] = tensor
    projection = f"{family}.feature_projection.projection"
    norm = table.get(f"{family}.feature_projection.layer_norm.weight")
    if norm is not None and f"{projection}.weight" not in table:  # fairseq leaves it out between equal sizes
        table |= {f"{projection}.weight": torch.eye(len(norm)), f"{projection}.bias": torch.zeros(len(norm))}
    return table


def configuration(weights: Mapping[str, Tensor], family: str, settings: Settings, path: Path) -> dict[str, Any]:
    """Return the content of `config.json` for weights under the layout's names: sizes by shapes, the rest by options.

    Raises:
        CheckpointError: a weight that every such model has is missing.
    """
    model = settings.model
    try:
        convolutions = _each(weights, f"{family}.feature_extractor.conv_layers.{{}}.conv.weight")
        layers = _each(weights, f"{family}.encoder.layers.{{}}.feed_forward.intermediate_dense.weight")
        inner, hidden = layers[0].shape
        prefix = f"{family}.encoder.pos_conv_embed.conv"
        positions = next(
            weights[f"{prefix}.{n}"]
            for n in ("weight_v", "parametrizations.weight.original1")
            if f"{prefix}.{n}" in weights
        )
    except (IndexError, StopIteration):
        raise CheckpointError(
            f"{path} lacks weights that a {family} of fairseq has; is it a whole checkpoint?"
        ) from None
    stack = f"{family}.feature_extractor.conv_layers"
    norm = "layer" if f"{stack}.1.layer_norm.weight" in weights else "group"
    config: dict[str, Any] = {
        "model_type": family,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": len(layers),
        "num_attention_heads": model.get("encoder_attention_heads") or max(1, hidden // HEAD_DIM),
        "hidden_act": model.get("activation_fn") or "gelu",
        "conv_dim": [len(kernel) for kernel in convolutions],
        "conv_kernel": [kernel.shape[2] for kernel in convolutions],
        "conv_stride": settings.strides(len(convolutions), path),
        "conv_bias": f"{stack}.0.conv.bias" in weights,
        "feat_extract_norm": norm,
        "do_stable_layer_norm": bool(model.get("layer_norm_first", norm == "layer")),  # where it is unsaid
        "num_conv_pos_embeddings": positions.shape[2],
        "num_conv_pos_embedding_groups": hidden // positions.shape[1],
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config |= {
        name: float(model[theirs]) for name, theirs in RATES.items() if isinstance(model.get(theirs), int | float)
    }
    adapter = weights.get(f"{family}.encoder.layers.0{ADAPTER}linear_1.bias")
    if adapter is not None:
        config["adapter_attn_dim"] = len(adapter)
    if "lm_head.weight" in weights:
        config["vocab_size"] = len(weights["lm_head.weight"])
    if "quantizer.codevectors" in weights and "project_q.weight" in weights:
        groups = model.get("latent_groups") or 2
        _, entries, size = weights["quantizer.codevectors"].shape
        config |= {
            "num_codevector_groups": groups,
            "num_codevectors_per_group": entries // groups,
            "codevector_dim": groups * size,
            "proj_codevector_dim": len(weights["project_q.weight"]),
        }
    return config


def _each(weights: Mapping[str, Tensor], pattern: str) -> list[Tensor]:
    """Return the weights of layers 0, 1, ... as far as they go; an IndexError later where there are none."""
    tensors: list[Tensor] = []
    while (name := pattern.format(len(tensors))) in weights:
        tensors.append(weights[name])
    return tensors
