"""The graphs of a speech encoder-decoder, as torch modules over one model, by the runtime's contract.

The contract has keys as (batch, heads, head_dim, length), the model as (batch, heads, length, head_dim): the modules
here transpose, and the two transpositions of a key on its way to the product vanish in the graph.
"""

from typing import Any

from edgespeech_runtime.bundle.contracts import Decoder, contract
from torch import Tensor, nn

from edgespeech.decoder import Cache
from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.parts import Parts


class Encoder(nn.Module):
    """What all layers of the decoder attend to, for utterances of one length; nothing is masked."""

    def __init__(self, model: SpeechEncoderDecoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: Tensor) -> tuple[Tensor, ...]:
        """(batch, samples) -> key and value of each layer."""
        states, _ = self.model.encode(input_values)
        return flat(self.model.decoder.cross(states))


class EncoderBatch(nn.Module):
    """The same for a padded batch, each utterance as if alone."""

    def __init__(self, model: SpeechEncoderDecoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> tuple[Tensor, ...]:
        """(batch, samples), real samples (batch,) -> key and value of each layer."""
        states, _ = self.model.encode(input_values, input_lengths)
        return flat(self.model.decoder.cross(states))


class Behind(nn.Module):
    """What all layers of the decoder attend to, of what the conv stack gives."""

    def __init__(self, model: SpeechEncoderDecoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, conv_features: Tensor, conv_lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        """(batch, frames, channels), real frames (batch,) -> key and value of each layer."""
        return flat(self.model.decoder.cross(self.model.encode_features(conv_features, conv_lengths)))


class DecoderStep(nn.Module):
    """Logits of new tokens, and their columns of the cache."""

    def __init__(self, model: SpeechEncoderDecoderModel) -> None:
        super().__init__()
        self.decoder = model.decoder

    def forward(
        self, tokens: Tensor, positions: Tensor, bias: Tensor, cross_bias: Tensor, *columns: Tensor
    ) -> tuple[Tensor, ...]:
        """See `edgespeech_runtime.bundle.contracts`; `columns` are those of the cache, then those of the encoder."""
        past, cross = columns[: len(columns) // 2], columns[len(columns) // 2 :]
        logits, new = self.decoder.step(
            tokens, positions, bias[:, None], _paired(past), _paired(cross), cross_bias[:, None, None]
        )
        return (logits, *flat(new))


def encoder_decoder_graphs(model: SpeechEncoderDecoderModel, facts: Decoder) -> list[GraphSource]:
    """Return the graphs of the runtime's contract that are traced; see also `cache_graph`."""
    modules: dict[str, nn.Module] = {
        "encoder": Encoder(model),
        "encoder_batch": EncoderBatch(model),
        "decoder": DecoderStep(model),
    }
    fixed = {"vocabulary": facts.vocabulary_size, "heads": facts.heads, "head_dim": facts.head_dim}
    tensors = contract("encoder-decoder", facts)
    layers: dict[str, Any] = dict.fromkeys(modules, model.encoder.encoder.layers) | {"decoder": model.decoder.layers}
    _, outputs = tensors["encoder"]
    behind = Parts(model, model.encoder, Behind(model), outputs, fixed, model.encoder.encoder.layers)
    parts = behind.of({name: tensors[name][0] for name in ("encoder", "encoder_batch")})
    return [
        GraphSource(name, module, *tensors[name], fixed, layers=layers[name], parts=parts.get(name, ()))
        for name, module in modules.items()
    ]


def flat(cache: Cache) -> tuple[Tensor, ...]:
    """Return keys and values in the order and layout of the contract."""
    return tuple(tensor for key, value in cache for tensor in (key.transpose(2, 3), value))


def _paired(columns: tuple[Tensor, ...]) -> Cache:
    return tuple((key.transpose(2, 3), value) for key, value in zip(columns[::2], columns[1::2], strict=True))
