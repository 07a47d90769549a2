"""The kinds of checkpoints that exports are tested on."""

from typing import Any

# What differs in the graph, at least once each: norms, biases, adapters of both kinds, odd kernels, activations.
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
        },
    ),
}
ENGINES = ("onnx", "openvino", "numpy")
