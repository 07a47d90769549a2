"""Proof that a bundle of a speech encoder-decoder computes and says what the reference model does."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from edgespeech_runtime import EncoderDecoderModel
from edgespeech_runtime.bundle.contracts import NEXT_LOGITS, TOKENS, VALUES, Decoder
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.engines.devices import open_engine
from edgespeech_runtime.generation import GenerationOptions, generate, sequences
from torch import Tensor

from edgespeech.decoder import TextDecoder
from edgespeech.generation import CachedSteps
from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
from edgespeech_export.errors import ProofError
from edgespeech_export.proof import proof
from edgespeech_export.proof.proof import Arrays, Logits, Reference, Waveform, difference, model_input

Ids = npt.NDArray[np.int64]

MOST_TOKENS = 24  # of each sequence that is compared
BEAMS = 4
GOLDEN_TOKENS = 4  # whose logits the golden output holds: a vocabulary may have 250 000 tokens
SHAKEN = 8  # times that a text is generated over shaken logits, to see whether it is certain


@dataclass(frozen=True)
class WrittenReference(Reference):
    """What a speech encoder-decoder says: logits after each of the tokens that it writes without any option.

    Attributes:
        decoder: that says it.
        facts: the decoder's, in the manifest.
        states: what the decoder attends to of each input, (1, frames, size).
        tokens: (1, tokens) of each input, the start token first.
    """

    decoder: TextDecoder
    facts: Decoder
    states: list[Tensor]
    tokens: list[Ids]

    def again(self, model: Any) -> "WrittenReference":
        """See `Reference.again`; the tokens are the same."""
        return reference(model, self.facts, self.waveforms, self.normalized, self.tokens)

    def golden(self) -> Arrays:
        """See `Reference.golden`: logits after each of the first tokens that the model itself says."""
        values = model_input(self.waveforms[0], self.normalized)
        tokens, logits = self.tokens[0][:, :GOLDEN_TOKENS], self.exact[0][None, :GOLDEN_TOKENS]
        return {VALUES.name: values, TOKENS.name: tokens, NEXT_LOGITS.name: logits}

    def prove(self, bundle: Path) -> dict[str, object]:
        """See `Reference.prove`.

        Logits: after each token of what the model itself says to the golden input and to lengths at the edges, read
        one by one over the cache, for each input alone and for all as one padded batch. Tokens: greedy and with beams,
        with the checkpoint's options.

        Raises:
            ProofError: a difference of logits beyond what is allowed, or other tokens where the model is certain.
        """
        with EncoderDecoderModel(opened := open_bundle(bundle), open_engine(opened.manifest.engine)) as runtime:
            alone = [runtime.step_logits([w], row)[0] for w, row in zip(self.waveforms, self.tokens, strict=True)]
            runtime.unload()  # each graph may take as much memory as its weights
            stacked = runtime.step_logits(self.waveforms, _stacked(self.tokens))
            together = [parity[: len(own)] for parity, own in zip(stacked, self.exact, strict=True)]
            parity: dict[str, Any] = {
                "frames": [runtime.manifest.frames.count(len(waveform)) for waveform in self.waveforms],
                "tokens": [row.shape[1] for row in self.tokens],
                "float32": self.float32,
                "single": difference(self.exact, alone),
                "batch": difference(self.exact, together),
                "largest_logit": self.largest,
                "tolerance": self.allowed,
            }
            for name in ("single", "batch"):
                proof.require("decoder", parity[name], self)
            runtime.unload()
            agreed = [self.agrees(runtime, beams) for beams in (1, BEAMS)]
            parity["same_tokens"] = all(agreed)
            runtime.self_check()
        return parity

    def agrees(self, runtime: EncoderDecoderModel, beams: int) -> bool:
        """Say whether the bundle generates what the model does, with the checkpoint's options but for length and beams.

        Raises:
            ProofError: it does not, and the model writes the same when its logits are off by as much as is allowed.
        """
        static = runtime.manifest.static
        room = MOST_TOKENS if static is None else static.slots // beams
        length = min(MOST_TOKENS, room, self.facts.longest or MOST_TOKENS)
        options: dict[str, Any] = {"num_beams": beams, "max_length": length, "do_sample": False, "max_new_tokens": None}
        options |= {"num_return_sequences": 1, "min_length": None, "min_new_tokens": None}
        settings = GenerationOptions.from_defaults(self.facts.generation, **options)
        same = True
        for here, states in zip(runtime.generate(self.waveforms, **options), self.states, strict=True):
            there = self._text(states, settings)
            if here == there:
                continue
            if all(self._text(states, settings, self.allowed, seed) == there for seed in range(SHAKEN)):
                how = "greedily" if beams == 1 else f"with {beams} beams"
                raise ProofError(
                    f"the bundle writes the tokens {here} {how} where the reference model is certain of {there}; "
                    "no bundle was written"
                )
            same = False
        return same

    def _text(self, states: Tensor, options: GenerationOptions, most: float = 0.0, seed: int = 0) -> list[int]:
        """What the model writes over what its decoder attends to, with logits that are off by at most `most`."""
        steps = Shaken(self.decoder, states, most, seed)
        text: list[int] = _written(steps, options.prompt(1), options)[0].tolist()
        return text


def reference(
    model: SpeechEncoderDecoderModel,
    facts: Decoder,
    waveforms: list[Waveform],
    normalized: bool,
    tokens: list[Ids] | None = None,
) -> WrittenReference:
    """Run the model on each input, in float64 and in float32; `tokens` are read in place of those that it writes.

    The logits are computed without a cache. Positions are those of generation, where padding counts: a decoder with
    sinusoidal ones would leave it out here.
    """
    values = [torch.from_numpy(model_input(waveform, normalized)) for waveform in waveforms]
    with torch.no_grad():
        states = [model.encode(each)[0] for each in values]
    if tokens is None:
        prompt = GenerationOptions.from_defaults(facts.generation).prompt(1)
        tokens = [_said(model, each, prompt, min(MOST_TOKENS, facts.longest or MOST_TOKENS)) for each in states]
    read = [torch.from_numpy(row) for row in tokens]

    def outputs(dtype: torch.dtype) -> Iterator[Tensor]:
        for index, (each, row) in enumerate(zip(values, read, strict=True)):
            encoded = states[index] if dtype == torch.float32 else model.encode(each.to(dtype))[0]
            positions = torch.arange(row.shape[1])[None]
            yield model.decoder(row, encoder_hidden_states=encoded, position_ids=positions).logits[0]

    return WrittenReference(waveforms, normalized, *proof.exactly(model, outputs), model.decoder, facts, states, tokens)


class Shaken(CachedSteps):
    """A decoder whose logits are off by at most so much, each by chance, as those of an engine may be."""

    def __init__(self, decoder: TextDecoder, states: Tensor, most: float, seed: int) -> None:
        super().__init__(decoder, states, None)
        self._most, self._chance = most, np.random.default_rng(seed)

    def _logits(self, tokens: Tensor, positions: Tensor, seen: npt.NDArray[Any]) -> Logits:
        logits = super()._logits(tokens, positions, seen)
        return logits + self._chance.uniform(-self._most, self._most, logits.shape).astype(np.float32)


def _said(model: SpeechEncoderDecoderModel, states: Tensor, prompt: Ids, length: int) -> Ids:
    """What the model says without any option: (1, tokens), the prompt first."""
    if length <= prompt.shape[1]:
        return prompt
    return _written(CachedSteps(model.decoder, states, None), prompt, GenerationOptions(max_length=length))


@torch.no_grad()
def _written(steps: CachedSteps, prompt: Ids, options: GenerationOptions) -> Ids:
    """What a decoder writes behind a prompt, (1, tokens), the prompt first."""
    return sequences(generate(steps, prompt, options, limit=steps.decoder.max_length), prompt, padding=0)


def _stacked(rows: list[Ids]) -> Ids:
    """Put sequences (1, tokens) below each other; what stands behind a shorter one has no meaning."""
    stacked = np.zeros((len(rows), max(row.shape[1] for row in rows)), np.int64)
    for target, row in zip(stacked, rows, strict=True):
        target[: row.shape[1]] = row
    return stacked
