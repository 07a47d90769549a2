"""mBART, https://arxiv.org/abs/2001.08210: names and defaults of its decoder; the decoder is the shared one."""

from dataclasses import dataclass, replace

from edgespeech.decoder import Architecture
from edgespeech.models.decoders.fairseq import NAMES, FairseqDecoder, Seq2SeqConfig


@dataclass(kw_only=True)
class MBartConfig(Seq2SeqConfig):
    """Configuration of an mBART model; the defaults are the published large size's."""

    model_type = "mbart"

    decoder_start_token_id: int | None = None

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`."""
        return replace(super().architecture, offset=2, pre_norm=True)


class MBartForCausalLM(FairseqDecoder):
    """mBART's decoder with its head."""

    config_class = MBartConfig
    names = replace(NAMES, embedding_norm="model.decoder.layernorm_embedding", final_norm="model.decoder.layer_norm")
