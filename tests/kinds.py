"""The kinds of checkpoints that exports are tested on."""

from typing import Any

from checkpoints import XVECTOR

# What differs in the graph, at least once each: norms, biases, adapters of both kinds, odd kernels, activations, a
# positional kernel for each channel.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-group": ("wav2vec2", {}),
    "wav2vec2-adapters": (
        "wav2vec2",
        {
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "conv_bias": True,
            "add_adapter": True,
            "output_hidden_size": 24,
            "num_adapter_layers": 2,
            "adapter_attn_dim": 8,
        },
    ),
    "hubert-batch-norm": (
        "hubert",
        {
            "conv_pos_batch_norm": True,
            "feat_proj_layer_norm": False,
            "num_conv_pos_embeddings": 15,
            "hidden_act": "gelu_new",
        },
    ),
    "unispeech-stable": (
        "unispeech",
        {
            "do_stable_layer_norm": True,
            "conv_dim": [16, 24, 20],
            "conv_kernel": [9, 4, 3],
            "conv_stride": [4, 3, 2],
            "hidden_act": "relu",
            "num_conv_pos_embeddings": 60,
            "num_conv_pos_embedding_groups": 32,
        },
    ),
}
# Further families of the encoder, whose convolutions are short: a frame is 64 samples.
RELATIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "wavlm-distances": (
        "wavlm",
        {
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "add_adapter": True,
            "num_adapter_layers": 1,
            "num_buckets": 32,
            "max_bucket_distance": 20,
            "conv_dim": [16, 12],
            "conv_kernel": [10, 8],
            "conv_stride": [8, 8],
        },
    ),
    "data2vec-stack": (
        "data2vec-audio",
        {
            "conv_pos_kernel_size": 6,
            "num_conv_pos_embeddings": 3,
            "num_hidden_layers": 1,
            "conv_dim": [16, 12],
            "conv_kernel": [10, 8],
            "conv_stride": [8, 8],
        },
    ),
}
# Checkpoints with other heads: the family, the head and its options. Small stacks: a frame is 64 samples.
SMALL: dict[str, Any] = {
    "conv_dim": [16, 12],
    "conv_kernel": [10, 8],
    "conv_stride": [8, 8],
    "num_hidden_layers": 1,
    "classifier_proj_size": 20,
}
LAYER_NORM: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WEIGHTED: dict[str, Any] = {"use_weighted_layer_sum": True}
ODD = (
    "",
    " ",
    "a b",
    "a\nb",
    "\\",
    '"',
    "'",
    "naïve",
    "Ошибка",
    "語",
    "🎵",
    "</s>",
    "NaN",
    "null",
    "0",
    "same",
    "same",
)
LABELS = (*ODD, *(f"label {index}" for index in range(35 - len(ODD))))
HEAD_KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "class-35": ("wav2vec2", "ForSequenceClassification", {"id2label": dict(enumerate(LABELS))}),
    "class-hubert": ("hubert", "ForSequenceClassification", {**LAYER_NORM, **WEIGHTED, "num_labels": 1}),
    "class-unispeech": ("unispeech", "ForSequenceClassification", WEIGHTED),
    "frames": ("wav2vec2", "ForAudioFrameClassification", {**LAYER_NORM, **WEIGHTED, "num_labels": 3}),
    "xvector": ("wav2vec2", "ForXVector", XVECTOR),
    "xvector-wavlm": (
        "wavlm",
        "ForXVector",
        {**XVECTOR, **WEIGHTED, "num_hidden_layers": 2, "num_buckets": 32, "max_bucket_distance": 40},
    ),
    "frames-unispeech-sat": ("unispeech-sat", "ForAudioFrameClassification", {**LAYER_NORM, "num_labels": 3}),
    "class-data2vec": ("data2vec-audio", "ForSequenceClassification", {"conv_pos_kernel_size": 5}),
    "xvector-adapter": (
        "wav2vec2",
        "ForXVector",
        {**XVECTOR, **LAYER_NORM, "add_adapter": True, "num_adapter_layers": 2},
    ),
    "xvector-weighted": (  # the mixture of layers is taken before the adapter, which then does nothing
        "wav2vec2",
        "ForXVector",
        {**XVECTOR, **WEIGHTED, "add_adapter": True, "output_hidden_size": 24},
    ),
}
ENGINES = ("onnx", "openvino", "numpy")
