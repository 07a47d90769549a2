"""Speech2Text2, https://arxiv.org/abs/2104.06678: names and defaults only, the decoder is shared by all families."""

from dataclasses import dataclass, replace

from edgespeech.decoder import Alias, Architecture
from edgespeech.errors import ConfigError
from edgespeech.models.decoders.fairseq import NAMES, FairseqDecoder, FairseqDecoderConfig


@dataclass(kw_only=True)
class Speech2Text2Config(FairseqDecoderConfig):
    """Configuration of a Speech2Text2 decoder; the defaults are the reference library's."""

    model_type = "speech_to_text_2"
    sizes = (*FairseqDecoderConfig.sizes, "max_target_positions")

    num_hidden_layers = Alias("decoder_layers")
    num_attention_heads = Alias("decoder_attention_heads")

    vocab_size: int = 10000
    decoder_layers: int = 6
    decoder_ffn_dim: int = 2048
    decoder_attention_heads: int = 4
    activation_function: str = "relu"
    d_model: int = 256
    scale_embedding: bool = True
    max_target_positions: int = 1024

    @property
    def max_positions(self) -> int:
        """Positions in the table: the published one has two rows more than `max_target_positions`."""
        return self.max_target_positions + 1 - (self.pad_token_id or 0)

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`."""
        if self.pad_token_id is None or self.d_model < 4 or self.max_positions < 1:
            raise ConfigError(
                "sinusoidal positions need a pad_token_id of at most max_target_positions and a d_model of at least 4, "
                f"got {self.pad_token_id} and {self.d_model}"
            )
        return replace(super().architecture, sinusoidal=True)


class Speech2Text2ForCausalLM(FairseqDecoder):
    """The Speech2Text2 decoder with its head."""

    config_class = Speech2Text2Config
    names = NAMES
