"""Twins of published checkpoints: folders with their real configuration values, tiny in width, with random weights.

folder = make_twin(tmp_path, "facebook/wav2vec2-base-100h")

What a twin keeps of the published one: every field of `config.json` but the sizes, the names of its weights (older ones
too), its tokenizer's and feature extractor's settings.
"""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from checkpoints import enliven, write_processor
from safetensors.torch import load_file, save_file

# Sizes that every twin has in place of the published ones.
NARROW: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [24, 16, 16, 16, 16, 16, 24],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "codevector_dim": 16,
    "proj_codevector_dim": 12,
    "num_codevectors_per_group": 10,
}
BASE: dict[str, Any] = {
    "activation_dropout": 0.1,
    "apply_spec_augment": True,
    "attention_dropout": 0.1,
    "bos_token_id": 1,
    "codevector_dim": 256,
    "contrastive_logits_temperature": 0.1,
    "conv_bias": False,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "ctc_loss_reduction": "sum",
    "ctc_zero_infinity": False,
    "diversity_loss_weight": 0.1,
    "do_stable_layer_norm": False,
    "eos_token_id": 2,
    "feat_extract_activation": "gelu",
    "feat_extract_dropout": 0.0,
    "feat_extract_norm": "group",
    "feat_proj_dropout": 0.1,
    "feat_quantizer_dropout": 0.0,
    "final_dropout": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout": 0.1,
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "layerdrop": 0.1,
    "mask_feature_length": 10,
    "mask_feature_prob": 0.0,
    "mask_time_length": 10,
    "mask_time_prob": 0.05,
    "model_type": "wav2vec2",
    "num_attention_heads": 12,
    "num_codevector_groups": 2,
    "num_codevectors_per_group": 320,
    "num_conv_pos_embedding_groups": 16,
    "num_conv_pos_embeddings": 128,
    "num_feat_extract_layers": 7,
    "num_hidden_layers": 12,
    "num_negatives": 100,
    "pad_token_id": 0,
    "proj_codevector_dim": 256,
    "vocab_size": 32,
}
LARGE: dict[str, Any] = {
    **BASE,
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
}
TDNN: dict[str, Any] = {
    "tdnn_dim": [512, 512, 512, 512, 1500],
    "tdnn_dilation": [1, 2, 3, 1, 1],
    "tdnn_kernel": [5, 3, 3, 1, 1],
    "xvector_output_dim": 512,
}
HUBERT: dict[str, Any] = {
    **{name: value for name, value in BASE.items() if not name.startswith(("code", "num_code", "contra", "proj_"))},
    "feat_proj_layer_norm": True,
    "model_type": "hubert",
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
}
# The published `config.json`, and weights that the published file holds beside the model's own: name to shape.
PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "facebook/wav2vec2-base-100h": (
        {**BASE, "architectures": ["Wav2Vec2ForCTC"]},
        {"wav2vec2.mask_time_emb_vector": (32,)},
    ),
    "facebook/wav2vec2-large-xlsr-53": (
        {**LARGE, "architectures": ["Wav2Vec2ForPreTraining"], "codevector_dim": 768, "proj_codevector_dim": 768},
        {},
    ),
    "facebook/wav2vec2-lv-60-espeak-cv-ft": (
        {**LARGE, "architectures": ["Wav2Vec2ForCTC"], "vocab_size": 392, "ctc_loss_reduction": "mean"},
        {},
    ),
    "facebook/hubert-base-ls960": ({**HUBERT, "architectures": ["HubertModel"]}, {}),
    "facebook/hubert-large-ls960-ft": (
        {**HUBERT, **{name: LARGE[name] for name in LARGE if LARGE[name] != BASE[name]}, "model_type": "hubert"}
        | {"architectures": ["HubertForCTC"], "feat_proj_layer_norm": True},
        {},
    ),
    "superb/wav2vec2-base-superb-sid": (
        {
            **BASE,
            "architectures": ["Wav2Vec2ForSequenceClassification"],
            "classifier_proj_size": 256,
            "use_weighted_layer_sum": True,
            "id2label": {str(index): f"id{10001 + index}" for index in range(12)},
            "label2id": {f"id{10001 + index}": str(index) for index in range(12)},
        },
        {},
    ),
    "superb/wav2vec2-base-superb-sv": (
        {**BASE, **TDNN, "architectures": ["Wav2Vec2ForXVector"], "use_weighted_layer_sum": True},
        {},
    ),
    "microsoft/unispeech-large-1500h-cv": (
        {
            **LARGE,
            "architectures": ["UniSpeechForPreTraining"],
            "model_type": "unispeech",
            "num_ctc_classes": 80,
            "replace_prob": 0.5,
            "ctc_loss_reduction": "mean",
        },
        {},
    ),
}
WAVLM: dict[str, Any] = {
    **BASE,
    "model_type": "wavlm",
    "adapter_kernel_size": 3,
    "adapter_stride": 2,
    "add_adapter": False,
    "activation_dropout": 0.0,
    "classifier_proj_size": 256,
    "feat_extract_dropout": 0.0,
    "final_dropout": 0.0,
    "freeze_feat_extract_train": True,
    "layerdrop": 0.05,
    "mask_channel_length": 10,
    "mask_channel_min_space": 1,
    "mask_channel_other": 0.0,
    "mask_channel_prob": 0.0,
    "mask_channel_selection": "static",
    "mask_feature_min_masks": 0,
    "mask_time_min_masks": 2,
    "mask_time_min_space": 1,
    "mask_time_other": 0.0,
    "mask_time_selection": "static",
    "max_bucket_distance": 800,
    "no_mask_channel_overlap": False,
    "no_mask_time_overlap": False,
    "num_adapter_layers": 3,
    "num_buckets": 320,
    "num_ctc_classes": 80,
    "replace_prob": 0.5,
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
    "torch_dtype": "float32",
}
# Of WavLM, its relative and data2vec: speakers, diarisation, features, letters.
PUBLISHED |= {
    "microsoft/wavlm-base-plus": ({**WAVLM, "architectures": ["WavLMModel"]}, {}),
    "microsoft/wavlm-base-plus-sv": (
        {**WAVLM, **TDNN, "architectures": ["WavLMForXVector"], "use_weighted_layer_sum": False},
        {},
    ),
    "microsoft/wavlm-base-plus-sd": (
        {
            **WAVLM,
            **TDNN,
            "architectures": ["WavLMForAudioFrameClassification"],
            "use_weighted_layer_sum": True,
            "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
            "label2id": {"LABEL_0": 0, "LABEL_1": 1},
        },
        {},
    ),
    "microsoft/unispeech-sat-base-plus-sd": (
        {
            **{name: WAVLM[name] for name in WAVLM if name not in ("num_buckets", "max_bucket_distance")},
            **TDNN,
            "model_type": "unispeech-sat",
            "architectures": ["UniSpeechSatForAudioFrameClassification"],
            "num_clusters": 504,
            "use_weighted_layer_sum": True,
        },
        {},
    ),
    "facebook/data2vec-audio-base-960h": (
        {
            **BASE,
            **TDNN,
            "model_type": "data2vec-audio",
            "architectures": ["Data2VecAudioForCTC"],
            "conv_pos_kernel_size": 19,
            "feat_extract_norm": "layer",
            "num_conv_pos_embeddings": 5,
            "use_weighted_layer_sum": False,
        },
        {},
    ),
}
NARROW_HEADS: dict[str, Any] = {"tdnn_dim": [20, 20, 20, 20, 30], "xvector_output_dim": 12, "classifier_proj_size": 20}


