"""How a speech encoder-decoder generates, and what its `generation_config` says of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.generation import sequences as runtime_sequences
from torch import Tensor

from edgespeech.base.outputs import GenerateOutput
from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.decoder import TextDecoder
from edgespeech.encoder.transformer import Trace
from edgespeech.generation import decode, settled
from edgespeech.generation_config import GenerationConfig
from edgespeech.models.encoder_decoder.callbacks import Callbacks
from edgespeech.models.encoder_decoder.inputs import waveforms
from edgespeech.models.encoder_decoder.record import FLAGS, Record


class GeneratingModel(PreTrainedModel):
    """The part of `SpeechEncoderDecoderModel` that generates."""

    generation_config: GenerationConfig
    decoder: TextDecoder

    if TYPE_CHECKING:

        def _encoded(
            self, source: Tensor | None, attention_mask: Tensor | None, given: Any, trace: Trace
        ) -> tuple[Any, Tensor | None]: ...
        def _projected(self, states: Tensor) -> Tensor: ...

    def _adopt_generation(self, values: Mapping[str, Any]) -> None:
        """Derive `generation_config` from the content of a `config.json`."""
        self.generation_config = GenerationConfig.from_model_config(values)
        self._ids_then = self._ids()

    def _ids(self) -> dict[str, Any]:
        names = ("decoder_start_token_id", "pad_token_id", "eos_token_id", "bos_token_id")
        return {name: getattr(self.config, name) for name in names}

    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        prefix_allowed_tokens_fn: Callable[[int, Tensor], Iterable[int]] | None = None,
        synced_gpus: bool | None = None,
        assistant_model: Any = None,
        streamer: Any = None,
        *,
        input_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_outputs: Mapping[str, Any] | tuple[Tensor, ...] | None = None,
        decoder_input_ids: Tensor | None = None,
        return_dict_in_generate: bool | None = None,
        tokenizer: Any = None,
        **options: Any,
    ) -> Tensor | GenerateOutput:
        """Generate tokens: (batch * num_return_sequences, length), start token first, padded behind the end.

        What `options` do not say, `generation_config` does, given here or the model's own; the token ids that neither
        has are those that were set in `config`. Runs in inference mode, on the model's device, and leaves the model in
        the mode it is in: in training mode its dropout stays on. Sampling follows `torch.manual_seed`.

        Args:
            inputs: waveforms (batch, samples) as for `forward`, like `input_values` and `encoder_outputs`.
            generation_config: in place of the model's own. A tensor in its place is taken for `attention_mask`.
            logits_processor: see `Callbacks` for this, `stopping_criteria`, `prefix_allowed_tokens_fn` and `tokenizer`;
                with several beams they are given the rows of one utterance at a time.
            streamer: called with an utterance's index and the tokens that have become certain; or, for one utterance,
                an object with `put` (tokens, the prompt first) and `end`.
            attention_mask: with it, each utterance of a padded batch gets what it gets alone.
            decoder_input_ids: a prompt (batch, tokens); the start token is put before it where no row begins with it.
            return_dict_in_generate: return a `GenerateOutput`, with what options of the name `output_...` ask for.
            options: see `edgespeech_runtime.generation.GenerationOptions` and `Callbacks`.

        Raises:
            ArgumentError: an unknown option, options that contradict each other or the model.
            InputError: what `forward` refuses.
            ConfigError: a generation config that asks for something that is not implemented.
        """
        if isinstance(generation_config, Tensor):
            generation_config, attention_mask = None, generation_config
        options |= {"synced_gpus": synced_gpus, "assistant_model": assistant_model, "tokenizer": tokenizer}
        options |= {"logits_processor": logits_processor, "stopping_criteria": stopping_criteria}
        options |= {"prefix_allowed_tokens_fn": prefix_allowed_tokens_fn}
        options |= {"return_dict_in_generate": return_dict_in_generate}
        source = waveforms(input_values, inputs, encoder_outputs)
        defaults = self._generation_defaults(generation_config)
        audio = source, attention_mask, encoder_outputs
        return self._generated(audio, decoder_input_ids, options, defaults, streamer)

    def _generated(
        self, audio: tuple[Any, Any, Any], prompt: Tensor | None, options: dict[str, Any], defaults: Any, streamer: Any
    ) -> Tensor | GenerateOutput:
        """Do what `generate` does, for `audio` as `_encoded` takes it and all options together."""
        in_full = bool(_taken("return_dict_in_generate", options, defaults))
        shown = _shown(options, defaults, in_full)
        keeps = _taken("use_cache", options, defaults) is not False
        callbacks = Callbacks(**{entry.name: _taken(entry.name, options, defaults) for entry in fields(Callbacks)})
        settings = settled(defaults, options)
        record = Record(max(settings.num_beams, settings.num_return_sequences), **shown)
        with torch.inference_mode():
            trace = Trace(*([] if shown[name] else None for name in ("output_hidden_states", "output_attentions")))
            encoded, frames = self._encoded(*audio, trace)
            states = self._projected(encoded.last_hidden_state)
            results, begun, past = decode(self.decoder, states, frames, settings, prompt, callbacks, record, streamer)
        sequences = torch.from_numpy(runtime_sequences(results, begun, settings.padding)).to(states.device)
        if not in_full:
            return sequences
        hypotheses = [hypothesis for several in results for hypothesis in several]
        return record.output(sequences, hypotheses, settings.num_return_sequences, encoded, past if keeps else None)

    def _generation_defaults(self, given: GenerationConfig | None) -> dict[str, Any]:
        """Return what the generation config says, with token ids that it lacks and that were set in `config` since."""
        chosen = self.generation_config if given is None else given
        if not isinstance(chosen, GenerationConfig):
            kind = f"{type(chosen).__module__.partition('.')[0]}.{type(chosen).__name__}"
            raise ArgumentError(f"generation_config must be an edgespeech.GenerationConfig, got a {kind}")
        chosen.require_known_strategies()
        values = dict(self.generation_config.to_dict()) | chosen.to_dict()
        changed = {name: value for name, value in self._ids().items() if value != self._ids_then[name]}
        return {name: value for name, value in changed.items() if value is not None} | values


def _taken(name: str, options: dict[str, Any], defaults: Mapping[str, Any]) -> Any:
    """Take an option out of those of the caller; what he does not say, the defaults do."""
    value = options.pop(name, None)
    return defaults.get(name) if value is None else value


def _shown(options: dict[str, Any], defaults: Mapping[str, Any], in_full: bool) -> dict[str, bool]:
    """Take out what is to be returned beside the sequences.

    Raises:
        ArgumentError: something, although sequences alone are returned.
    """
    asked = [name for name in FLAGS if options.get(name)]
    if asked and not in_full:
        raise ArgumentError(f"{asked[0]} needs return_dict_in_generate=True: without it, sequences alone are returned")
    return {name: bool(_taken(name, options, defaults)) and in_full for name in FLAGS}
