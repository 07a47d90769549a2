"""Marian, https://aclanthology.org/P18-4020: names and defaults of its decoder only, the decoder is everyone's.

Its positions are sines and cosines (https://arxiv.org/abs/1706.03762, section 3.5) from 0 on, all sines before all
cosines. Checkpoints leave the table out, so it is computed; it does not learn.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from edgespeech.decoder.names import part
from edgespeech.models.decoders.fairseq import NAMES, FairseqDecoder, Seq2SeqConfig

BASE = 10000.0


@dataclass(kw_only=True)
class MarianConfig(Seq2SeqConfig):
    """Configuration of a Marian model; the defaults are the reference library's."""

    model_type = "marian"
    inert: ClassVar[Mapping[str, Any]] = {**Seq2SeqConfig.inert, "share_encoder_decoder_embeddings": True}

    vocab_size: int = 58101
    scale_embedding: bool = False
    pad_token_id: int | None = 58100
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = 0
    decoder_start_token_id: int | None = 58100
    forced_eos_token_id: int | tuple[int, ...] | None = 0


class MarianForCausalLM(FairseqDecoder):
    """Marian's decoder with its head."""

    config_class = MarianConfig
    names = NAMES

    def __init__(self, config: MarianConfig) -> None:
        super().__init__(config)
        table = part(self, self.names.positions).weight.requires_grad_(False)
        with torch.no_grad():
            table.copy_(sinusoids(*table.shape))

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `PreTrainedModel.adopted`; the table of positions is computed, whether the checkpoint has one or not."""
        positions = f"{self.names.positions}.weight"
        kept = {name: tensor for name, tensor in weights.items() if not name.endswith("decoder.embed_positions.weight")}
        return super().adopted(kept) | {positions: sinusoids(*self.state_dict()[positions].shape)}


def sinusoids(rows: int, size: int) -> Tensor:
    """Return the table (rows, size) of positions from 0 on."""
    half = (size + 1) // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float64) * (-2 * math.log(BASE) / size))
    angles = torch.arange(rows, dtype=torch.float64)[:, None] * rates
    table = torch.zeros(rows, size)
    table[:, :half] = angles.sin().float()
    table[:, half:] = angles.cos()[:, : size - half].float()
    return table
