"""What the contenders work on: a seeded waveform and, for CTC, a seeded random checkpoint."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import edgespeech

Size = Literal["base", "tiny"]
EncoderSize = Literal["base", "large", "tiny"]

SEED = 0
RATE = 16000  # Hz
HOP = 320  # samples, 20 ms: a frame, with the published kernels and strides
SHORTEST = 400  # samples, the receptive field of one frame
TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
SIZES: dict[EncoderSize, dict[str, Any]] = {
    "base": {},  # the published wav2vec2-base: 12 layers of 768 channels, 94 million weights
    "large": {  # the published wav2vec2-large-lv60
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    },
    "tiny": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "conv_dim": (24, 16, 16, 16, 16, 16, 24),
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    },
}


def waveform(seconds: float) -> npt.NDArray[np.float32]:
    """Noise, float32 `[samples]`: how long a model takes does not depend on what is said."""
    noise = np.random.default_rng(SEED).standard_normal(round(seconds * RATE))
    return (0.1 * noise).astype(np.float32)


def write_checkpoint(folder: Path, size: EncoderSize, noise: float = 0.0) -> None:
    """Write a wav2vec2 CTC checkpoint with random weights; same seed, same weights.

    `noise` is the standard deviation of normal noise that is added to every parameter.
    """
    torch.manual_seed(SEED)
    model = edgespeech.Wav2Vec2ForCTC(edgespeech.Wav2Vec2Config(vocab_size=len(TOKENS), **SIZES[size]))
    vary(model)
    with torch.no_grad():
        for tensor in model.parameters() if noise else ():
            tensor.add_(noise * torch.randn_like(tensor))
    model.save_pretrained(folder)
    write_processor(folder, TOKENS)


def write_processor(folder: Path, tokens: Sequence[str]) -> None:
    """Write the files of a feature extractor, and of a tokenizer with these tokens."""
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({token: index for index, token in enumerate(tokens)}), encoding="utf-8")
    tokenizer = edgespeech.Wav2Vec2CTCTokenizer(vocabulary)
    edgespeech.Wav2Vec2Processor(edgespeech.Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)


@torch.no_grad()
def vary(model: nn.Module, deviation: float = 0.2) -> None:
    """Draw biases and norm weights too: fresh ones are 0 and 1, and a graph simplifier drops what adds 0."""
    for tensor in model.parameters():
        if tensor.ndim == 1:
            tensor.add_(deviation * torch.randn_like(tensor))
