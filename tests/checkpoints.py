"""Tiny checkpoints with random weights, for the tests of every package that reads one.

folder = make_checkpoint(tmp_path / "tiny", "hubert", do_stable_layer_norm=True)
"""

import json
import string
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

Family = Literal["wav2vec2", "hubert", "unispeech", "unispeech-sat", "wavlm", "data2vec-audio"]
Head = Literal[
    "ForCTC",
    "Model",
    "ForSequenceClassification",
    "ForAudioFrameClassification",
    "ForXVector",
    "ForPreTraining",
]
CLASSES: dict[Family, str] = {
    "wav2vec2": "Wav2Vec2",
    "hubert": "Hubert",
    "unispeech": "UniSpeech",
    "unispeech-sat": "UniSpeechSat",
    "wavlm": "WavLM",
    "data2vec-audio": "Data2VecAudio",
}
FAMILIES: tuple[Family, ...] = tuple(CLASSES)
# Options that `make_model` leaves out, because the family has one form only and the reference library ignores them.
ONE_FORM: dict[Family, tuple[str, ...]] = {
    "wavlm": ("adapter_attn_dim",),
    "data2vec-audio": ("adapter_attn_dim", "feat_extract_norm", "do_stable_layer_norm"),
}

# Of WavLM under padding, in the reference library.
THEIR_MASKS = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask and attn_mask:UserWarning")

# 2 layers of 32 channels, seven convolutions with the published kernels and strides: 320 samples a frame.
TINY: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [24, 16, 16, 16, 16, 16, 24],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "layerdrop": 0.0,
}
# A small x-vector head: 13 frames are the fewest.
XVECTOR: dict[str, Any] = {
    "tdnn_dim": [20, 18, 16],
    "tdnn_kernel": [5, 4, 1],
    "tdnn_dilation": [1, 2, 3],
    "xvector_output_dim": 12,
}
# As MMS: adapters in each layer, a vocabulary of its own for each language; the last one's weights are pickled.
MULTILINGUAL: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "adapter_attn_dim": 6}
LANGUAGES = {"eng": 32, "fra": 40, "zsm-script_latin": 21, "deu": 32}  # sizes of the vocabularies
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "|"]


def make_checkpoint(
    folder: str | Path,
    family: Family = "wav2vec2",
    *,
    weights: Literal["transformers", "edgespeech"] = "transformers",
    head: Head = "ForCTC",
    seed: int = 0,
    **options: Any,
) -> Path:
    """Write a checkpoint folder and return it.

    `weights` says which library draws and writes config.json and model.safetensors, `head` what stands on the encoder;
    `options` are fields of the configuration. Beside them: vocab.json, tokenizer_config.json,
    special_tokens_map.json, preprocessor_config.json.
    """
    folder = Path(folder)
    make_model(family, weights=weights, head=head, seed=seed, **options).save_pretrained(folder)
    write_processor(folder, {**TINY, **options}["vocab_size"], options.get("feat_extract_norm") == "layer")
    return folder


def make_model(
    family: Family = "wav2vec2", *, weights: str = "transformers", head: str = "ForCTC", seed: int = 0, **options: Any
) -> Any:
    """Return the model that `make_checkpoint` writes, in evaluation mode."""
    torch.manual_seed(seed)
    name, options = CLASSES[family], {**TINY, **options}
    options = {name: value for name, value in options.items() if name not in ONE_FORM.get(family, ())}
    if weights == "transformers":
        import transformers as library

        options["attn_implementation"] = "eager"
    else:
        import edgespeech as library  # type: ignore[no-redef]
    model = getattr(library, name + head)(getattr(library, name + "Config")(**options)).eval()
    enliven(model)
    return model


@torch.no_grad()
def enliven(model: nn.Module) -> None:
    """Make every weight matter: fresh biases, norms and running statistics are 0 and 1, which hides mistakes."""
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif tensor.ndim == 1 or name.endswith("original0"):
            tensor.add_(torch.randn_like(tensor) * 0.2)
        elif not name.endswith("original1"):  # large enough for attention that differs between frames
            tensor.normal_(0.0, tensor[0].numel() ** -0.5)


def make_multilingual(folder: Path, family: Family = "wav2vec2") -> Path:
    """Write a checkpoint folder with the adapters of several languages and a nested vocabulary, and return it."""
    make_checkpoint(folder, family, **MULTILINGUAL)
    for seed, (language, size) in enumerate(LANGUAGES.items()):
        weights = language_weights(folder, size, seed)
        if language == "deu":
            torch.save(weights, folder / f"adapter.{language}.bin")
        else:
            save_file(weights, folder / f"adapter.{language}.safetensors", metadata={"format": "pt"})
    nested = {
        language: {token: index for index, token in enumerate(tokens(size))} for language, size in LANGUAGES.items()
    }
    (folder / "vocab.json").write_text(json.dumps(nested), encoding="utf-8")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "target_lang": "eng"}), encoding="utf-8")
    return folder


def language_weights(folder: Path, size: int, seed: int) -> dict[str, torch.Tensor]:
    """Draw the weights of one language's adapters and head."""
    torch.manual_seed(seed)
    own = {
        name: torch.randn_like(tensor) * 0.3
        for name, tensor in load_file(folder / "model.safetensors").items()
        if ".adapter_layer." in name
    }
    return own | {"lm_head.weight": torch.randn(size, 32) * 0.3, "lm_head.bias": torch.randn(size)}


def tokens(vocab_size: int) -> list[str]:
    """Special tokens, letters, and signs for the rest."""
    letters = [*string.ascii_uppercase, "'", *(chr(0x4E00 + index) for index in range(vocab_size))]
    return [*SPECIAL, *letters][:vocab_size]


def write_processor(folder: Path, vocab_size: int, attention_mask: bool) -> None:
    """Write the files of a character tokenizer and a feature extractor."""
    write = {
        "vocab.json": {token: index for index, token in enumerate(tokens(vocab_size))},
        "special_tokens_map.json": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
        },
        "tokenizer_config.json": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "word_delimiter_token": "|",
            "do_lower_case": False,
            "tokenizer_class": "Wav2Vec2CTCTokenizer",
        },
        "preprocessor_config.json": {
            "do_normalize": True,
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": attention_mask,
            "sampling_rate": 16000,
        },
    }
    for name, content in write.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def waveforms(*lengths: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random audio of these lengths, padded with zeros: (batch, samples), attention mask of that shape."""
    generator = torch.Generator().manual_seed(seed)
    batch = torch.zeros(len(lengths), max(lengths))
    mask = torch.zeros(batch.shape, dtype=torch.long)
    for row, length in enumerate(lengths):
        batch[row, :length] = torch.randn(length, generator=generator)
        mask[row, :length] = 1
    return batch, mask
