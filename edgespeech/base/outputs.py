"""What models return: dataclasses whose fields can also be reached by position or name, None left out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

from edgespeech.base.named_output import NamedOutput as ModelOutput

if TYPE_CHECKING:
    from edgespeech.decoder.past import PastKeyValues

OutputT = TypeVar("OutputT", bound="ModelOutput")


def answered(output: OutputT, config: Any, return_dict: bool | None) -> OutputT:
    """Return an output as the caller wants it: itself, or with `return_dict=False` its tuple.

    None leaves it to the configuration's `return_dict`.
    """
    as_output = config.return_dict is not False if return_dict is None else return_dict
    return output if as_output else output.to_tuple()  # type: ignore[return-value]


@dataclass(eq=False)
class BaseModelOutput(ModelOutput):
    """Of an encoder.

    `last_hidden_state` (batch, frames, output); `extract_features` (batch, frames, conv_dim): the normalised features
    that went into the transformer's projection; `hidden_states`: the transformer's input and each layer's output
    (batch, frames, hidden); `attentions`: each layer's weights (batch, heads, frames, frames).
    """

    last_hidden_state: Tensor
    extract_features: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class CTCOutput(ModelOutput):
    """Of a CTC head: `loss` (a scalar, with labels) and `logits` (batch, frames, vocabulary); the rest as above."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class SequenceClassifierOutput(ModelOutput):
    """Of a classifier of utterances: `loss` (a scalar, with labels), `logits` (batch, labels); the rest as above."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class TokenClassifierOutput(ModelOutput):
    """Of a classifier of frames: `loss` (a scalar, with labels), `logits` (batch, frames, labels); more as above."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class XVectorOutput(ModelOutput):
    """Of an x-vector head: `loss` (a scalar, with labels), `logits` and `embeddings` (batch, dimensions).

    An utterance's embedding is what to compare speakers by; `logits` is what training compares with the speakers'
    vectors. The rest as above.
    """

    loss: Tensor | None
    logits: Tensor
    embeddings: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class PreTrainingOutput(ModelOutput):
    """Of pre-training: what is said of each frame, and what its quantized features are, in the same space.

    `loss` (a scalar, with negatives) and its parts `contrastive_loss` and `diversity_loss`; `projected_states` and
    `projected_quantized_states` (batch, frames, size); `codevector_perplexity`, a scalar: how many entries the
    codebooks use, together. The rest as above.
    """

    loss: Tensor | None
    projected_states: Tensor
    projected_quantized_states: Tensor
    codevector_perplexity: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    contrastive_loss: Tensor | None = None
    diversity_loss: Tensor | None = None


@dataclass(eq=False)
class FeaturePreTrainingOutput(ModelOutput):
    """Of UniSpeech-SAT's pre-training, which has no loss here.

    `logits`: the normalised features below the transformer (batch, frames, conv_dim), under the reference library's
    name for them; `projected_states`: the encoder's states (batch, frames, hidden). The rest as above.
    """

    loss: Tensor | None
    logits: Tensor
    projected_states: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class CausalLMOutput(ModelOutput):
    """Of a text decoder: `loss` (a scalar, with labels) and `logits` (batch, length, vocabulary).

    `past_key_values`: keys and values of the tokens, to go on from; `hidden_states`: the embeddings and each layer's
    output (batch, length, size), the last one after the final norm;
    `attentions` and `cross_attentions`: each layer's weights over tokens (batch, heads, length, length) and over an
    encoder's frames (batch, heads, length, frames).
    """

    loss: Tensor | None
    logits: Tensor
    past_key_values: "PastKeyValues | None" = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class Seq2SeqLMOutput(ModelOutput):
    """Of a speech encoder-decoder.

    `loss` (a scalar, with labels); `logits` (batch, tokens, vocabulary); of the decoder `past_key_values`, to go on
    from, and each layer's states (batch, tokens, hidden), self-attention (batch, heads, tokens, tokens) and
    cross-attention (batch, heads, tokens, frames); `encoder_last_hidden_state` (batch, frames, size) as the decoder
    sees it, projected where sizes differ; the encoder's states and attentions as in `BaseModelOutput`.
    """

    loss: Tensor | None
    logits: Tensor
    past_key_values: "PastKeyValues | None" = None
    decoder_hidden_states: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    encoder_last_hidden_state: Tensor | None = None
    encoder_hidden_states: tuple[Tensor, ...] | None = None
    encoder_attentions: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class GenerateOutput(ModelOutput):
    """Of `generate` with `return_dict_in_generate`.

    `sequences` (batch * num_return_sequences, length): start token, tokens, padding. `sequences_scores` (batch *
    num_return_sequences,): the scores by which hypotheses were ranked. Where asked for, of each step: `scores` (batch *
    beams, vocabulary), after all filters, and `logits` as the decoder gave them; `beam_indices` (batch *
    num_return_sequences, tokens), the row of `scores` that each token was chosen from, -1 behind the end; the encoder's
    states and attention weights, and of the decoder those of each step, each layer. `past_key_values`: what the decoder
    keeps, with one beam. `token_logprobs`: for each sequence the log-probabilities of its generated tokens.
    """

    sequences: Tensor
    sequences_scores: Tensor | None = None
    scores: tuple[Tensor, ...] | None = None
    logits: tuple[Tensor, ...] | None = None
    beam_indices: Tensor | None = None
    encoder_attentions: tuple[Tensor, ...] | None = None
    encoder_hidden_states: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[tuple[Tensor, ...], ...] | None = None
    cross_attentions: tuple[tuple[Tensor, ...], ...] | None = None
    decoder_hidden_states: tuple[tuple[Tensor, ...], ...] | None = None
    past_key_values: "PastKeyValues | None" = None
    token_logprobs: list[Tensor] | None = None
