"""The CTC head: a linear layer on the encoder, its loss, and the per-language adapters of MMS."""

import os
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.base.loading_options import LoadingOptions
from edgespeech.base.outputs import CTCOutput, answered
from edgespeech.base.pretrained import draw
from edgespeech.checkpoint import load_into, read_adapter, resolve
from edgespeech.checkpoint.resolving import HubOptions
from edgespeech.configuration import Config, SpeechEncoderConfig
from edgespeech.encoder.transformer import LanguageAdapter
from edgespeech.errors import CheckpointError, ConfigError, InputError
from edgespeech.models.heads.head import SpeechWithHead
from edgespeech.models.speech import sample_lengths

CTCT = TypeVar("CTCT", bound="SpeechForCTC")


class SpeechForCTC(SpeechWithHead):
    """A speech encoder with a linear layer to the vocabulary. The families' classes name their encoder."""

    def __init__(self, config: SpeechEncoderConfig, target_lang: str | None = None) -> None:
        super().__init__(config)
        self.target_lang = target_lang
        self.dropout = nn.Dropout(config.final_dropout)
        self.lm_head = nn.Linear(config.output_size, config.vocab_size)
        draw(self.lm_head, config)

    @classmethod
    def from_pretrained(
        cls: type[CTCT],
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: Config | None = None,
        target_lang: str | None = None,
        **options: Any,
    ) -> CTCT:
        """Load a checkpoint; `target_lang` picks the language adapter `adapter.{target_lang}.safetensors` in it.

        The vocabulary's size then follows the adapter, and all weights must be there. For the rest, and the errors
        raised, see `PreTrainedModel.from_pretrained` and `load_adapter`.
        """
        loading, overrides = LoadingOptions.parted(options)
        folder = loading.folder(pretrained_model_name_or_path, *_adapter_files(target_lang))
        config = cls._configured(folder, config, overrides)
        weights = loading.weights(folder)
        if target_lang is not None:
            _require_adapters(config)
            adapter = read_adapter(folder, target_lang)
            weights = {name: tensor for name, tensor in weights.items() if not _is_adapter(name)} | adapter
            if "lm_head.weight" in adapter:
                config = replace(config, vocab_size=len(adapter["lm_head.weight"]))  # type: ignore[call-arg]
            loading = replace(loading, require_all_weights=True, ignore_mismatched_sizes=False)
        loaded = cls._load(pretrained_model_name_or_path, config, weights, loading)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.target_lang = target_lang
        return loaded

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> CTCOutput:
        """Compute logits (batch, frames, vocabulary), and with labels (batch, tokens) the CTC loss.

        Negative labels are padding, and so is the blank, which is `pad_token_id`. The loss is reduced as
        `ctc_loss_reduction` says; an utterance with more labels than frames has the loss infinity, with
        `ctc_zero_infinity` 0. https://www.cs.toronto.edu/~graves/icml_2006.pdf. The encoder's arguments: see
        `SpeechModel.forward`.

        Raises:
            InputError: labels of another shape or beyond the vocabulary, or what the encoder refuses.
            ConfigError: labels, but no `pad_token_id` within the vocabulary.
        """
        if labels is not None:
            self._check_labels(labels, len(input_values))
        output = self.base_model(
            input_values,
            attention_mask,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            return_dict=True,
        )
        logits = self.lm_head(self.dropout(output.last_hidden_state))
        loss = None
        if labels is not None:
            lengths = sample_lengths(attention_mask, input_values, self.base_model.shortest)
            if lengths is None:
                lengths = labels.new_full((len(input_values),), input_values.shape[1])
            loss = self._loss(logits, labels, self.base_model.frames(lengths))
        return answered(CTCOutput(loss, logits, output.hidden_states, output.attentions), self.config, return_dict)

    def head(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """See `SpeechWithHead.head`: each frame by itself, (batch, frames, vocabulary)."""
        return self.lm_head(states)

    def logits(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, samples), real samples (batch,) -> (batch, frames, vocabulary): what graphs are exported from."""
        return self.lm_head(self.base_model.encode(waveform, lengths).last_hidden_state)

    def _check_labels(self, labels: Tensor, batch: int) -> None:
        size, blank = self.config.vocab_size, self.config.pad_token_id
        if labels.ndim != 2 or len(labels) != batch or labels.is_floating_point():
            raise InputError(
                f"labels must be whole numbers ({batch}, tokens), got {labels.dtype} of shape {list(labels.shape)}"
            )
        if labels.numel() and int(labels.max()) >= size:
            raise InputError(f"labels must be below vocab_size {size}, got {int(labels.max())}")
        if blank is None or not 0 <= blank < size:
            raise ConfigError(f"a loss needs pad_token_id, the blank, below vocab_size {size}; it is {blank}")

    def _loss(self, logits: Tensor, labels: Tensor, frames: Tensor) -> Tensor:
        is_label = (labels >= 0) & (labels != self.config.pad_token_id)
        return F.ctc_loss(
            logits.float().log_softmax(-1).transpose(0, 1),  # (frames, batch, vocabulary)
            labels[is_label],
            frames,
            is_label.sum(-1),
            blank=self.config.pad_token_id,
            reduction=self.config.ctc_loss_reduction,
            zero_infinity=self.config.ctc_zero_infinity,
        )

    def load_adapter(self, target_lang: str, force_load: bool = True, **options: Any) -> None:
        """Replace the language adapters and the head by those of `adapter.{target_lang}.safetensors` (or `.bin`).

        Without `force_load`, a language that is loaded already is not read again. `options` say from where on the hub,
        as in `from_pretrained`.

        Raises:
            ConfigError: the configuration has no `adapter_attn_dim`, or an option is unknown.
            CheckpointError: the model was not loaded from a checkpoint.
            MissingFileError: no adapter for this language; the message lists those there are.
            WeightsError: the file lacks a weight, has one too many or one of another shape.
        """
        _require_adapters(self.config)
        hub, unknown = HubOptions.parted(options)
        if unknown:
            raise ConfigError(f"load_adapter has no option {', '.join(unknown)}; leave it out")
        if not force_load and target_lang == self.target_lang:
            return
        if self.name_or_path is None:
            raise CheckpointError("load_adapter needs a model that came from a checkpoint; call from_pretrained first")
        adapter = read_adapter(resolve(self.name_or_path, *_adapter_files(target_lang), hub=hub), target_lang)
        head = self._head_for(adapter)
        parts = nn.ModuleDict({"lm_head": head, self.base_model_prefix: self.base_model})
        kept = {name: tensor for name, tensor in parts.state_dict().items() if not _is_adapter(name)}
        load_into(parts, kept | adapter, f"adapter.{target_lang} of {self.name_or_path}")
        self.lm_head = head
        self.config.vocab_size = head.out_features
        self.target_lang = target_lang

    @torch.no_grad()
    def init_adapter_layers(self) -> None:
        """Draw the language adapters and the head anew, to train them for a language that the checkpoint lacks.

        Raises:
            ConfigError: the configuration has no `adapter_attn_dim`.
        """
        _require_adapters(self.config)
        for module in self.base_model.modules():
            if isinstance(module, LanguageAdapter):
                module.norm.reset_parameters()
                draw(module, self.config)
        draw(self.lm_head, self.config)

    def _head_for(self, adapter: dict[str, Tensor]) -> nn.Linear:
        """Return the head, a new one where the adapter's vocabulary has another size."""
        size = len(adapter.get("lm_head.weight", self.lm_head.weight))
        if size == self.lm_head.out_features:
            return self.lm_head
        return nn.Linear(self.lm_head.in_features, size, device=self.device, dtype=self.dtype)


def _adapter_files(target_lang: str | None) -> tuple[str, ...]:
    """Patterns of the files that hold a language's adapter, for the hub."""
    return () if target_lang is None else (f"adapter.{target_lang}.*",)


def _is_adapter(name: str) -> bool:
    return ".adapter_layer." in name or name.startswith("lm_head.")


def _require_adapters(config: Any) -> None:
    if config.adapter_attn_dim is None:
        raise ConfigError("language adapters need a checkpoint whose configuration sets adapter_attn_dim")
