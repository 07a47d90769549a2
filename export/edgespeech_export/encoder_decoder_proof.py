"""Proof that a bundle of a speech encoder-decoder computes and says what the reference model does."""

from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import numpy.typing as npt
import torch
from edgespeech_runtime.contracts import Decoder
from edgespeech_runtime.generation import GenerationOptions, generate, sequences
from edgespeech_runtime.manifest import FloatPrecision
from edgespeech_runtime.waveform import normalize

from edgespeech.generation import CachedSteps
from edgespeech.models.encoder_decoder import SpeechEncoderDecoderModel
from edgespeech_export import proof
from edgespeech_export.errors import ProofError
from edgespeech_export.proof import Logits, Waveform, difference

Ids = npt.NDArray[np.int64]

MOST_TOKENS = 24  # of each sequence that is compared
BEAMS = 4


def prove(
    bundle: Path, model: SpeechEncoderDecoderModel, facts: Decoder, precision: FloatPrecision
) -> dict[str, object]:
    """Compare the bundle with the model, and return the report.

    Logits: after each token of what the model itself says to the golden input and to lengths at the edges, read one by
    one over the cache, for each input alone and for all as one padded batch. Tokens, greedy and with beams, are only
    reported: two that are equally probable may change places by rounding.

    Raises:
        ProofError: a difference of logits beyond the tolerance; the message says where and by how much.
    """
    with edgespeech_runtime.load(bundle, self_check="never") as runtime:
        if not isinstance(runtime, edgespeech_runtime.EncoderDecoderModel):
            raise ProofError(f"{bundle.name} opens as another kind of model; no bundle was written")
        audio = runtime.manifest.audio
        waveforms = proof.waveforms(audio, runtime.manifest.static)
        values = [(normalize(waveform) if audio.normalize else waveform)[None] for waveform in waveforms]
        tokens = [said(model, value, facts, MOST_TOKENS) for value in values]
        expected = [reference(model, value, row) for value, row in zip(values, tokens, strict=True)]
        alone = [runtime.step_logits([w], row)[0] for w, row in zip(waveforms, tokens, strict=True)]
        together = runtime.step_logits(waveforms, _stacked(tokens))
        largest = max(float(np.abs(logits).max()) for logits in expected)
        found: dict[str, Any] = {
            "frames": [runtime.manifest.frames.count(len(waveform)) for waveform in waveforms],
            "tokens": [row.shape[1] for row in tokens],
            "single": difference(expected, alone),
            "batch": difference(expected, [r[: len(e)] for r, e in zip(together, expected, strict=True)]),
            "largest_logit": largest,
            "tolerance": proof.tolerance(precision, largest),
            "same_tokens": all(_agrees(runtime, model, waveforms, values, facts, beams) for beams in (1, BEAMS)),
        }
        for name in ("single", "batch"):
            proof.require("decoder", found[name], found["tolerance"])
        runtime.self_check()
    return found


def said(model: SpeechEncoderDecoderModel, values: Waveform, facts: Decoder, most: int) -> Ids:
    """Return what the model says to (1, samples) without any option: (1, tokens), the start token first."""
    start = GenerationOptions.from_defaults(facts.generation).prompt(1)
    length = most if facts.longest is None else min(most, facts.longest)
    if length <= start.shape[1]:
        return start
    with torch.inference_mode():
        states, _ = model.encode(torch.from_numpy(values))
        steps = CachedSteps(model.decoder, states, None)
        found = generate(steps, start, GenerationOptions(max_length=length))
    return sequences(found, start, padding=0)


def reference(model: SpeechEncoderDecoderModel, values: Waveform, tokens: Ids) -> Logits:
    """Return logits after each token, computed without a cache: (1, samples), (1, tokens) -> [tokens, vocabulary].

    Positions are those of generation, where padding counts: a decoder with sinusoidal ones would leave it out here.
    """
    positions = torch.arange(tokens.shape[1])[None]
    with torch.inference_mode():
        states, _ = model.encode(torch.from_numpy(values))
        found = model.decoder(torch.from_numpy(tokens), encoder_hidden_states=states, position_ids=positions)
    logits: Logits = found.logits[0].numpy()
    return logits


def _agrees(
    runtime: edgespeech_runtime.EncoderDecoderModel,
    model: SpeechEncoderDecoderModel,
    waveforms: list[Waveform],
    values: list[Waveform],
    facts: Decoder,
    beams: int,
) -> bool:
    """Say whether the bundle generates what the model does, with the checkpoint's options but for length and beams."""
    static = runtime.manifest.static
    room = MOST_TOKENS if static is None else static.slots // beams
    length = min(MOST_TOKENS, room, facts.longest or MOST_TOKENS)
    options: dict[str, Any] = {"num_beams": beams, "max_length": length, "do_sample": False, "max_new_tokens": None}
    options |= {"num_return_sequences": 1, "min_length": None, "min_new_tokens": None}
    here = runtime.generate(waveforms, **options)
    there = [model.generate(torch.from_numpy(value), **options)[0].tolist() for value in values]
    return all(a == b[: len(a)] for a, b in zip(here, there, strict=True))


def _stacked(rows: list[Ids]) -> Ids:
    """Put sequences (1, tokens) below each other; what stands behind a shorter one has no meaning."""
    stacked = np.zeros((len(rows), max(row.shape[1] for row in rows)), np.int64)
    for target, row in zip(stacked, rows, strict=True):
        target[: row.shape[1]] = row
    return stacked
