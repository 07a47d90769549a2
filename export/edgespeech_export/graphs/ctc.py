"""The graph of a CTC model that other runtimes open, as a torch module. Those of ours are in `head_graphs`."""

import torch
from edgespeech_runtime.audio.waveform import VARIANCE_FLOOR
from edgespeech_runtime.bundle.contracts import LENGTHS, VALUES
from edgespeech_runtime.bundle.contracts import Tensor as TensorSpec
from edgespeech_runtime.bundle.manifest import Vocabulary
from torch import Tensor, nn

from edgespeech.encoder.lengths import real
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech_export.graphs.graphs import GraphSource

LOGPROBS = TensorSpec("logprobs", "float32", ("batch", "frames", "vocabulary"))
IMPOSSIBLE = -1e4  # log-probability of any token but the blank on padded frames


class Interchange(nn.Module):
    """Log-probabilities from raw audio: the form that other runtimes open, normalisation included.

    Those runtimes print every token but the blank, and may read past an utterance's end. So special tokens lend their
    probability to the blank, and padded frames say blank.
    """

    def __init__(self, model: SpeechForCTC, normalize: bool, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.model = model
        self.normalize = normalize
        padded = torch.full((model.config.vocab_size,), IMPOSSIBLE)
        padded[vocabulary.blank] = 0.0
        self.register_buffer("padded", padded, persistent=False)
        self.unprinted = sorted({vocabulary.blank, *vocabulary.special})
        printed = torch.ones(model.config.vocab_size, dtype=torch.bool)
        printed[self.unprinted] = False
        self.register_buffer("printed", printed, persistent=False)

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> Tensor:
        """(batch, samples), real samples (batch,) -> (batch, frames, vocabulary)."""
        if self.normalize:
            input_values = self._normalized(input_values, input_lengths)
        logprobs = self.model.logits(input_values, input_lengths).log_softmax(-1)
        if len(self.unprinted) > 1:
            nothing = logprobs[:, :, self.unprinted].amax(-1, keepdim=True)
            logprobs = torch.where(self.get_buffer("printed"), logprobs, nothing + self.get_buffer("padded"))
        mask = real(self.model.base_model.frames(input_lengths), logprobs.shape[1])
        return torch.where(mask[:, :, None], logprobs, self.get_buffer("padded"))

    @staticmethod
    def _normalized(x: Tensor, lengths: Tensor) -> Tensor:
        mask = real(lengths, x.shape[1]).to(x.dtype)
        count = lengths[:, None].to(x.dtype)
        centred = (x - (x * mask).sum(-1, keepdim=True) / count) * mask
        variance = centred.square().sum(-1, keepdim=True) / count
        return centred * torch.rsqrt(variance + VARIANCE_FLOOR)


def interchange_graph(model: SpeechForCTC, normalize: bool, vocabulary: Vocabulary) -> GraphSource:
    """Return the graph that other runtimes open."""
    module, fixed = Interchange(model, normalize, vocabulary), {"vocabulary": model.config.vocab_size}
    return GraphSource("interchange", module, (VALUES, LENGTHS), (LOGPROBS,), fixed)
