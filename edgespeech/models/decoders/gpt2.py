"""GPT-2 with cross-attention: names and defaults only, the decoder is shared by all families.

https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
"""

from dataclasses import dataclass

from edgespeech.decoder import Alias, Architecture, TextDecoder, TextDecoderConfig
from edgespeech.decoder.names import AttentionNames, DecoderNames, LayerNames


@dataclass(kw_only=True)
class GPT2Config(TextDecoderConfig):
    """Configuration of a GPT-2 model; the defaults are the published small size's."""

    model_type = "gpt2"
    sizes = ("n_positions", "n_embd", "n_head", "n_inner")
    shared = ("n_embd", "n_head")
    activations = ("activation_function",)

    hidden_size = Alias("n_embd")
    max_position_embeddings = Alias("n_positions")
    num_attention_heads = Alias("n_head")
    num_hidden_layers = Alias("n_layer")

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None  # four times n_embd
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    summary_type: str = "cls_index"
    summary_use_proj: bool = True
    summary_activation: str | None = None
    summary_proj_to_labels: bool = True
    summary_first_dropout: float = 0.1
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False
    bos_token_id: int | None = 50256
    eos_token_id: int | tuple[int, ...] | None = 50256

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`."""
        return Architecture(
            vocab_size=self.vocab_size,
            size=self.n_embd,
            layers=self.n_layer,
            heads=self.n_head,
            inner=4 * self.n_embd if self.n_inner is None else self.n_inner,
            max_positions=self.n_positions,
            activation=self.activation_function,
            cross=self.add_cross_attention,
            deviation=self.initializer_range,
            eps=self.layer_norm_epsilon,
            pre_norm=True,
            dropout=self.resid_pdrop,
            embedding_dropout=self.embd_pdrop,
            attention_dropout=self.attn_pdrop,
            transposed=True,
            scaled=self.scale_attn_weights,
            scaled_by_depth=self.scale_attn_by_inverse_layer_idx,
            upcast=self.reorder_and_upcast_attn,
            tied=self.tie_word_embeddings,
        )


class GPT2LMHeadModel(TextDecoder):
    """GPT-2 with its head."""

    config_class = GPT2Config
    base_model_prefix = "transformer"
    shifts_labels = True
    names = DecoderNames(
        tokens="transformer.wte",
        positions="transformer.wpe",
        layers="transformer.h",
        layer=LayerNames(
            attention=AttentionNames("attn", (("c_attn", "qkv"),), out="c_proj", norm="ln_1"),
            cross=AttentionNames(
                "crossattention", (("c_attn", "kv"), ("q_attn", "q")), out="c_proj", norm="ln_cross_attn"
            ),
            feed_in="mlp.c_fc",
            activation="mlp.act",
            feed_out="mlp.c_proj",
            feed_norm="ln_2",
        ),
        final_norm="transformer.ln_f",
        head="lm_head",
    )
