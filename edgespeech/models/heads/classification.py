"""Classifiers of whole utterances and of frames."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.base.labels import IGNORED
from edgespeech.base.outputs import SequenceClassifierOutput, TokenClassifierOutput, answered
from edgespeech.base.pretrained import draw
from edgespeech.class_names import in_order
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.errors import InputError
from edgespeech.models.heads.head import StatesHead, float_mask


class SpeechClassifier(StatesHead):
    """What both classifiers share: classes that have names."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits.

        Raises:
            ConfigError: `id2label` has gaps.
        """
        return in_order(self.config.id2label)

    def logits(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, samples), real samples (batch,) -> logits: what graphs are exported from.

        Raises:
            InputError: audio that is shorter than `shortest`.
        """
        encoded = self.read(waveform, lengths)
        return self.of_states(encoded.states, encoded.lengths)


class SpeechForSequenceClassification(SpeechClassifier):
    """A speech encoder with a classifier of the utterance: a projection, the mean over its frames, a linear layer."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__(config)
        self.projector = nn.Linear(config.hidden_size, config.classifier_proj_size)
        self.classifier = nn.Linear(config.classifier_proj_size, config.num_labels)
        draw(self.projector, config)
        draw(self.classifier, config)

    def head(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, hidden), 1.0 on real frames (batch, frames) or None for all -> logits (batch, labels)."""
        projected = self.projector(states)
        if mask is None:
            return self.classifier(projected.mean(1))
        share = mask.mean(1, keepdim=True)  # by means, because a device of 16 bits has too few digits for sums
        return self.classifier((projected * mask[:, :, None]).mean(1) / share)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Compute logits (batch, labels), and with labels (batch,) the cross-entropy, a mean over utterances.

        A label of -100 leaves its utterance out of the loss. The encoder's arguments: see `SpeechModel.forward`; the
        mean is over the real frames.

        Raises:
            InputError: labels of another shape or beyond `num_labels`, or what the encoder refuses.
        """
        if labels is not None:
            labels = checked_classes(labels, len(input_values), self.config.num_labels, IGNORED)
        encoded = self.read_masked(input_values, attention_mask, output_hidden_states, output_attentions)
        logits = self.head(encoded.states, float_mask(encoded.lengths, encoded.states))
        loss = None if labels is None else F.cross_entropy(logits, labels, ignore_index=IGNORED)
        output = SequenceClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return answered(output, self.config, return_dict)


class SpeechForAudioFrameClassification(SpeechClassifier):
    """A speech encoder with a linear layer that classifies each frame."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        draw(self.classifier, config)

    def head(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, hidden) -> logits (batch, frames, labels); no frame sees another, so no mask is needed."""
        return self.classifier(states)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> TokenClassifierOutput:
        """Compute logits (batch, frames, labels), and with labels of that shape the cross-entropy.

        Labels are one-hot; of several that are highest on a frame the first counts. The loss is a mean over the real
        frames (the reference library counts those of the padding too). The encoder's arguments: see
        `SpeechModel.forward`.

        Raises:
            InputError: labels of another shape, or what the encoder refuses.
        """
        encoded = self.read_masked(input_values, attention_mask, output_hidden_states, output_attentions)
        logits = self.head(encoded.states, None)
        loss = None
        if labels is not None:
            if labels.shape != logits.shape or labels.is_complex():
                raise InputError(
                    f"labels must be one-hot (batch, frames, labels) {list(logits.shape)}, "
                    f"got {labels.dtype} of shape {list(labels.shape)}"
                )
            classes = labels.to(torch.float32).argmax(-1)  # (batch, frames)
            mask = float_mask(encoded.lengths, encoded.states)
            if mask is not None:
                classes = classes.masked_fill(mask == 0, IGNORED)
            loss = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), ignore_index=IGNORED)
        output = TokenClassifierOutput(loss, logits, encoded.hidden_states, encoded.attentions)
        return answered(output, self.config, return_dict)


def checked_classes(labels: Tensor, batch: int, count: int, ignored: int | None = None) -> Tensor:
    """Return one label for each utterance as int64 (batch,).

    Raises:
        InputError: another shape, no whole numbers, or one that is neither below `count` nor `ignored`.
    """
    if labels.numel() != batch or labels.is_floating_point() or labels.is_complex():
        raise InputError(f"labels must be whole numbers ({batch},), got {labels.dtype} of shape {list(labels.shape)}")
    labels = labels.flatten().long()
    legal = (labels >= 0) & (labels < count)
    wrong = labels[~legal if ignored is None else ~legal & (labels != ignored)]
    if len(wrong):
        raise InputError(f"labels must be at least 0 and below num_labels {count}, got {int(wrong[0])}")
    return labels
