"""BERT as a decoder, https://arxiv.org/abs/1810.04805: names and defaults; the decoder is the shared one."""

from dataclasses import dataclass

from edgespeech.decoder import Architecture, TextDecoder, TextDecoderConfig
from edgespeech.decoder.names import AttentionNames, DecoderNames, LayerNames
from edgespeech.errors import ConfigError

PROJECTIONS = (("self.query", "q"), ("self.key", "k"), ("self.value", "v"))


@dataclass(kw_only=True)
class BertConfig(TextDecoderConfig):
    """Configuration of a BERT model; the defaults are the published base size's.

    `chunk_size_feed_forward` trades memory for time in the reference library and changes no result.
    """

    model_type = "bert"
    sizes = (
        *("hidden_size", "num_attention_heads", "intermediate_size"),
        *("max_position_embeddings", "type_vocab_size"),
    )
    shared = ("hidden_size", "num_attention_heads")
    activations = ("hidden_act",)

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    classifier_dropout: float | None = None
    chunk_size_feed_forward: int = 0
    pad_token_id: int | None = 0

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`."""
        if not self.is_decoder:
            raise ConfigError(
                "a BERT whose tokens see those after them decodes nothing; set is_decoder=True in its configuration"
            )
        return Architecture(
            vocab_size=self.vocab_size,
            size=self.hidden_size,
            layers=self.num_hidden_layers,
            heads=self.num_attention_heads,
            inner=self.intermediate_size,
            max_positions=self.max_position_embeddings,
            activation=self.hidden_act,
            cross=self.add_cross_attention,
            deviation=self.initializer_range,
            eps=self.layer_norm_eps,
            dropout=self.hidden_dropout_prob,
            embedding_dropout=self.hidden_dropout_prob,
            attention_dropout=self.attention_probs_dropout_prob,
            padding=self.pad_token_id,
            types=self.type_vocab_size,
            tied=self.tie_word_embeddings,
        )


class BertLMHeadModel(TextDecoder):
    """BERT as a decoder, with its masked language model's head."""

    config_class = BertConfig
    base_model_prefix = "bert"
    shifts_labels = True
    names = DecoderNames(
        tokens="bert.embeddings.word_embeddings",
        positions="bert.embeddings.position_embeddings",
        types="bert.embeddings.token_type_embeddings",
        embedding_norm="bert.embeddings.LayerNorm",
        layers="bert.encoder.layer",
        layer=LayerNames(
            attention=AttentionNames("attention", PROJECTIONS, out="output.dense", norm="attention.output.LayerNorm"),
            cross=AttentionNames(
                "crossattention", PROJECTIONS, out="output.dense", norm="crossattention.output.LayerNorm"
            ),
            feed_in="intermediate.dense",
            activation="intermediate.intermediate_act_fn",
            feed_out="output.dense",
            feed_norm="output.LayerNorm",
        ),
        head_bias="cls.predictions.bias",
        transform="cls.predictions.transform.dense",
        transform_activation="cls.predictions.transform.transform_act_fn",
        transform_norm="cls.predictions.transform.LayerNorm",
        head="cls.predictions.decoder",
    )
