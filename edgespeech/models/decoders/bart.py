"""BART, https://arxiv.org/abs/1910.13461: names and defaults of its decoder; the decoder is the shared one."""

from dataclasses import dataclass, replace

from edgespeech.decoder import Architecture
from edgespeech.models.decoders.fairseq import NAMES, FairseqDecoder, Seq2SeqConfig


@dataclass(kw_only=True)
class BartConfig(Seq2SeqConfig):
    """Configuration of a BART model; the defaults are the published large size's."""

    model_type = "bart"

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`."""
        return replace(super().architecture, offset=2)


class BartForCausalLM(FairseqDecoder):
    """BART's decoder with its head."""

    config_class = BartConfig
    names = replace(NAMES, embedding_norm="model.decoder.layernorm_embedding")
