"""The speech encoder-decoder: a speech encoder, a text decoder with cross-attention, and a projection between them.

What is said here is how the two are joined, trained and stored. How tokens are chosen is in `edgespeech.generation`.
"""

import os
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from edgespeech.base.labels import check_labels, shifted_right
from edgespeech.base.loading_options import LoadingOptions
from edgespeech.base.outputs import Seq2SeqLMOutput, answered
from edgespeech.checkpoint import read_json
from edgespeech.configuration import CONFIG, Config
from edgespeech.decoder import TextDecoder
from edgespeech.encoder.lengths import real
from edgespeech.encoder.transformer import Trace
from edgespeech.errors import ConfigError, InputError
from edgespeech.generation_config import GENERATION_CONFIG, GenerationConfig
from edgespeech.models.decoders.table import DECODER_CLASSES
from edgespeech.models.encoder_decoder.configuration import SpeechEncoderDecoderConfig
from edgespeech.models.encoder_decoder.generating import GeneratingModel
from edgespeech.models.encoder_decoder.halves import check_halves, load_decoder, load_encoder, parted
from edgespeech.models.encoder_decoder.inputs import given_states, joined, waveforms
from edgespeech.models.encoders.table import ENCODER_CLASSES
from edgespeech.models.speech import SpeechModel, sample_lengths, trace_for

ModelT = TypeVar("ModelT", bound="SpeechEncoderDecoderModel")

DEVIATION = 0.02  # of fresh weights of the projection


