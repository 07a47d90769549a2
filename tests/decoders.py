"""Tiny text decoders with random weights, for the tests of every package that uses one.

config = make_decoder_config("bart", scale_embedding=True)
model = make_decoder("bart", weights="transformers", scale_embedding=True)
folder = make_decoder_checkpoint(tmp_path / "tiny", "gpt2", kind="GPT2Model")

Speech2Text2 is no longer in transformers: its reference are the goldens (tests/speech2text2_goldens.py), and with
`weights="transformers"` it is refused.
"""

from pathlib import Path
from typing import Any, Literal

import torch
from checkpoints import enliven
from torch import Tensor

Family = Literal["bert", "gpt2", "bart", "mbart", "speech2text2"]
FAMILIES: tuple[Family, ...] = ("bert", "gpt2", "bart", "mbart", "speech2text2")
REFERENCED: tuple[Family, ...] = FAMILIES[:4]  # those that transformers has
CONFIGS = {
    "bert": "BertConfig",
    "gpt2": "GPT2Config",
    "bart": "BartConfig",
    "mbart": "MBartConfig",
    "speech2text2": "Speech2Text2Config",
}
CLASSES = {
    "bert": "BertLMHeadModel",
    "gpt2": "GPT2LMHeadModel",
    "bart": "BartForCausalLM",
    "mbart": "MBartForCausalLM",
    "speech2text2": "Speech2Text2ForCausalLM",
}

VOCABULARY, SIZE, LAYERS, HEADS, POSITIONS = 50, 32, 2, 4, 40
FAIRSEQ: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": SIZE,
    "decoder_layers": LAYERS,
    "decoder_attention_heads": HEADS,
    "decoder_ffn_dim": 48,
    "dropout": 0.0,
}
# transformers sizes the decoder's cache by the encoder's layers, so both are alike
SEQ2SEQ = {
    **FAIRSEQ,
    "max_position_embeddings": POSITIONS,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": HEADS,
    "encoder_ffn_dim": 16,
}
TINY: dict[Family, dict[str, Any]] = {
    "bert": {
        "vocab_size": VOCABULARY,
        "hidden_size": SIZE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 48,
        "max_position_embeddings": POSITIONS,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "is_decoder": True,
        "add_cross_attention": True,
    },
    "gpt2": {
        "vocab_size": VOCABULARY,
        "n_embd": SIZE,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_positions": POSITIONS,
        "n_inner": 48,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "add_cross_attention": True,
    },
    "bart": SEQ2SEQ,
    "mbart": SEQ2SEQ,
    "speech2text2": {**FAIRSEQ, "max_target_positions": POSITIONS},
}
# Option combinations of each family that change what is computed, one by one and together.
OPTIONS: dict[Family, tuple[dict[str, Any], ...]] = {
    "bert": (
        {},
        {"tie_word_embeddings": False, "hidden_act": "relu", "layer_norm_eps": 1e-3},
        {"type_vocab_size": 1, "pad_token_id": None, "hidden_act": "gelu_new"},
        {"num_attention_heads": 2, "pad_token_id": 7, "intermediate_size": 20, "chunk_size_feed_forward": 0},
        {"num_hidden_layers": 1, "hidden_act": "prelu", "use_cache": False},
    ),
    "gpt2": (
        {},
        {"tie_word_embeddings": False, "activation_function": "relu", "layer_norm_epsilon": 1e-3},
        {"scale_attn_weights": False, "n_inner": None},
        {"scale_attn_by_inverse_layer_idx": True, "n_layer": 3},
        {"reorder_and_upcast_attn": True, "n_head": 2},
        {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
        {"activation_function": "prelu", "pad_token_id": 3},
    ),
    "bart": (
        {},
        {"scale_embedding": True},
        {"tie_word_embeddings": False, "activation_function": "relu"},
        {"decoder_attention_heads": 2, "pad_token_id": 7, "decoder_ffn_dim": 20},
        {"scale_embedding": True, "activation_function": "prelu", "pad_token_id": None},
    ),
    "mbart": (
        {},
        {"scale_embedding": True},
        {"tie_word_embeddings": False, "activation_function": "relu"},
        {"decoder_attention_heads": 2, "pad_token_id": 7, "scale_embedding": True},
    ),
    "speech2text2": (
        {},
        {"scale_embedding": False},
        {"tie_word_embeddings": False, "activation_function": "gelu"},
        {"decoder_attention_heads": 2, "pad_token_id": 3},
    ),
}


def make_decoder_config(family: Family, *, weights: str = "edgespeech", **options: Any) -> Any:
    """Return the configuration of a tiny decoder; `options` replace its fields, `weights` names the library."""
    library = _library(family, weights)
    options = {**TINY[family], **options}
    if weights == "transformers":
        options["attn_implementation"] = "eager"
    return getattr(library, CONFIGS[family])(**options)


def make_decoder(
    family: Family, *, weights: str = "edgespeech", kind: str | None = None, seed: int = 0, **options: Any
) -> Any:
    """Return a tiny decoder with lively random weights, in evaluation mode.

    `kind` names another class of the family in transformers, such as "BertModel" or "BartForConditionalGeneration".
    """
    config = make_decoder_config(family, weights=weights, **options)
    torch.manual_seed(seed)
    model = getattr(_library(family, weights), kind or CLASSES[family])(config).eval()
    enliven_decoder(model)
    return model


def make_decoder_checkpoint(folder: str | Path, family: Family, **options: Any) -> Path:
    """Write what `make_decoder` returns into a folder (config.json and model.safetensors) and return it."""
    make_decoder(family, **options).save_pretrained(folder)
    return Path(folder)


def make_pair(family: Family, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """Return the same decoder from transformers and from here."""
    theirs = make_decoder(family, weights="transformers", seed=seed, **options)
    mine = make_decoder(family, seed=seed + 1, **options)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def enliven_decoder(model: torch.nn.Module) -> None:
    """See `checkpoints.enliven`; the sinusoidal table stays as it is."""
    tables = {name: tensor.clone() for name, tensor in model.named_buffers()}
    enliven(model)
    for name, tensor in tables.items():
        model.get_buffer(name).copy_(tensor)


def encoder_states(*frames: int, size: int = SIZE, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random states of an encoder: (batch, most frames, size), and the mask (batch, frames) of the real ones."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(frames)) < torch.tensor(frames)[:, None]
    return torch.randn(len(frames), max(frames), size, generator=generator), mask.long()


def token_ids(batch: int, length: int, seed: int = 0, vocabulary: int = VOCABULARY) -> Tensor:
    """Random ids (batch, length)."""
    return torch.randint(0, vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


def _library(family: Family, weights: str) -> Any:
    if weights == "edgespeech":
        import edgespeech

        return edgespeech
    if family not in REFERENCED:
        raise ValueError(f"transformers 5 has no {family}; its reference are the goldens")
    import transformers

    return transformers
