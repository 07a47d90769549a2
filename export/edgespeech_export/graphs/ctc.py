"""The graph of a CTC model that other runtimes open, as a torch module. Those of ours are in `head_graphs`."""

from dataclasses import replace

import torch
from edgespeech_runtime.audio.waveform import VARIANCE_FLOOR
from edgespeech_runtime.bundle.contracts import LENGTHS, VALUES
from edgespeech_runtime.bundle.contracts import Tensor as TensorSpec
from edgespeech_runtime.bundle.manifest import Vocabulary
from torch import Tensor, nn

from edgespeech.encoder.lengths import real
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.interchange import make_lengths_optional

NORMALIZED = TensorSpec("normalized_values", "float32", ("batch", "samples"))
LOGPROBS = TensorSpec("logprobs", "float32", ("batch", "frames", "vocabulary"))
FRAMES = TensorSpec("logprobs_lengths", "int64", ("batch",))
LOGITS = TensorSpec("logits", "float32", ("batch", "frames", "vocabulary"))
IMPOSSIBLE = -1e4  # log-probability of any token but the blank on padded frames


class Normalized(nn.Module):
    """Each utterance of a padded batch at mean 0 and variance 1."""

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> Tensor:
        """(batch, samples), real samples (batch,) -> (batch, samples), 0 behind an utterance."""
        mask = real(input_lengths, input_values.shape[1]).to(input_values.dtype)
        count = input_lengths[:, None].to(input_values.dtype)
        centred = (input_values - (input_values * mask).sum(-1, keepdim=True) / count) * mask
        variance = centred.square().sum(-1, keepdim=True) / count
        return centred * torch.rsqrt(variance + VARIANCE_FLOOR)


class LogProbabilities(nn.Module):
    """What other runtimes ask for, of logits.

    Those runtimes print every token but the blank, and may read past an utterance's end. So special tokens lend their
    probability to the blank, and padded frames say blank.
    """

    def __init__(self, model: SpeechForCTC, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.model = model
        padded = torch.full((model.config.vocab_size,), IMPOSSIBLE)
        padded[vocabulary.blank] = 0.0
        self.register_buffer("padded", padded, persistent=False)
        self.unprinted = sorted({vocabulary.blank, *vocabulary.special})
        printed = torch.ones(model.config.vocab_size, dtype=torch.bool)
        printed[self.unprinted] = False
        self.register_buffer("printed", printed, persistent=False)

    def forward(self, logits: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, vocabulary), real samples (batch,) -> log-probabilities, and the real frames (batch,)."""
        logprobs = logits.log_softmax(-1)
        if len(self.unprinted) > 1:
            nothing = logprobs[:, :, self.unprinted].amax(-1, keepdim=True)
            logprobs = torch.where(self.get_buffer("printed"), logprobs, nothing + self.get_buffer("padded"))
        frames = self.model.base_model.frames(input_lengths)
        mask = real(frames, logprobs.shape[1])
        return torch.where(mask[:, :, None], logprobs, self.get_buffer("padded")), frames


def interchange_graph(batch: GraphSource, model: SpeechForCTC, normalize: bool, vocabulary: Vocabulary) -> GraphSource:
    """Return the graph that other runtimes open: the one for padded batches, from raw audio to log-probabilities.

    The order of its outputs matters: sherpa-onnx takes the first for log-probabilities and the second, where there is
    one, for their lengths. Others look for the logits themselves.
    """
    after = GraphSource(
        "after", LogProbabilities(model, vocabulary), (LOGITS, LENGTHS), (LOGPROBS, FRAMES), batch.fixed
    )
    parts = [*batch.parts, after]
    if normalize:
        parts[0] = replace(parts[0], inputs=(NORMALIZED, LENGTHS))
        parts.insert(0, GraphSource("before", Normalized(), (VALUES, LENGTHS), (NORMALIZED,)))
    ports = (VALUES, LENGTHS), (LOGPROBS, FRAMES, LOGITS)
    return GraphSource(
        "interchange",
        nn.ModuleList(part.module for part in parts),
        *ports,
        batch.fixed,
        edit=make_lengths_optional,
        parts=tuple(parts),
    )
