"""The architecture of ctc-en-small and its checkpoint folder."""

import json
from pathlib import Path

import torch
from vocabulary import IDS

from edgespeech import Wav2Vec2Config, Wav2Vec2ForCTC


def make_config() -> Wav2Vec2Config:
    """wav2vec2-base's kernels and 20 ms hop, with a narrow conv stack so that the transformer gets the work."""
    return Wav2Vec2Config(
        vocab_size=len(IDS),
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=640,
        conv_dim=(32, 64, 128, 128, 192, 192, 256),
        conv_kernel=(10, 3, 3, 3, 3, 2, 2),
        conv_stride=(5, 2, 2, 2, 2, 2, 2),
        feat_extract_norm="group",
        do_stable_layer_norm=False,
        num_conv_pos_embeddings=32,
        num_conv_pos_embedding_groups=16,
        hidden_dropout=0.0,
        activation_dropout=0.0,
        attention_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,  # it sees a sentence once or twice; the mask settings are for fine-tuning
        mask_time_prob=0.04,
        mask_time_length=4,
        mask_time_min_masks=0,
        mask_feature_prob=0.04,
        mask_feature_length=16,
        mask_feature_min_masks=0,
        pad_token_id=IDS["<pad>"],
        bos_token_id=IDS["<s>"],
        eos_token_id=IDS["</s>"],
        ctc_zero_infinity=True,
        ctc_loss_reduction="mean",
    )


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write `content` as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def save_checkpoint(model: Wav2Vec2ForCTC, folder: Path) -> None:
    """Write the checkpoint folder: weights in float16, config, feature extractor, tokenizer."""
    half = Wav2Vec2ForCTC(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    write_json(folder / "vocab.json", dict(IDS))
    write_json(folder / "special_tokens_map.json", dict(special))
    tokenizer = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "do_lower_case": False, "word_delimiter_token": "|"}
    write_json(folder / "tokenizer_config.json", {**tokenizer, **special})
    extractor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "do_normalize": True,
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "sampling_rate": 16000,
    }
    write_json(folder / "preprocessor_config.json", dict(extractor))
