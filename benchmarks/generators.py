"""Who competes in generation: each contender turns the same audio into tokens, by its own way of running a checkpoint.

A contender's `load` does everything that a user does once: read, convert, compile. What it returns is called with a
number of beams and of tokens; that is timed. To add one, write its loader and give it a line in `contenders`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from edgespeech_runtime import EncoderDecoderModel
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.choices import EngineName

from benchmarks.decoders import Family, Weights
from benchmarks.loading import ENGINES, bundle_model, transformers_model
from benchmarks.quantized_decoders import quantized_model

BUNDLES: dict[Weights, str] = {"float32": "bundle", "int8": "INT8 bundle", "int4": "INT4 bundle"}

Generate = Callable[[int, int], list[int]]  # beams and tokens to the ids generated, without the start token


@dataclass(frozen=True)
class Task:
    """What all contenders share: a checkpoint, a folder for what they export, a waveform `[samples]`, threads."""

    checkpoint: Path
    folder: Path
    waveform: npt.NDArray[np.float32]
    threads: int


@dataclass(frozen=True)
class Contender:
    """The decoder that it runs, its engine and name, how to make it ready, and how its weights are stored."""

    model: Family
    engine: str
    name: str
    load: Callable[[Task], Generate]
    weights: Weights = "float32"

    @property
    def title(self) -> str:
        """What no two have in common."""
        return f"{self.model}, {self.engine}, {self.name}"


def contenders(model: Family) -> list[Contender]:
    """Everyone who runs a decoder, in the order of the table; the first is the reference of all."""
    return [
        Contender(model, "torch", "transformers", load_transformers),
        *(
            Contender(model, title, name, partial(load_bundle, engine, weights), weights)
            for engine, title in ENGINES.items()
            if engine != "numpy"  # it has no integer weights for decoders
            for weights, name in BUNDLES.items()
        ),
    ]


def load_transformers(task: Task) -> Generate:
    """Transformers' model as `from_pretrained` gives it, and its `generate`."""
    model = transformers_model("SpeechEncoderDecoderModel", task.checkpoint)
    values = torch.from_numpy(normalize(task.waveform))[None]

    def generate(beams: int, tokens: int) -> list[int]:
        with torch.inference_mode():
            found: list[int] = model.generate(values, **options(beams, tokens))[0].tolist()
        return found[1:]

    return generate


def load_bundle(engine: EngineName, weights: Weights, task: Task) -> Generate:
    """Our bundle in our runtime, and its `generate`."""
    model = bundle_model(EncoderDecoderModel, task.checkpoint, task.folder, engine, "float32", task.threads)
    if weights != "float32":
        model = quantized_model(model, task.folder, engine, weights, task.waveform, task.threads)

    def generate(beams: int, tokens: int) -> list[int]:
        found: list[int] = model.generate(task.waveform, **options(beams, tokens))
        return found[1:]

    return generate


def options(beams: int, tokens: int) -> dict[str, Any]:
    """Options of both libraries for exactly so many tokens; the checkpoints know no end."""
    return {"num_beams": beams, "min_new_tokens": tokens, "max_new_tokens": tokens, "do_sample": False}
