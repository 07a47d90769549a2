"""The random-weight checkpoints of the goldens: configurations, weights, folders. Run by make.py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tiny_tokenizers import small
from torch import nn
from transformers import (
    Speech2Text2Config,
    Speech2Text2ForCausalLM,
    SpeechEncoderDecoderConfig,
    SpeechEncoderDecoderModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

ENCODER: dict[str, Any] = {
    "vocab_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": [6, 6, 8],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],  # 20 samples a frame
    "num_conv_pos_embeddings": 6,
    "num_conv_pos_embedding_groups": 2,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "layerdrop": 0.0,
    "attn_implementation": "eager",
}
DECODER: dict[str, Any] = {"decoder_layers": 2, "decoder_ffn_dim": 18, "dropout": 0.0, "vocab_size": 40}
PUBLISHED_ORDER = ["<s>", "<pad>", "</s>", "<unk>"]


@dataclass(frozen=True)
class Case:
    """A checkpoint and the audio that it hears: configuration fields over ENCODER and DECODER."""

    name: str
    seed: int
    encoder: dict[str, Any]
    decoder: dict[str, Any]
    generation: dict[str, Any]  # fields of generation_config.json
    lengths: tuple[int, ...]  # samples of the batch's rows
    gain: float  # of the decoder's attention and feed-forward weights
    end_bias: float  # moves the logit of the end token, and so the lengths of what is generated
    order: list[str]  # special tokens, by id
    tokens: int = 40  # of the tokenizer

    @property
    def masked(self) -> bool:
        """Whether the batch has rows of different lengths and so an attention mask."""
        return len(set(self.lengths)) > 1


CASES = (
    Case(  # group norm, post-norm, a projection, tied embeddings, scaled embeddings
        name="plain",
        seed=7,
        encoder={"do_stable_layer_norm": False, "feat_extract_norm": "group", "mask_time_prob": 0.0},
        decoder={"d_model": 12, "decoder_attention_heads": 3, "max_target_positions": 24},
        generation={},
        lengths=(560, 560, 560),
        gain=3.0,
        end_bias=2.3,
        order=PUBLISHED_ORDER,
    ),
    Case(  # adapter that changes the width, so no projection; layer norm, pre-norm; untied; no cache by default
        name="adapter",
        seed=32,
        encoder={
            "num_hidden_layers": 2,
            "do_stable_layer_norm": True,
            "feat_extract_norm": "layer",
            "feat_extract_activation": "gelu",
            "conv_bias": True,
            "add_adapter": True,
            "num_adapter_layers": 2,
            "output_hidden_size": 14,
            "mask_time_prob": 0.05,
        },
        decoder={
            "d_model": 14,
            "decoder_attention_heads": 2,
            "activation_function": "gelu",
            "scale_embedding": False,
            "tie_word_embeddings": False,
            "decoder_start_token_id": 0,
            "use_cache": False,
            "max_target_positions": 20,
        },
        generation={"max_length": 16, "num_beams": 2},
        # An even count of frames before each adapter layer: its last frame then sees no padding, as if alone.
        lengths=(904, 584, 744),
        gain=2.0,
        end_bias=1.0,
        order=PUBLISHED_ORDER,
        tokens=36,  # fewer than the model's logits
    ),
    Case(  # odd width, padding token 3 and decoding begins with it, another activation
        name="odd",
        seed=40,
        encoder={"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": False, "mask_time_prob": 0.0},
        decoder={
            "d_model": 15,
            "decoder_attention_heads": 5,
            "activation_function": "silu",
            "tie_word_embeddings": False,
            "pad_token_id": 3,
            "decoder_start_token_id": 3,
            "max_target_positions": 18,
        },
        generation={"max_length": 14, "num_beams": 3, "length_penalty": 0.7, "no_repeat_ngram_size": 3},
        lengths=(700, 431, 250),
        gain=2.5,
        end_bias=1.0,
        order=["<s>", "<unk>", "</s>", "<pad>"],
    ),
)


@torch.no_grad()
def enliven(model: nn.Module) -> None:
    """Make every weight matter: fresh biases and norms are 0 and 1, which hides mistakes."""
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:  # the table of sinusoids
            continue
        if parameter.ndim == 1 or name.endswith("original0"):
            parameter.add_(torch.randn_like(parameter) * 0.25)
        elif name.endswith("original1"):
            parameter.normal_()
        else:
            parameter.normal_(0.0, parameter[0].numel() ** -0.5)


@torch.no_grad()
def shape_logits(decoder: Speech2Text2ForCausalLM, case: Case) -> None:
    """Spread the logits and move that of the end token; hold the padding token back, so that it is rarely generated."""
    config, bias = decoder.config, decoder.model.decoder.layers[-1].final_layer_norm.bias
    bias.normal_(0.0, 0.5)
    for layer in decoder.model.decoder.layers:
        for linear in (layer.encoder_attn.q_proj, layer.encoder_attn.out_proj, layer.self_attn.q_proj, layer.fc2):
            linear.weight *= case.gain  # what is heard and said matters more than the last token
    head = decoder.lm_head.weight
    head.normal_(0.0, 2 * config.d_model**-0.5)
    if not config.tie_word_embeddings:
        decoder.model.decoder.embed_tokens.weight.normal_()
    for token, amount in ((config.eos_token_id, case.end_bias), (config.pad_token_id, -6.0)):
        head[token] += amount * bias / (bias @ bias)  # the layer norm's bias stands in for one of the head


def build(case: Case) -> SpeechEncoderDecoderModel:
    """Draw the model's weights."""
    torch.manual_seed(case.seed)
    encoder = Wav2Vec2Model(Wav2Vec2Config(**{**ENCODER, **case.encoder}))
    decoder = Speech2Text2ForCausalLM(Speech2Text2Config(**{**DECODER, **case.decoder}))
    config = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, decoder.config)
    model = SpeechEncoderDecoderModel(encoder=encoder, decoder=decoder, config=config).eval()
    model.config.decoder_start_token_id = decoder.config.decoder_start_token_id
    model.config.pad_token_id = decoder.config.pad_token_id
    model.config.eos_token_id = decoder.config.eos_token_id
    enliven(model)
    shape_logits(decoder, case)
    for key, value in case.generation.items():
        setattr(model.generation_config, key, value)
    return model


def write(case: Case, folder: Path) -> SpeechEncoderDecoderModel:
    """Write the checkpoint's folder and load the model back from there."""
    tokenizer = small(folder, case.tokens, case.seed, {}, case.order)
    tokenizer.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=case.name != "odd", return_attention_mask=case.masked).save_pretrained(folder)
    written = build(case)
    written.save_pretrained(folder)
    loaded = SpeechEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager").eval()
    for name, parameter in written.state_dict().items():
        if not torch.equal(parameter, loaded.state_dict()[name]):
            raise RuntimeError(f"{case.name}: {name} did not come back from {folder}")
    return loaded