class SpeechEncoderDecoderModel(GeneratingModel):
    """A speech encoder whose states a text decoder attends to.

    Built from a configuration, with fresh weights, or from two models, which it holds and whose configurations it
    shares. `enc_to_dec_proj` stands between them where the encoder's output has another size than the decoder's states.
    `generation_config` says how `generate` decodes where its caller does not.
    """

    config_class = SpeechEncoderDecoderConfig
    base_model_prefix = "speech_encoder_decoder"

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
        cls: type[ModelT],
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: Config | None = None,
        **options: Any,
    ) -> ModelT:
        """Load a checkpoint; see `PreTrainedModel.from_pretrained`.

        `generation_config` comes from `generation_config.json`, in older checkpoints from `config.json`.
        """
        loading, overrides = LoadingOptions.parted(options)
        folder = loading.folder(pretrained_model_name_or_path)
        whole = cls._configured(folder, config, overrides)
        loaded = cls._load(pretrained_model_name_or_path, whole, loading.weights(folder), loading)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        if (folder / GENERATION_CONFIG).is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
        elif config is None and not overrides:
            model._adopt_generation(read_json(folder / CONFIG))
        return loaded

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
            adopted = getattr(self, half).adopted(table)
            rest |= {f"{half}.{name}": tensor for name, tensor in adopted.items()}
        return rest

    def forward(
        self,
        inputs: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: Mapping[str, Any] | tuple[Tensor, ...] | None = None,
        past_key_values: Any = None,
        decoder_inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
        return_dict: bool | None = None,
        *,
        mask_time_indices: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
    ) -> Seq2SeqLMOutput:
        """Compute logits (batch, tokens, vocabulary), and with labels the mean cross-entropy at the labels' places.

        Args:
            inputs: waveforms (batch, samples), also under the name `input_values`; see `SpeechModel.forward`.
            attention_mask: (batch, samples), 1 on real samples; frames of padding are hidden from the decoder too.
            decoder_input_ids: (batch, tokens); without them the labels, shifted right behind `decoder_start_token_id`.
            decoder_attention_mask: (batch, tokens), 1 on tokens that later ones see; those of the past before them.
            encoder_outputs: what the encoder gave, in place of waveforms; the last hidden state stands first.
            past_key_values: of the tokens before, as an earlier call with `use_cache` (the default) returned them.
            decoder_inputs_embeds: (batch, tokens, size) in place of `decoder_input_ids`.
            labels: (batch, tokens), ids below the decoder's `vocab_size`, or -100 for none.
            output_attentions: as `output_hidden_states` and `return_dict`; see `SpeechModel.forward`.

        Raises:
            InputError: waveforms, tokens or labels of a wrong shape or type, outside the vocabulary, or too many.
            ConfigError: labels, but no `decoder_start_token_id` or `pad_token_id` in the configuration.
        """
        tokens = self._tokens(decoder_input_ids, decoder_inputs_embeds, labels)
        source = waveforms(input_values, inputs, encoder_outputs, input_features)
        shown = self._shown("output_hidden_states", output_hidden_states, "encoder")
        trace = trace_for(self.encoder.config, shown, self._shown("output_attentions", output_attentions, "encoder"))
        encoded, frames = self._encoded(source, attention_mask, encoder_outputs, trace, mask_time_indices)
        states = self._projected(encoded.last_hidden_state)
        count = len(tokens if decoder_inputs_embeds is None else decoder_inputs_embeds)  # type: ignore[arg-type]
        if len(states) != count:
            raise InputError(f"got {len(states)} utterances, but {count} sequences of tokens")
        decoded = self.decoder(
            tokens,
            decoder_attention_mask,
            states,
            None if frames is None else real(frames, states.shape[1]),
            position_ids=decoder_position_ids,
            inputs_embeds=decoder_inputs_embeds,
            past_key_values=past_key_values,
            use_cache=use_cache,
            output_hidden_states=self._shown("output_hidden_states", output_hidden_states, "decoder"),
            output_attentions=self._shown("output_attentions", output_attentions, "decoder"),
            return_dict=True,
        )
        return answered(joined(encoded, states, decoded, labels), self.config, return_dict)

    def _shown(self, name: str, asked: bool | None, half: str) -> bool | None:
        """Whether to return states or attention weights of a half: as asked, or as either configuration says."""
        return (
            asked
            if asked is not None
            else bool(getattr(self.config, name) or getattr(getattr(self.config, half), name))
        )

    def _tokens(self, given: Tensor | None, embedded: Tensor | None, labels: Tensor | None) -> Tensor | None:
        """Return the tokens that the decoder reads, None for embeddings: as given, or those that labels say."""
        if given is not None and embedded is not None:
            raise InputError("give decoder_input_ids or decoder_inputs_embeds, not both")
        if labels is None:
            if given is None and embedded is None:
                raise InputError("give decoder_input_ids, or labels from which they follow")
            return given
        check_labels(labels, self.decoder.vocab_size)
        if given is None and embedded is None:
            return self.prepare_decoder_input_ids_from_labels(labels)
        read = given if embedded is None else embedded[..., 0]
        if labels.shape != read.shape:  # type: ignore[union-attr]
            raise InputError(
                f"labels and decoder_input_ids must have one shape, got {list(labels.shape)} and {list(read.shape)}"  # type: ignore[union-attr]
            )
        return given

    def encode(self, waveform: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Compute what the decoder attends to; graphs are exported from it.

        (batch, samples), real samples (batch,) -> states (batch, frames, size), real frames (batch,) or None.
        """
        result = self.encoder.encode(waveform, lengths)
        return self._projected(result.last_hidden_state), result.lengths

    def encode_features(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute what the decoder attends to of what the conv stack gives; graphs are exported from it.

        (batch, frames, channels), real frames (batch,) -> states (batch, frames, size).
        """
        return self._projected(self.encoder.encode_features(features, lengths).last_hidden_state)

    def _encoded(
        self,
        source: Tensor | None,
        attention_mask: Tensor | None,
        given: Mapping[str, Any] | tuple[Tensor, ...] | None,
        trace: Trace,
        mask_time_indices: Tensor | None = None,
    ) -> tuple[Any, Tensor | None]:
        """Return the encoder's output, and the real frames (batch,) of each utterance or None."""
        if source is not None:
            result = self.encoder.encode_masked(source, attention_mask, mask_time_indices, trace)
            return result, result.lengths
        output = given_states(given, self.encoder, attention_mask)
        if attention_mask is None:
            return output, None
        lengths = sample_lengths(attention_mask, attention_mask, self.encoder.shortest)
        return output, self.encoder.frames(lengths)  # type: ignore[arg-type]

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

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the decoder's last linear layer."""
        self.decoder.set_output_embeddings(new_embeddings)

    def tie_weights(self) -> None:
        """See `TextDecoder.tie_weights`."""
        self.decoder.tie_weights()

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Embedding:
        """Refuse, as the reference library does.

        Raises:
            ConfigError: always; the decoder has the token table.
        """
        raise ConfigError(
            "an encoder-decoder has its tokens in the decoder; call model.decoder.resize_token_embeddings"
        )

    def freeze_feature_encoder(self) -> None:
        """Take the encoder's conv stack out of training."""
        self.encoder.freeze_feature_encoder()
