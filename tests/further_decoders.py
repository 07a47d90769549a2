"""RoBERTa, XLM-R, TrOCR and Marian as text decoders, tiny and random, alone or joined to a speech encoder.

folder = make_further(tmp_path / "tiny", "marian", "wavlm")
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from checkpoints import CLASSES, ONE_FORM, TINY, Family, enliven, write_processor
from decoders import SEQ2SEQ
from decoders import TINY as DECODERS
from encoder_decoders import SHORT, make_eventful

VOCABULARY = 50
BERT = {**DECODERS["bert"], "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
FAIRSEQ = {**SEQ2SEQ, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "roberta": ("Roberta", BERT),
    "roberta, other padding": ("Roberta", {**BERT, "pad_token_id": 4, "type_vocab_size": 1}),
    "xlm-roberta": ("XLMRoberta", {**BERT, "tie_word_embeddings": False}),
    "trocr": ("TrOCR", {key: FAIRSEQ[key] for key in FAIRSEQ if not key.startswith("encoder_")}),
    "trocr, relu": (
        "TrOCR",
        {
            **{key: FAIRSEQ[key] for key in FAIRSEQ if not key.startswith("encoder_")},
            "activation_function": "relu",
            "scale_embedding": True,
            "tie_word_embeddings": False,
        },
    ),
    "marian": ("Marian", {**FAIRSEQ, "activation_function": "swish", "scale_embedding": True, "pad_token_id": 49}),
}


def make_further(folder: Path, name: str, encoder: Family = "wav2vec2") -> Path:
    """Write an encoder-decoder with transformers, whose tokens depend on the audio, and return its folder."""
    family, options = FAMILIES[name]
    sizes = {**TINY, **SHORT, "feat_extract_norm": "layer"}
    sizes = {key: value for key, value in sizes.items() if key not in ONE_FORM.get(encoder, ())}
    first = getattr(transformers, f"{CLASSES[encoder]}Config")(**sizes, attn_implementation="eager")
    second = getattr(transformers, f"{family}Config")(**options, attn_implementation="eager")
    pad = options["pad_token_id"]
    ids = {"pad_token_id": pad, "eos_token_id": 2, "decoder_start_token_id": pad if family == "Marian" else 0}
    both = transformers.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(first, second, **ids)
    torch.manual_seed(5)
    model = transformers.SpeechEncoderDecoderModel(config=both).eval()
    table = {key: value.clone() for key, value in model.state_dict().items() if "decoder.embed_positions" in key}
    enliven(model)
    make_eventful(model, family)
    if family == "Marian":  # a table of sines, which checkpoints leave out
        model.load_state_dict(table, strict=False)
    model.save_pretrained(folder)
    write_processor(folder, VOCABULARY, attention_mask=True)
    return folder
