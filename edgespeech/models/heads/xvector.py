"""The x-vector head: an embedding of the speaker, and the loss that it is trained by.

https://www.danielpovey.com/files/2018_icassp_xvectors.pdf
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.base.outputs import XVectorOutput, answered
from edgespeech.base.pretrained import draw
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.errors import ConfigError
from edgespeech.models.heads.classification import checked_classes
from edgespeech.models.heads.head import StatesHead, float_mask

OBJECTIVE = "objective.weight"
LEAST_VARIANCE = 1e-12  # of a channel: the square root has no gradient at 0, where a silent unit's variance is


class TDNNLayer(nn.Module):
    """A dilated convolution over time, whose weights checkpoints hold as a linear layer's over the frames it sees."""

    def __init__(self, size_in: int, size: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.size_in, self.size, self.kernel_size, self.dilation = size_in, size, kernel, dilation
        self.kernel = nn.Linear(size_in * kernel, size)

    @property
    def window(self) -> int:
        """Frames from the first to the last that an output sees."""
        return self.dilation * (self.kernel_size - 1) + 1

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames_in, size_in) -> (batch, frames_in - window + 1, size)."""
        starts, last = range(0, self.window, self.dilation), self.window - 1
        seen = [x[:, start : start - last or None] for start in starts]  # less than nothing counts from the end
        return self.kernel(torch.cat(seen, -1)).relu()


class AMSoftmaxLoss(nn.Module):
    """Additive margin softmax, https://arxiv.org/abs/1801.05599 (equation 6), with a vector for each speaker."""

    SCALE = 30.0
    MARGIN = 0.4

    def __init__(self, size: int, speakers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, speakers).normal_())

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(batch, size), numbers of speakers (batch,) -> a scalar, the mean over utterances."""
        cosines = F.normalize(x, dim=1) @ F.normalize(self.weight, dim=0)  # (batch, speakers)
        own = F.one_hot(labels, cosines.shape[1])
        return F.cross_entropy(self.SCALE * (cosines - self.MARGIN * own), labels)


class SpeechForXVector(StatesHead):
    """A speech encoder with dilated convolutions, statistics over time, and two linear layers."""

    takes_adapter: ClassVar[bool] = True

    def __init__(self, config: SpeechEncoderConfig) -> None:
        _check_sizes(config)
        super().__init__(config)
        self.projector = nn.Linear(config.hidden_size, config.tdnn_dim[0])
        sizes = zip(
            config.tdnn_dim[:1] + config.tdnn_dim[:-1],
            config.tdnn_dim,
            config.tdnn_kernel,
            config.tdnn_dilation,
            strict=True,
        )
        self.tdnn = nn.ModuleList(TDNNLayer(*layer) for layer in sizes)
        self.feature_extractor = nn.Linear(2 * config.tdnn_dim[-1], config.xvector_output_dim)
        self.classifier = nn.Linear(config.xvector_output_dim, config.xvector_output_dim)
        self.objective = AMSoftmaxLoss(config.xvector_output_dim, config.num_labels)
        for part in (self.projector, self.tdnn, self.feature_extractor, self.classifier):
            draw(part, config)

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `PreTrainedModel.adopted`; the vectors of speakers, which only training uses, are drawn where missing."""
        adopted = super().adopted(weights)
        if OBJECTIVE not in adopted and any(name.startswith("tdnn.") for name in adopted):
            adopted[OBJECTIVE] = torch.randn_like(self.objective.weight.detach())
        return adopted

    @property
    def tdnn_windows(self) -> tuple[int, ...]:
        """Frames that each convolution of the head sees at once; each makes that many fewer, but for one."""
        return tuple(layer.window for layer in self.tdnn)  # type: ignore[misc]

    @property
    def least_frames(self) -> tuple[int, str]:
        """See `StatesHead.least_frames`; a deviation needs two."""
        return 2, "the two frames of which an x-vector's deviation is taken"

    @property
    def convolutions(self) -> list[tuple[int, int, int]]:
        """See `StatesHead.convolutions`."""
        return [*super().convolutions, *((window, 1, 0) for window in self.tdnn_windows)]

    def head(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Return embeddings (batch, dimensions).

        Args:
            states: (batch, frames, hidden).
            mask: 1.0 on the real frames *after* the convolutions, (batch, frames - sum of `tdnn_windows` less one
                each), at least two an utterance; None for all.
        """
        x = self.projector(states)
        for layer in self.tdnn:
            x = layer(x)
        return self.feature_extractor(statistics(x, mask))

    def embeddings(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, samples), real samples (batch,) -> (batch, dimensions): what graphs are exported from.

        Raises:
            InputError: audio that is shorter than `shortest`.
        """
        encoded = self.read(waveform, lengths)
        return self.of_states(encoded.states, encoded.lengths)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> XVectorOutput:
        """Compute embeddings and logits (batch, dimensions), and with labels (batch,) the additive margin loss.

        Statistics are over the real frames. Labels are numbers of speakers below `num_labels`. The encoder's
        arguments: see `SpeechModel.forward`.

        Raises:
            InputError: labels of another shape or beyond `num_labels`, audio shorter than `shortest`, or what the
                encoder refuses.
        """
        if labels is not None:
            labels = checked_classes(labels, len(input_values), self.config.num_labels)
        encoded = self.read_masked(input_values, attention_mask, output_hidden_states, output_attentions)
        embeddings = self.of_states(encoded.states, encoded.lengths)
        logits = self.classifier(embeddings)
        loss = None if labels is None else self.objective(logits, labels)
        output = XVectorOutput(loss, logits, embeddings, encoded.hidden_states, encoded.attentions)
        return answered(output, self.config, return_dict)

    def of_states(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """See `SpeechWithHead.of_states`; the convolutions lose frames."""
        if lengths is None:
            return self.head(states, None)
        lost = sum(self.tdnn_windows) - len(self.tdnn_windows)
        return self.head(states, float_mask(lengths - lost, states[:, lost:]))


def statistics(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return mean and unbiased deviation over real frames: (batch, frames, size) -> (batch, 2 * size).

    By means alone, because a device of 16 bits has too few digits for sums over many frames.
    """
    if mask is None:
        return torch.cat([x.mean(1), x.std(1)], -1)
    share = mask.mean(1, keepdim=True)  # (batch, 1)
    count = mask.sum(1, keepdim=True)
    mean = (x * mask[:, :, None]).mean(1) / share
    squares = ((x - mean[:, None]) * mask[:, :, None]).square().mean(1) / share
    deviation = (squares * (count / (count - 1))).clamp_min(LEAST_VARIANCE).sqrt()
    return torch.cat([mean, deviation], -1)


def _check_sizes(config: SpeechEncoderConfig) -> None:
    tables = {name: getattr(config, name) for name in ("tdnn_dim", "tdnn_kernel", "tdnn_dilation")}
    lengths = [len(table) for table in tables.values()]
    if len(set(lengths)) != 1 or 0 in lengths:
        raise ConfigError(
            "tdnn_dim, tdnn_kernel and tdnn_dilation must have one entry per layer each, got "
            f"{lengths[0]}, {lengths[1]} and {lengths[2]}"
        )
    for name, table in tables.items():
        if min(table) < 1:
            raise ConfigError(f"{name} must be at least 1, got {table}")
    if config.add_adapter and not config.use_weighted_layer_sum and config.output_size != config.hidden_size:
        raise ConfigError(
            f"an x-vector reads states of hidden_size {config.hidden_size}; with add_adapter output_hidden_size must "
            f"be the same, got {config.output_size}"
        )
