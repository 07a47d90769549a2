"""TrOCR, https://arxiv.org/abs/2109.10282: names and defaults of its decoder only, which is BART's."""

from dataclasses import dataclass, replace

from edgespeech.decoder import Alias, Architecture
from edgespeech.errors import ConfigError
from edgespeech.models.decoders.fairseq import NAMES, FairseqDecoder, FairseqDecoderConfig


@dataclass(kw_only=True)
class TrOCRConfig(FairseqDecoderConfig):
    """Configuration of a TrOCR decoder; the defaults are the published large size's."""

    model_type = "trocr"
    sizes = (*FairseqDecoderConfig.sizes, "max_position_embeddings")

    num_hidden_layers = Alias("decoder_layers")
    num_attention_heads = Alias("decoder_attention_heads")

    max_position_embeddings: int = 512
    use_learned_position_embeddings: bool = True
    layernorm_embedding: bool = True

    @property
    def max_positions(self) -> int:
        """Positions in the table, which has two rows more."""
        return self.max_position_embeddings

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`.

        Raises:
            ConfigError: positions that are not learned, or no norm behind the embedding.
        """
        for name in ("use_learned_position_embeddings", "layernorm_embedding"):
            if not getattr(self, name):
                raise ConfigError(f"{name} false is not supported in a TrOCR decoder; leave it at true")
        return replace(super().architecture, offset=2)


class TrOCRForCausalLM(FairseqDecoder):
    """TrOCR's decoder with its head."""

    config_class = TrOCRConfig
    names = replace(NAMES, embedding_norm="model.decoder.layernorm_embedding", head="output_projection")
