"""The speech encoder-decoder: a speech encoder, a text decoder with cross-attention, and a projection between them.

What is said here is how the two are joined, trained and stored. How tokens are chosen is in `edgespeech.generation`.
"""

import os
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from edgespeech_runtime.generation import OnTokens
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.base.labels import IGNORED, check_labels, shifted_right
from edgespeech.base.outputs import BaseModelOutput, GenerateOutput, ModelOutput, Seq2SeqLMOutput
from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.checkpoint import read_json, resolve
from edgespeech.configuration import CONFIG, Config
from edgespeech.decoder import TextDecoder
from edgespeech.encoder.lengths import real
from edgespeech.encoder.transformer import Trace
from edgespeech.errors import ConfigError, InputError
from edgespeech.generation import collected, decode, settled
from edgespeech.generation_config import GENERATION_CONFIG, GenerationConfig
from edgespeech.models.decoders.table import DECODER_CLASSES
from edgespeech.models.encoder_decoder.configuration import SpeechEncoderDecoderConfig
from edgespeech.models.encoder_decoder.halves import check_halves, load_decoder, load_encoder, parted
from edgespeech.models.encoders.table import ENCODER_CLASSES
from edgespeech.models.speech import SpeechModel, sample_lengths

ModelT = TypeVar("ModelT", bound="SpeechEncoderDecoderModel")

DEVIATION = 0.02  # of fresh weights of the projection


