"""Proof that the bundle of an encoder with a head computes what the reference model computes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import torch
from edgespeech_runtime.contracts import Task
from edgespeech_runtime.manifest import FloatPrecision
from edgespeech_runtime.waveform import normalize
from torch import nn

from edgespeech_export import proof
from edgespeech_export.head_graphs import computed
from edgespeech_export.proof import Logits, Waveform, difference


@dataclass(frozen=True)
class Parity:
    """What was compared and how it came out: the largest difference of any number from the reference model's."""

    frames: list[int]  # of each utterance
    single: float
    batch: float
    largest_logit: float
    tolerance: float


def prove(bundle: Path, model: nn.Module, task: Task, precision: FloatPrecision) -> dict[str, object]:
    """Compare the bundle with the model: golden input, lengths at the edges alone, and all of them as one padded batch.

    Returns the report for the manifest: the numbers, and whether the answers that follow from them are the same.

    Raises:
        ProofError: a difference beyond the tolerance; the message says where and by how much.
    """
    with edgespeech_runtime.load(bundle, self_check="never") as opened:
        runtime: Any = opened
        facts = runtime.manifest.audio
        waveforms = proof.waveforms(facts, runtime.manifest.static)
        expected = [_reference(model, task, waveform, facts.normalize) for waveform in waveforms]
        run = runtime.embed if task == "audio-xvector" else runtime.logits
        alone = [run(waveform) for waveform in waveforms]
        together = run(waveforms, batch_size=len(waveforms))
        largest = max(float(np.abs(output).max()) for output in expected)
        parity = Parity(
            frames=[runtime.manifest.frames.count(len(waveform)) for waveform in waveforms],
            single=difference(expected, alone),
            batch=difference(expected, together),
            largest_logit=largest,
            tolerance=proof.tolerance(precision, largest),
        )
        for name in ("single", "batch"):
            proof.require(name, getattr(parity, name), parity.tolerance)
        runtime.self_check()
    return {**asdict(parity), **_answers(task, expected * 2, alone + together)}


def _reference(model: nn.Module, task: Task, waveform: Waveform, normalized: bool) -> Logits:
    values = torch.from_numpy(normalize(waveform) if normalized else waveform)
    with torch.inference_mode():
        output: Logits = computed(model, task)(values[None])[0].numpy()
    return output


def _answers(task: Task, expected: list[Logits], found: list[Logits]) -> dict[str, object]:
    """Whether what follows from the outputs is the same; of embeddings, how alike their directions are."""
    pairs = list(zip(expected, found, strict=True))
    if task == "audio-xvector":
        return {"least_cosine": min(float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for a, b in pairs)}
    if task == "audio-frame-classification":
        return {"same_labels": all(np.array_equal(a > 0, b > 0) for a, b in pairs)}  # above a probability of 1/2
    same = all(np.array_equal(a.argmax(-1), b.argmax(-1)) for a, b in pairs)
    return {"same_tokens" if task == "ctc" else "same_labels": same}
