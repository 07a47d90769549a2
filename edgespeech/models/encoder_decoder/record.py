"""What `generate` returns beside the sequences: scores, logits, states and attention weights of each step."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.generation import Hypothesis, Ids, Logits
from torch import Tensor

from edgespeech.base.outputs import GenerateOutput
from edgespeech.decoder.layer import Trace
from edgespeech.decoder.past import PastKeyValues

FLAGS = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")


@dataclass
class Record:
    """What a caller wants to see of each step, and what was seen.

    Scores and logits are (batch * rows, vocabulary) for each token, `rows` being the beams, or the samples, of an
    utterance; those of utterances that have ended mean nothing.
    """

    rows: int = 1
    output_scores: bool = False
    output_logits: bool = False
    output_attentions: bool = False
    output_hidden_states: bool = False
    scores: list[list[tuple[Ids, Logits]]] = field(default_factory=list, init=False)
    logits: list[Logits] = field(default_factory=list, init=False)
    traces: list[Trace] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        shown = [name for name in FLAGS[2:] if getattr(self, name)]
        if shown and self.rows > 1:
            raise ArgumentError(
                f"{shown[0]}: what steps attend to is kept for one beam and one sequence, not for several"
            )

    def trace(self) -> Trace:
        """Return what a step of the decoder is to note."""
        attentions = self.output_attentions
        trace = Trace([] if self.output_hidden_states else None, *([] if attentions else None for _ in range(2)))
        self.traces.append(trace)
        return trace

    def computed(self, logits: Logits) -> None:
        """Note a step's logits, (batch, vocabulary) or (batch, rows, vocabulary)."""
        if self.output_scores:
            self.scores.append([])
        if self.output_logits:
            self.logits.append(self._flat(logits if logits.ndim == 3 else logits[:, None]))

    def look(self, scores: Logits, utterances: Ids) -> None:
        """Note what tokens are chosen from."""
        self.scores[-1].append((utterances, scores.copy()))

    def _flat(self, values: Logits) -> Logits:
        """(batch, 1 or rows, vocabulary) -> (batch * rows, vocabulary)."""
        if values.shape[1] < self.rows:
            values = np.repeat(values, self.rows, axis=1)
        return values.reshape(-1, values.shape[2]).copy()

    def output(
        self, sequences: Tensor, hypotheses: list[Hypothesis], several: int, encoded: Any, past: PastKeyValues | None
    ) -> GenerateOutput:
        """Return all that was asked for; `several` hypotheses are of each utterance, `encoded` is of the encoder."""
        device = sequences.device
        beams = [
            [index // several * self.rows + parent for parent in hypothesis.parents]
            for index, hypothesis in enumerate(hypotheses)
        ]
        return GenerateOutput(
            sequences,
            torch.tensor([hypothesis.score for hypothesis in hypotheses], device=device),
            self._scores(len(hypotheses) // several, device) if self.output_scores else None,
            tuple(torch.from_numpy(step).to(device) for step in self.logits) if self.output_logits else None,
            _padded(beams, device) if self.output_scores and any(beams) else None,
            encoded.attentions if self.output_attentions else None,
            encoded.hidden_states if self.output_hidden_states else None,
            self._steps("attentions") if self.output_attentions else None,
            self._steps("cross_attentions") if self.output_attentions else None,
            self._steps("hidden_states") if self.output_hidden_states else None,
            past,
            [torch.tensor(hypothesis.logprobs, device=device) for hypothesis in hypotheses],
        )

    def _scores(self, batch: int, device: torch.device) -> tuple[Tensor, ...]:
        tensors = []
        for step in self.scores:
            if not step:  # of the last token nothing was chosen any more
                continue
            whole = np.zeros((batch * self.rows, step[0][1].shape[1]), np.float32)
            for utterances, scores in step:
                for utterance in np.unique(utterances):
                    own = scores[utterances == utterance]
                    whole[utterance * self.rows : (utterance + 1) * self.rows] = own
            tensors.append(torch.from_numpy(whole).to(device))
        return tuple(tensors)

    def _steps(self, name: str) -> tuple[tuple[Tensor, ...], ...]:
        return tuple(tuple(getattr(trace, name)) for trace in self.traces)


def _padded(rows: list[list[int]], device: torch.device) -> Tensor:
    """Return rows of different lengths as one tensor, -1 behind their ends."""
    longest = max(map(len, rows))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in rows], device=device)