class SpeechEncoderDecoderModel(PreTrainedModel):
    """A speech encoder whose states a text decoder attends to.

    Built from a configuration, with fresh weights, or from two models, which it holds and whose configurations it
    shares. `enc_to_dec_proj` stands between them where the encoder's output has another size than the decoder's states.
    `generation_config` says how `generate` decodes where its caller does not.
    """

    config_class = SpeechEncoderDecoderConfig
    base_model_prefix = "speech_encoder_decoder"

    generation_config: GenerationConfig

    def __init__(
        self,
        config: SpeechEncoderDecoderConfig | None = None,
        encoder: SpeechModel | None = None,
        decoder: TextDecoder | None = None,
    ) -> None:
        """See the class.

        Raises:
            ConfigError: neither a configuration nor two models, a decoder without cross-attention, or sizes that do not
                fit each other.
            UnknownModelError: an encoder or a decoder that is none of those known here.
        """
        super().__init__()
        if config is None and encoder is not None and decoder is not None:
            check_halves(encoder, decoder)
            config = SpeechEncoderDecoderConfig(encoder=encoder.config, decoder=decoder.config)
        if not isinstance(config, SpeechEncoderDecoderConfig):
            raise ConfigError("give a SpeechEncoderDecoderConfig as config, or an encoder and a decoder")
        if encoder is None:
            encoder = ENCODER_CLASSES[config.encoder.model_type](config.encoder)  # type: ignore[union-attr, arg-type]
        if decoder is None:
            decoder = DECODER_CLASSES[config.decoder.model_type](config.decoder)  # type: ignore[union-attr, arg-type]
        check_halves(encoder, decoder)
        config.tie_word_embeddings = False  # the decoder's configuration says whether its head is tied to its embedding
        self.config = config
        encoder.config, decoder.config = config.encoder, config.decoder
        self.encoder, self.decoder = encoder, decoder
        self.enc_to_dec_proj = self._projection()
        self._adopt_generation(config.to_dict())

    def _projection(self) -> nn.Linear | None:
        """Return the projection where sizes differ, fresh.

        Checkpoints have one as well where `output_hidden_size` alone differs, which without an adapter has no effect.
        """
        given, stated = self.encoder.config.output_size, self.encoder.config.output_hidden_size
        size, accepted = self.decoder.hidden_size, self.config.decoder.cross_attention_hidden_size
        if accepted not in (None, given):
            raise ConfigError(
                f"the decoder's cross_attention_hidden_size is {accepted}, the encoder's output has {given} channels; "
                "make them equal, or leave cross_attention_hidden_size out to project from one size to the other"
            )
        if accepted is not None or given == stated == size:
            return None
        projection = nn.Linear(given, size)
        with torch.no_grad():
            projection.weight.normal_(0.0, getattr(self.config.decoder, "initializer_range", DEVIATION))
            projection.bias.zero_()
        return projection

    def _adopt_generation(self, values: Mapping[str, Any]) -> None:
        """Derive `generation_config` from the content of a `config.json`."""
        self.generation_config = GenerationConfig.from_model_config(values)
        self._ids_then = self._ids()

    def _ids(self) -> dict[str, Any]:
        names = ("decoder_start_token_id", "pad_token_id", "eos_token_id", "bos_token_id")
        return {name: getattr(self.config, name) for name in names}

    @classmethod
    def from_encoder_decoder_pretrained(
        cls: type[ModelT],
        encoder_pretrained_model_name_or_path: str | os.PathLike[str] | None = None,
        decoder_pretrained_model_name_or_path: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> ModelT:
        """Join the encoder of one checkpoint and the decoder of another, whatever heads they have.

        The model is in evaluation mode. Weights of the cross-attention that the decoder's checkpoint lacks are drawn
        and named in a warning. Options with the prefix `encoder_` or `decoder_` replace fields of that configuration
        (`encoder_config`, `decoder_config` all of it; `encoder_model`, `decoder_model` are models in place of
        checkpoints), others are fields of the whole.

        Raises:
            UnknownModelError: an encoder or a decoder that nothing here implements.
            ConfigError: an option that is no field, or sizes that do not fit each other.
            CheckpointError: a folder that cannot be read; see `PreTrainedModel.from_pretrained`.
        """
        of_encoder, of_decoder, of_both = parted(options)
        encoder = load_encoder(encoder_pretrained_model_name_or_path, **of_encoder)
        decoder = load_decoder(decoder_pretrained_model_name_or_path, **of_decoder)
        check_halves(encoder, decoder)
        config = cls.config_class.from_encoder_decoder_configs(encoder.config, decoder.config, **of_both)
        return cls(config, encoder, decoder).eval()

    @classmethod
    def from_pretrained(
        cls: type[ModelT], checkpoint: str | os.PathLike[str], *, config: Config | None = None, **overrides: Any
    ) -> ModelT:
        """Load a checkpoint; see `PreTrainedModel.from_pretrained`.

        `generation_config` comes from `generation_config.json`, in older checkpoints from `config.json`.
        """
        model = super().from_pretrained(checkpoint, config=config, **overrides)
        folder = resolve(checkpoint)
        if (folder / GENERATION_CONFIG).is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
        elif config is None and not overrides:
            model._adopt_generation(read_json(folder / CONFIG))
        return model

    def extra_files(self) -> dict[str, dict[str, Any]]:
        """See `PreTrainedModel.extra_files`."""
        return {GENERATION_CONFIG: self.generation_config.to_dict()}

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `PreTrainedModel.adopted`; each half takes its own."""
        halves: dict[str, dict[str, Tensor]] = {"encoder": {}, "decoder": {}}
        rest = {}
        for name, tensor in weights.items():
            half, _, inner = name.partition(".")
            if half in halves:
                halves[half][inner] = tensor
            else:
                rest[name] = tensor
        for half, table in halves.items():
            found = getattr(self, half).adopted(table)
            rest |= {f"{half}.{name}": tensor for name, tensor in found.items()}
        return rest

    def forward(
        self,
        input_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: ModelOutput | tuple[Tensor, ...] | None = None,
        *,
        labels: Tensor | None = None,
        inputs: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> Seq2SeqLMOutput:
        """Compute logits (batch, tokens, vocabulary), and with labels the loss.

        The loss is the mean cross-entropy over all labels but -100, each label against the logits at its place.

        Args:
            input_values: waveforms (batch, samples), also under the name `inputs`; see `SpeechModel.forward`.
            attention_mask: (batch, samples), 1 on real samples; frames of padding are hidden from the decoder too.
            decoder_input_ids: (batch, tokens); without them the labels, shifted right behind `decoder_start_token_id`,
                with `pad_token_id` in place of -100.
            decoder_attention_mask: (batch, tokens), 1 on tokens that later ones see; without it all are seen.
            encoder_outputs: what the encoder gave, in place of waveforms; the last hidden state stands first.
            labels: (batch, tokens), ids below the decoder's `vocab_size`, or -100.
            inputs: another name of `input_values`.
            output_hidden_states: return the states of each layer of encoder and decoder.
            output_attentions: return the attention weights of each layer.

        Raises:
            InputError: waveforms, tokens or labels of a wrong shape or type, or outside the vocabulary; more tokens
                than the decoder has positions.
            ConfigError: labels, but no `decoder_start_token_id` or `pad_token_id` in the configuration.
        """
        tokens = self._tokens(decoder_input_ids, labels)
        encoded, frames = self._encoded(
            _either(input_values, inputs, encoder_outputs),
            attention_mask,
            encoder_outputs,
            Trace([] if output_hidden_states else None, [] if output_attentions else None),
        )
        states = self._projected(encoded.last_hidden_state)
        if len(states) != len(tokens):
            raise InputError(f"got {len(states)} utterances, but {len(tokens)} sequences of tokens")
        decoded = self.decoder(
            tokens,
            decoder_attention_mask,
            states,
            None if frames is None else real(frames, states.shape[1]),
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
        )
        loss = None
        if labels is not None:
            loss = F.cross_entropy(decoded.logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        traced = decoded.hidden_states, decoded.attentions, decoded.cross_attentions
        return Seq2SeqLMOutput(loss, decoded.logits, *traced, states, encoded.hidden_states, encoded.attentions)

    def _tokens(self, given: Tensor | None, labels: Tensor | None) -> Tensor:
        """Return what the decoder reads: what the caller gave, or what follows from the labels."""
        if labels is None:
            if given is None:
                raise InputError("give decoder_input_ids, or labels from which they follow")
            return given
        check_labels(labels, self.decoder.vocab_size)
        tokens = self.prepare_decoder_input_ids_from_labels(labels) if given is None else given
        if labels.shape != tokens.shape:
            raise InputError(
                f"labels and decoder_input_ids must have one shape, got {list(labels.shape)} and {list(tokens.shape)}"
            )
        return tokens

    def encode(self, waveform: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Compute what the decoder attends to; graphs are exported from it.

        (batch, samples), real samples (batch,) -> states (batch, frames, size), real frames (batch,) or None.
        """
        result = self.encoder.encode(waveform, lengths)
        return self._projected(result.last_hidden_state), result.lengths

    def generate(
        self,
        input_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        inputs: Tensor | None = None,
        encoder_outputs: ModelOutput | tuple[Tensor, ...] | None = None,
        decoder_input_ids: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        streamer: OnTokens | None = None,
        return_dict_in_generate: bool | None = None,
        **options: Any,
    ) -> Tensor | GenerateOutput:
        """Generate tokens: (batch * num_return_sequences, length), start token first, padded behind the end.

        What `options` do not say, `generation_config` does, given here or the model's own; the token ids that neither
        has are those that were set in `config`. Runs in inference mode, on the model's device, and leaves the model in
        the mode it is in: in training mode its dropout stays on.

        Args:
            input_values: as for `forward`, as are `attention_mask`, `inputs` and `encoder_outputs`.
            attention_mask: with it, each utterance of a padded batch gets what it gets alone.
            inputs: another name of `input_values`.
            encoder_outputs: in place of waveforms.
            decoder_input_ids: a prompt (batch, tokens); the start token is put before it where no row begins with it.
            generation_config: in place of the model's own.
            streamer: called with an utterance's index and the tokens that have become certain.
            return_dict_in_generate: return a `GenerateOutput` with scores and log-probabilities.
            options: see `edgespeech_runtime.generation.GenerationOptions`.

        Raises:
            ArgumentError: an unknown option, options that contradict each other or the model.
            InputError: what `forward` refuses.
            ConfigError: a generation config that asks for something that is not implemented.
        """
        source = _either(input_values, inputs, encoder_outputs)
        defaults = self._generation_defaults(generation_config)
        settings = settled(defaults, options)
        if return_dict_in_generate is None:
            return_dict_in_generate = bool(defaults.get("return_dict_in_generate"))
        with torch.inference_mode():
            encoded, frames = self._encoded(source, attention_mask, encoder_outputs, Trace())
            states = self._projected(encoded.last_hidden_state)
            found, prompt = decode(self.decoder, states, frames, settings, decoder_input_ids, streamer)
        return collected(found, prompt, settings.padding, states.device, return_dict_in_generate)

    def _generation_defaults(self, given: GenerationConfig | None) -> dict[str, Any]:
        """Return what the generation config says, with token ids that it lacks and that were set in `config` since."""
        chosen = self.generation_config if given is None else given
        chosen.require_known_strategies()
        values = dict(self.generation_config.to_dict()) | chosen.to_dict()
        changed = {name: value for name, value in self._ids().items() if value != self._ids_then[name]}
        return {name: value for name, value in changed.items() if value is not None} | values

    def _encoded(
        self,
        source: Tensor | None,
        attention_mask: Tensor | None,
        given: ModelOutput | tuple[Tensor, ...] | None,
        trace: Trace,
    ) -> tuple[Any, Tensor | None]:
        """Return the encoder's output, and the real frames (batch,) of each utterance or None."""
        if source is not None:
            result = self.encoder.encode_masked(source, attention_mask, trace=trace)
            return result, result.lengths
        if isinstance(given, tuple):
            given = BaseModelOutput(given[0])
        self._check_states(given[0], attention_mask)  # type: ignore[index]
        if attention_mask is None:
            return given, None
        lengths = sample_lengths(attention_mask, attention_mask, self.encoder.shortest)
        return given, self.encoder.frames(lengths)  # type: ignore[arg-type]

    def _check_states(self, states: Tensor, attention_mask: Tensor | None) -> None:
        size = self.encoder.config.output_size
        if states.ndim != 3 or states.shape[2] != size:
            raise InputError(f"encoder_outputs must be (batch, frames, {size}), got {list(states.shape)}")
        if attention_mask is not None:
            frames = int(self.encoder.frames(torch.tensor(attention_mask.shape[-1])))
            if states.shape[:2] != (len(attention_mask), frames):
                raise InputError(
                    f"attention_mask {list(attention_mask.shape)} belongs to encoder_outputs of {frames} frames, "
                    f"got {list(states.shape)}"
                )

    def _projected(self, states: Tensor) -> Tensor:
        return states if self.enc_to_dec_proj is None else self.enc_to_dec_proj(states)

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Shift labels (batch, tokens) right: the start token before them, `pad_token_id` for -100, the last one gone.

        Raises:
            ConfigError: `decoder_start_token_id` or `pad_token_id` is not set, or outside the vocabulary.
        """
        return shifted_right(labels, self.config, self.decoder.vocab_size)

    def get_encoder(self) -> SpeechModel:
        """Return the encoder."""
        return self.encoder

    def get_decoder(self) -> TextDecoder:
        """Return the decoder."""
        return self.decoder

    def get_input_embeddings(self) -> nn.Module:
        """Return the decoder's token table."""
        return self.decoder.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """Return the decoder's last linear layer."""
        return self.decoder.get_output_embeddings()

    def freeze_feature_encoder(self) -> None:
        """Take the encoder's conv stack out of training."""
        self.encoder.freeze_feature_encoder()


def _either(input_values: Tensor | None, inputs: Tensor | None, encoder_outputs: Any) -> Tensor | None:
    """Return the waveforms under whichever name they came; None for an encoder's output in their place.

    Raises:
        InputError: nothing, or more than one of the three.
    """
    given = [value for value in (input_values, inputs, encoder_outputs) if value is not None]
    if len(given) != 1:
        raise InputError(f"give input_values or encoder_outputs, one of them, got {len(given)}")
    return input_values if input_values is not None else inputs
