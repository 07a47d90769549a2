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
FRAMES = TensorSpec("logprobs_lengths", "int64", ("batch",))
LOGITS = TensorSpec("logits", "float32", ("batch", "frames", "vocabulary"))
IMPOSSIBLE = -1e4  # log-probability of any token but the blank on padded frames


class Interchange(nn.Module):
    """Log-probabilities from raw audio: the form that other runtimes open, normalisation included.

    Those runtimes print every token but the blank, and may read past an utterance's end. So special tokens lend their
    probability to the blank, and padded frames say blank. Others look for the logits themselves. The order matters:
    sherpa-onnx takes the first output for log-probabilities and the second, where there is one, for their lengths.
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

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, samples), real samples (batch,) -> log-probabilities, the real frames (batch,), and logits.

        Log-probabilities and logits are (batch, frames, vocabulary).
        """
        if self.normalize:
            input_values = self._normalized(input_values, input_lengths)
        logits = self.model.logits(input_values, input_lengths)
        logprobs = logits.log_softmax(-1)
        if len(self.unprinted) > 1:
            nothing = logprobs[:, :, self.unprinted].amax(-1, keepdim=True)
            logprobs = torch.where(self.get_buffer("printed"), logprobs, nothing + self.get_buffer("padded"))
        frames = self.model.base_model.frames(input_lengths)
        mask = real(frames, logprobs.shape[1])
        return torch.where(mask[:, :, None], logprobs, self.get_buffer("padded")), frames, logits

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
    return GraphSource("interchange", module, (VALUES, LENGTHS), (LOGPROBS, FRAMES, LOGITS), fixed)
