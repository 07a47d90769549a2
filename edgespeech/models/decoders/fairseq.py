"""What the decoders that come from fairseq share: BART, mBART and Speech2Text2."""

import math
from dataclasses import dataclass
from typing import ClassVar

from edgespeech.decoder import Alias, Architecture, TextDecoder, TextDecoderConfig
from edgespeech.decoder.names import AttentionNames, DecoderNames, LayerNames

PROJECTIONS = (("k_proj", "k"), ("v_proj", "v"), ("q_proj", "q"))
NAMES = DecoderNames(
    tokens="model.decoder.embed_tokens",
    positions="model.decoder.embed_positions",
    layers="model.decoder.layers",
    layer=LayerNames(
        attention=AttentionNames("self_attn", PROJECTIONS, out="out_proj", norm="self_attn_layer_norm"),
        cross=AttentionNames("encoder_attn", PROJECTIONS, out="out_proj", norm="encoder_attn_layer_norm"),
        feed_in="fc1",
        activation="activation_fn",
        feed_out="fc2",
        feed_norm="final_layer_norm",
    ),
    head="lm_head",
)


@dataclass(kw_only=True)
class FairseqDecoderConfig(TextDecoderConfig):
    """Configuration of such a decoder. It has cross-attention whatever `add_cross_attention` says."""

    sizes: ClassVar[tuple[str, ...]] = ("d_model", "decoder_attention_heads", "decoder_ffn_dim")
    shared = ("d_model", "decoder_attention_heads")
    activations = ("activation_function",)

    hidden_size = Alias("d_model")

    decoder_layers: int = 12
    decoder_ffn_dim: int = 4096
    decoder_attention_heads: int = 16
    decoder_layerdrop: float = 0.0
    activation_function: str = "gelu"
    d_model: int = 1024
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    init_std: float = 0.02
    scale_embedding: bool = False
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 2
    decoder_start_token_id: int | None = 2

    @property
    def max_positions(self) -> int:
        """Positions in the table."""
        raise NotImplementedError

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`."""
        return Architecture(
            vocab_size=self.vocab_size,
            size=self.d_model,
            layers=self.decoder_layers,
            heads=self.decoder_attention_heads,
            inner=self.decoder_ffn_dim,
            max_positions=self.max_positions,
            activation=self.activation_function,
            cross=True,
            deviation=self.init_std,
            dropout=self.dropout,
            embedding_dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            layerdrop=self.decoder_layerdrop,
            embedding_scale=math.sqrt(self.d_model) if self.scale_embedding else 1.0,
            padding=self.pad_token_id,
            tied=self.tie_word_embeddings,
        )


@dataclass(kw_only=True)
class Seq2SeqConfig(FairseqDecoderConfig):
    """Configuration of a text-to-text model with such a decoder.

    The fields of the encoder half are kept for whoever reads the file: there is no text encoder here.
    """

    sizes = (*FairseqDecoderConfig.sizes, "max_position_embeddings")

    num_hidden_layers = Alias("encoder_layers")
    num_attention_heads = Alias("encoder_attention_heads")

    max_position_embeddings: int = 1024
    encoder_layers: int = 12
    encoder_ffn_dim: int = 4096
    encoder_attention_heads: int = 16
    encoder_layerdrop: float = 0.0
    classifier_dropout: float = 0.0
    forced_eos_token_id: int | tuple[int, ...] | None = 2
    is_encoder_decoder: bool = True

    @property
    def max_positions(self) -> int:
        """Positions in the table, which has two rows more."""
        return self.max_position_embeddings


class FairseqDecoder(TextDecoder):
    """Such a decoder with its head. Its configuration is marked as a decoder's."""

    base_model_prefix = "model"
    shifts_labels = False

    def __init__(self, config: FairseqDecoderConfig) -> None:
        config.is_decoder, config.is_encoder_decoder = True, False
        super().__init__(config)
