"""The architecture of digits-en-de, its first weights and its checkpoint folder.

The decoder writes a token for each 0.24 s, a word or none. For that the states of frames must tell the time. wav2vec2
knows it only by its positional convolution. That of the CTC model sees 0.32 s to either side, here it is 12.8 s, with
two channels in a group instead of sixteen to stay small. See `positions` and `clock`.
"""

from collections.abc import Iterable
from pathlib import Path

import positions
import torch
from clock import add_clock, clock_rows
from german import END, PAD, START, make_tokenizer, save_tokenizer, write_json
from torch import Tensor

from edgespeech import (
    BartConfig,
    GenerationConfig,
    SpeechEncoderDecoderConfig,
    SpeechEncoderDecoderModel,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
)

LAYERS = 3  # of the encoder, from the first on
REACH = 640  # frames that the positional convolution sees to either side
GROUP = 2  # channels of a group there
LONGEST = 96  # tokens
SLOT = 12  # frames that the decoder writes one token for: 0.24 s


def make_config(source: Wav2Vec2Config) -> SpeechEncoderDecoderConfig:
    """The encoder of `source` with fewer layers and a longer positional convolution; a small BART decoder."""
    encoder = Wav2Vec2Config.from_dict(
        {
            **source.to_dict(),
            "architectures": None,
            "num_hidden_layers": LAYERS,
            "num_conv_pos_embeddings": 2 * REACH,
            "num_conv_pos_embedding_groups": source.hidden_size // GROUP,
        }
    )
    decoder = BartConfig(
        vocab_size=make_tokenizer().get_vocab_size(),
        d_model=128,
        decoder_layers=2,
        decoder_attention_heads=4,
        decoder_ffn_dim=256,
        max_position_embeddings=LONGEST,
        encoder_layers=0,
        activation_function="gelu",
        dropout=0.1,
        bos_token_id=START,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=START,
        forced_eos_token_id=None,
    )
    ids = {"decoder_start_token_id": START, "bos_token_id": START, "pad_token_id": PAD, "eos_token_id": END}
    return SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **ids)


def make_model(source: Path, audio: Iterable[Tensor]) -> SpeechEncoderDecoderModel:
    """A fresh translator whose encoder begins as that of the CTC checkpoint `source`.

    Its positional convolution is fitted to the checkpoint's on `audio`, each (rows, samples), normalised.
    """
    ctc = Wav2Vec2ForCTC.from_pretrained(source).float().eval().wav2vec2
    model = SpeechEncoderDecoderModel(make_config(ctc.config))
    weights = ctc.state_dict()
    taken = {name: weights[name] for name in model.encoder.state_dict() if name in weights and "pos_conv" not in name}
    model.encoder.load_state_dict(taken, strict=False)
    with torch.no_grad():
        heard = (ctc.feature_extractor(waveforms, None)[0] for waveforms in audio)
        features = [ctc.feature_projection(conv)[0].transpose(1, 2) for conv in heard]
    positions.begin(model.encoder.encoder.pos_conv_embed.conv, ctc.encoder.pos_conv_embed.conv, features)
    add_clock(model.encoder)
    model.generation_config = GenerationConfig(
        max_length=LONGEST, decoder_start_token_id=START, bos_token_id=START, pad_token_id=PAD, eos_token_id=END
    )
    table = model.decoder.model.decoder.embed_positions.weight
    with torch.no_grad():  # behind the rows that BART leaves out; louder than tokens, whose deviation is 0.02
        table[-LONGEST:] = 0.06 * clock_rows(LONGEST, table.shape[1], SLOT)
    return model


def save_checkpoint(model: SpeechEncoderDecoderModel, folder: Path) -> None:
    """Write the checkpoint folder: weights in float16, configuration, tokenizer and feature extractor."""
    half = SpeechEncoderDecoderModel(SpeechEncoderDecoderConfig.from_dict(model.config.to_dict()))
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.to(torch.float16).save_pretrained(folder)
    save_tokenizer(make_tokenizer(), folder)
    extractor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "processor_class": "Wav2Vec2Processor",
        "do_normalize": True,
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "sampling_rate": 16000,
    }
    write_json(folder / "preprocessor_config.json", dict(extractor))
    write_json(folder / "processor_config.json", {"processor_class": "Wav2Vec2Processor"})
