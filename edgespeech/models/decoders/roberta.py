"""RoBERTa and XLM-R as decoders: names and defaults only, the decoder is everyone's.

https://arxiv.org/abs/1907.11692, https://arxiv.org/abs/1911.02116
"""

from dataclasses import dataclass, replace

from edgespeech.decoder import Architecture, TextDecoder
from edgespeech.errors import ConfigError
from edgespeech.models.decoders.bert import BertConfig, BertLMHeadModel

HEAD_ACTIVATION = "gelu"


@dataclass(kw_only=True)
class RobertaConfig(BertConfig):
    """Configuration of a RoBERTa model; the defaults are the published base size's."""

    model_type = "roberta"

    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 2

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`. The first token stands in the row behind that of padding.

        Raises:
            ConfigError: no `pad_token_id` below `max_position_embeddings`, or another activation than the head's.
        """
        offset = 0 if self.pad_token_id is None else self.pad_token_id + 1
        if not 0 < offset < self.max_position_embeddings:
            raise ConfigError(
                f"positions begin behind pad_token_id {self.pad_token_id}, which must be below "
                f"max_position_embeddings {self.max_position_embeddings}"
            )
        if self.hidden_act != HEAD_ACTIVATION:
            raise ConfigError(f"hidden_act must be {HEAD_ACTIVATION!r}, as the head has it, got {self.hidden_act!r}")
        rows = self.max_position_embeddings - offset
        return replace(super().architecture, max_positions=rows, offset=offset, skips_padding=True)


@dataclass(kw_only=True)
class XLMRobertaConfig(RobertaConfig):
    """Configuration of an XLM-R model; the defaults are the reference library's."""

    model_type = "xlm-roberta"

    vocab_size: int = 30522


class RobertaForCausalLM(TextDecoder):
    """RoBERTa as a decoder, with its masked language model's head."""

    config_class = RobertaConfig
    base_model_prefix = "roberta"
    shifts_labels = True
    names = replace(
        BertLMHeadModel.names,
        tokens="roberta.embeddings.word_embeddings",
        positions="roberta.embeddings.position_embeddings",
        types="roberta.embeddings.token_type_embeddings",
        embedding_norm="roberta.embeddings.LayerNorm",
        layers="roberta.encoder.layer",
        head_bias="lm_head.bias",
        transform="lm_head.dense",
        transform_activation="lm_head.activation",
        transform_norm="lm_head.layer_norm",
        head="lm_head.decoder",
    )


class XLMRobertaForCausalLM(RobertaForCausalLM):
    """XLM-R as a decoder, with its masked language model's head."""

    config_class = XLMRobertaConfig