def make_twin(folder: Path, name: str, *, weights: dict[str, tuple[int, ...]] | None = None, **values: Any) -> Path:
    """Write the twin of a published checkpoint into a folder, made if need be, and return it.

    `weights` are put beside those that the published file holds besides the model's own; `values` replace fields.
    """
    published, beside = PUBLISHED[name]
    narrow = {
        name: size for name, size in NARROW.items() if "conv_pos_kernel_size" not in published or "pos" not in name
    }
    config = {**published, **narrow, **{key: NARROW_HEADS[key] for key in NARROW_HEADS if key in published}, **values}
    torch.manual_seed(0)
    kind = getattr(transformers, config["architectures"][0])
    model = kind(kind.config_class.from_dict(config)).eval()
    enliven(model)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_processor(folder, config["vocab_size"], config["feat_extract_norm"] == "layer")
    add_weights(folder, {**beside, **(weights or {})})
    return folder


def add_weights(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Put weights of these names and shapes beside those of a checkpoint."""
    path = folder / "model.safetensors"
    save_file(load_file(path) | {name: torch.ones(shape) for name, shape in shapes.items()}, path, {"format": "pt"})


def drop_weights(folder: Path, *names: str) -> None:
    """Take weights out of a checkpoint."""
    path = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if name not in names}
    save_file(kept, path, {"format": "pt"})
