"""What generation is measured on: seeded random decoders of published sizes behind an encoder as small as can be.

It says too how many bytes a step of such a decoder has to read, whoever runs it and however its weights are stored.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

import edgespeech
from benchmarks.workload import HOP, RATE, SEED, SHORTEST, TOKENS, Size, vary, write_processor
from edgespeech.decoder import TextDecoder
from edgespeech.decoder.names import part

Family = Literal["bert", "gpt2", "bart"]

START, PAD = 1, 0
BYTES = 4  # of a float32
Weights = Literal["float32", "int8", "int4"]  # how a decoder's are stored
CONFIGS: dict[Family, type[Any]] = {
    "bert": edgespeech.BertConfig,
    "gpt2": edgespeech.GPT2Config,
    "bart": edgespeech.BartConfig,
}
SIZES: dict[Size, dict[Family, dict[str, Any]]] = {
    "base": {
        "bert": {},  # 12 layers of 768 channels, vocabulary 30522
        "gpt2": {},  # 12 layers of 768 channels, vocabulary 50257
        "bart": {
            "d_model": 768,
            "encoder_layers": 6,
            "encoder_attention_heads": 12,
            "encoder_ffn_dim": 3072,
            "decoder_layers": 6,
            "decoder_attention_heads": 12,
            "decoder_ffn_dim": 3072,
        },
    },
    "tiny": {
        "bert": {
            "vocab_size": 60,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
        },
        "gpt2": {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48},
        "bart": {
            "vocab_size": 60,
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_layers": 2,
            "decoder_attention_heads": 4,
            "decoder_ffn_dim": 48,
        },
    },
}
NO_END: dict[str, Any] = {"eos_token_id": None, "forced_eos_token_id": None}  # as many tokens as are asked for
OWN: dict[Family, dict[str, Any]] = {
    "bert": {"is_decoder": True, "pad_token_id": PAD},
    "gpt2": {"bos_token_id": START, "eos_token_id": None},
    "bart": {"pad_token_id": PAD, "bos_token_id": START, "decoder_start_token_id": START, **NO_END},
}
ENCODER: dict[str, Any] = {  # the published kernels and strides, few channels: it is not what is measured
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def audio_seconds(frames: int) -> float:
    """The shortest audio of which the encoder makes so many frames."""
    return (SHORTEST + (frames - 1) * HOP) / RATE


def write_checkpoint(folder: Path, family: Family, size: Size) -> None:
    """Write a speech encoder-decoder checkpoint with random weights; same seed, same weights."""
    model = random_model(family, size)
    model.save_pretrained(folder)
    special = TOKENS[:5]
    words = (f"w{index}" for index in range(len(special), model.decoder.vocab_size))
    write_processor(folder, [*special, *words])


def random_model(family: Family, size: Size) -> edgespeech.SpeechEncoderDecoderModel:
    """Return what `write_checkpoint` writes."""
    torch.manual_seed(SEED)
    encoder = edgespeech.Wav2Vec2Config(**ENCODER)
    decoder = CONFIGS[family](add_cross_attention=True, **OWN[family], **SIZES[size][family])
    config = edgespeech.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder, decoder, decoder_start_token_id=START, pad_token_id=PAD
    )
    model = edgespeech.SpeechEncoderDecoderModel(config=config).eval()
    vary(model, 0.02)  # more, and what is always there would say the same token at every step
    enliven(model.decoder)
    return model


@torch.no_grad()
def enliven(decoder: TextDecoder) -> None:
    """Make a fresh decoder say another token at each step, and few of them nearly as probable as the one that wins.

    Fresh ones repeat what they read, as a tied head likes its input, so the norm before the head gets random signs;
    and positions count for more than what is the same at every step.
    """
    names = decoder.names
    part(decoder, names.positions).weight.mul_(10)
    decoder.get_input_embeddings().weight.mul_(5)
    path = names.final_norm or names.transform_norm
    norm = part(decoder, path) if path else part(decoder.layers[-1], names.layer.feed_norm)
    norm.weight.mul_(torch.randint(0, 2, norm.weight.shape) * 2 - 1)


@dataclass(frozen=True)
class Reading:
    """Bytes that a step has to read for one utterance, if nothing is read twice.

    Attributes:
        weights: of the layers and the head in float32. Of the tables of tokens and positions a step reads one row, and
            keys and values of the encoder's states are computed once, before the first step: neither counts.
        int8: the same with all matrices in 8 bits, without scales.
        int4: the same with the layers' matrices in 4 bits and the head's in 8, as our bundles have them.
        cross: keys and values of the encoder's states, of all layers, float32 whatever the weights are.
        token: keys and values of one earlier token, of all layers, float32 too.
    """

    weights: int
    int8: int
    int4: int
    cross: int
    token: int

    def total(self, beams: int, tokens: float, weights: Weights = "float32") -> float:
        """Bytes for a step of so many beams, each with so many tokens of its own in the cache."""
        stored = {"float32": self.weights, "int8": self.int8, "int4": self.int4}[weights]
        return stored + self.cross + beams * tokens * self.token


def reading(decoder: TextDecoder, frames: int) -> Reading:
    """Return what a step of a decoder has to read."""
    head = decoder.get_output_embeddings().weight
    tables = {id(m.weight) for m in decoder.modules() if isinstance(m, nn.Embedding)} - {id(head)}
    once = {id(parameter) for layer in decoder.layers for parameter in _of_states(layer)}
    read = [parameter for parameter in decoder.parameters() if id(parameter) not in tables | once]
    numbers = sum(parameter.numel() for parameter in read)
    matrices = sum(parameter.numel() for parameter in read if parameter.ndim == 2)
    vectors = BYTES * (numbers - matrices)
    geometry = decoder.geometry
    token = BYTES * 2 * geometry.layers * geometry.heads * geometry.head_dim
    return Reading(
        weights=BYTES * numbers,
        int8=vectors + matrices,
        int4=vectors + head.numel() + (matrices - head.numel()) // 2,
        cross=frames * token,
        token=token,
    )


def _of_states(layer: Any) -> list[nn.Parameter]:
    """Weights by which a layer makes keys and values of the encoder's states."""
    attention = part(layer, layer.names.cross.module)
    return [
        parameter
        for path, parts in attention.names.projections
        if "q" not in parts
        for parameter in part(attention, path).parameters()
    ]
