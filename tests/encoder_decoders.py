"""Tiny speech encoder-decoders with random weights, for the tests of every package that reads one.

folder = make_encoder_decoder(tmp_path / "tiny", "gpt2", "hubert", encoder={"conv_bias": True}, decoder={"n_layer": 1})

Speech2Text2 is no longer in transformers; it is made with `weights="edgespeech"` only.
"""

from pathlib import Path
from typing import Any, Literal

import checkpoints
import decoders
import torch
from checkpoints import enliven, write_processor

PAD, START, END = 0, 1, 2  # as `checkpoints.write_processor` names them
LAYER_NORM: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
# Four convolutions in place of seven: 40 samples a frame, so that short audio has many frames.
SHORT: dict[str, Any] = {"conv_dim": [16, 12, 16], "conv_kernel": [10, 4, 3], "conv_stride": [5, 4, 2]}
IDS: dict[str, dict[str, Any]] = {
    "bert": {"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END},
    "gpt2": {"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END},
    "bart": {"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END, "decoder_start_token_id": END},
    "mbart": {"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END, "forced_eos_token_id": None},
    "speech2text2": {"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END},
}
LIVELINESS = 2.0  # standard deviation of what the head reads


def make_encoder_decoder(
    folder: str | Path,
    decoder_family: decoders.Family,
    encoder_family: checkpoints.Family = "wav2vec2",
    *,
    weights: Literal["transformers", "edgespeech"] = "transformers",
    seed: int = 0,
    encoder: dict[str, Any] | None = None,
    decoder: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write a checkpoint folder and return it: the model's files, a feature extractor's and a character tokenizer's.

    `weights` says which library draws and writes; `encoder` and `decoder` are fields of the halves' configurations,
    `options` of the whole. Group norm in the encoder unless `encoder=LAYER_NORM`.
    """
    folder = Path(folder)
    model = make_model(
        decoder_family,
        encoder_family,
        weights=weights,
        seed=seed,
        encoder=encoder,
        decoder=decoder,
        **options,
    )
    model.save_pretrained(folder)
    write_processor(folder, model.config.decoder.vocab_size, (encoder or {}).get("feat_extract_norm") == "layer")
    return folder


def make_model(
    decoder_family: decoders.Family,
    encoder_family: checkpoints.Family = "wav2vec2",
    *,
    weights: str = "transformers",
    seed: int = 0,
    encoder: dict[str, Any] | None = None,
    decoder: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Return the model that `make_encoder_decoder` writes, in evaluation mode."""
    library = decoders._library(decoder_family, weights)
    sizes = {**checkpoints.TINY, **SHORT, **(encoder or {})}
    sizes = {name: value for name, value in sizes.items() if name not in checkpoints.ONE_FORM.get(encoder_family, ())}
    if weights == "transformers":
        sizes["attn_implementation"] = "eager"
    first = getattr(library, checkpoints.CLASSES[encoder_family] + "Config")(**sizes)
    own = {**IDS[decoder_family], **(decoder or {})}
    second = decoders.make_decoder_config(decoder_family, weights=weights, **own)
    ids = {"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": own.get("decoder_start_token_id", START)}
    config = library.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(first, second, **(ids | options))
    torch.manual_seed(seed)
    model = library.SpeechEncoderDecoderModel(config=config).eval()
    torch.manual_seed(seed)
    enliven(model.encoder)
    decoders.enliven_decoder(model.decoder)
    if getattr(model, "enc_to_dec_proj", None) is not None:
        enliven(model.enc_to_dec_proj)
    make_eventful(model, decoder_family)
    return model


@torch.no_grad()
def make_eventful(model: Any, family: str, likelihood: float = 1.0) -> None:
    """Make tokens depend on what came before and on the audio, and the end come after some of them.

    Fresh decoders repeat one token for ever: what is the same at every step outweighs what changes. So the mean is
    taken out of what the head reads, what changes is made larger, and only the end gets a share that is always there.
    """
    for name, tensor in model.decoder.named_parameters():
        if "position" in name or "wpe" in name:
            tensor.mul_(4.0)
    head = model.decoder.get_output_embeddings()
    states = read_by(head, model)
    norm = last_norm(model.decoder, family)
    scale = LIVELINESS / (states - states.mean(0)).std()
    norm.weight.mul_(scale * (torch.randint(0, 2, norm.weight.shape) * 2 - 1))  # signs: a tied head likes its input
    norm.bias.zero_()
    always = torch.randn(norm.bias.shape)
    norm.bias.copy_(always / always.norm() - read_by(head, model).mean(0))
    head.weight[END] += likelihood * always / always.norm()


def read_by(head: torch.nn.Module, model: Any) -> torch.Tensor:
    """Return what the head reads for random audio and tokens, (positions, size)."""
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(torch.randn(8, 3000), decoder_input_ids=torch.randint(0, model.config.decoder.vocab_size, (8, 20)))
    hook.remove()
    return seen[0].flatten(0, 1)


def last_norm(decoder: Any, family: str) -> Any:
    """Return the norm whose output the head reads."""
    if family in ("Roberta", "XLMRoberta"):
        return decoder.lm_head.layer_norm
    if family == "bert":
        return decoder.cls.predictions.transform.LayerNorm
    if family == "gpt2":
        return decoder.transformer.ln_f
    if family == "mbart":
        return decoder.model.decoder.layer_norm
    return decoder.model.decoder.layers[-1].final_layer_norm
