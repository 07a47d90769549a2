"""Checkpoint folders in the Hugging Face format, weights in float16."""

import json
from pathlib import Path

import torch
from letters import IDS
from vocabulary import END, START

from edgespeech import SpeechEncoderDecoderModel, Wav2Vec2ForCTC
from edgespeech.generation_config import GenerationConfig

EXTRACTOR = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "do_normalize": True,
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
    "sampling_rate": 16000,
}


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write `content` as indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_ctc(model: Wav2Vec2ForCTC, folder: Path) -> None:
    """Weights, configuration, feature extractor and tokenizer of a CTC model."""
    half = Wav2Vec2ForCTC(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    write_json(folder / "vocab.json", dict(IDS))
    write_json(folder / "special_tokens_map.json", dict(special))
    tokenizer = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "do_lower_case": False, "word_delimiter_token": "|"}
    write_json(folder / "tokenizer_config.json", {**tokenizer, **special})
    write_json(folder / "preprocessor_config.json", dict(EXTRACTOR))


def save_dictation(
    model: SpeechEncoderDecoderModel, generation: GenerationConfig, tokenizer: str, folder: Path
) -> None:
    """Weights, configuration, generation defaults, feature extractor and tokenizer of an encoder-decoder."""
    half = SpeechEncoderDecoderModel(model.config)
    half.load_state_dict(model.state_dict())
    half.generation_config = generation
    half.to(torch.float16).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    settings = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "clean_up_tokenization_spaces": False}
    longest = {"model_max_length": model.config.decoder.n_positions}
    write_json(folder / "tokenizer_config.json", {**settings, **longest, **special})
    write_json(folder / "special_tokens_map.json", dict(special))
    write_json(folder / "preprocessor_config.json", dict(EXTRACTOR))
