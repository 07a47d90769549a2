"""Who competes: each contender turns the same waveform into logits, by its own way of running the same checkpoint.

A contender's `load` does everything that a user does once: read, convert, compile. The call that it returns is what is
timed. To add one, write its loader and give it a line in `contenders`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from edgespeech_export.folder import written_whole
from edgespeech_export.onnx_graph import quiet
from edgespeech_runtime import CtcModel
from edgespeech_runtime.manifest import EngineName, Precision
from edgespeech_runtime.waveform import normalize
from torch import Tensor, nn

import edgespeech
from benchmarks.loading import ENGINES, bundle_model, transformers_model
from benchmarks.workload import RATE, SHORTEST

Logits = npt.NDArray[np.float32]
Call = Callable[[], Logits]
Kind = Literal["eager", "plain", "bundle"]  # torch itself, transformers' model exported as it is, our export

PRECISIONS: tuple[Precision, ...] = ("float32", "float16")
PLAIN_FILE = "model.onnx"


@dataclass(frozen=True)
class Contender:
    """A name, what it is to be compared with, and how to make it ready."""

    name: str
    engine: str
    kind: Kind
    precision: Precision
    load: Callable[[], Call]

    @property
    def title(self) -> str:
        """Engine and name, which no two have in common."""
        return f"{self.engine}, {self.name}"


@dataclass(frozen=True)
class Task:
    """What all contenders share: a checkpoint, a folder for what they export, a waveform `[samples]`, threads."""

    checkpoint: Path
    folder: Path
    waveform: npt.NDArray[np.float32]
    threads: int

    @property
    def values(self) -> Tensor:
        """The waveform as models take it: normalised, (1, samples)."""
        return torch.from_numpy(normalize(self.waveform))[None]


def contenders(task: Task) -> list[Contender]:
    """Everyone, in the order of the table; the first is the reference of all."""
    plain = cache(partial(export_plainly, task))
    return [
        Contender("transformers", "torch", "eager", "float32", partial(load_transformers, task)),
        Contender("edgespeech", "torch", "eager", "float32", partial(load_reference, task)),
        Contender("plain export", ENGINES["onnx"], "plain", "float32", lambda: load_onnx(plain(), task)),
        *(_bundle(task, "onnx", precision) for precision in PRECISIONS),
        Contender("plain export", ENGINES["openvino"], "plain", "float32", lambda: load_openvino(plain(), task)),
        *(_bundle(task, "openvino", precision) for precision in PRECISIONS),
    ]


def load_transformers(task: Task) -> Call:
    """Transformers' model as `from_pretrained` gives it, in torch's eager mode."""
    model, values = transformers_model("Wav2Vec2ForCTC", task.checkpoint), task.values

    def call() -> Logits:
        with torch.inference_mode():
            return model(values).logits[0].numpy()

    return call


def load_reference(task: Task) -> Call:
    """Our reference model, in torch's eager mode."""
    model, values = edgespeech.AutoModelForCTC.from_pretrained(task.checkpoint), task.values

    def call() -> Logits:
        with torch.inference_mode():
            return model(values).logits[0].numpy()

    return call


def export_plainly(task: Task) -> Path:
    """Export transformers' model with torch alone, as its documentation says, and return the file."""
    folder = task.folder / "plain"
    if not folder.exists():
        axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("samples", min=SHORTEST)}
        with torch.no_grad(), quiet():
            program = torch.onnx.export(
                LogitsOnly(transformers_model("Wav2Vec2ForCTC", task.checkpoint)),
                (torch.randn(2, RATE),),
                dynamo=True,
                input_names=["input_values"],
                output_names=["logits"],
                dynamic_shapes=(axes,),
                verbose=False,
            )
        assert program is not None
        with written_whole(folder, force=False) as partial_folder:
            program.save(partial_folder / PLAIN_FILE, external_data=True)
    return folder / PLAIN_FILE


class LogitsOnly(nn.Module):
    """Gives the logits where transformers' model gives a dictionary."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, vocabulary)."""
        return self.model(input_values).logits


def load_onnx(file: Path, task: Task) -> Call:
    """An ONNX file in onnxruntime on the CPU, with its default optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    inputs = {"input_values": task.values.numpy()}
    return lambda: session.run(["logits"], inputs)[0][0]


def load_openvino(file: Path, task: Task) -> Call:
    """An ONNX file in OpenVINO on the CPU, tuned for one utterance at a time in float32."""
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": task.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.compile_model(file, "CPU", settings)
    inputs = {"input_values": task.values.numpy()}
    return lambda: np.array(compiled(inputs)["logits"][0])


def load_bundle(task: Task, engine: EngineName, precision: Precision) -> Call:
    """Our bundle in our runtime, from the raw waveform: normalisation is part of the work."""
    model = bundle_model(CtcModel, task.checkpoint, task.folder, engine, precision, task.threads)
    return lambda: model.logits(task.waveform)


def _bundle(task: Task, engine: EngineName, precision: Precision) -> Contender:
    return Contender(
        f"bundle {precision}", ENGINES[engine], "bundle", precision, partial(load_bundle, task, engine, precision)
    )
