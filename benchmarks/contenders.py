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
from edgespeech_export.writers.tracing import quiet
from edgespeech_runtime import CtcModel
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.choices import EngineName, Precision
from torch import Tensor, nn

import edgespeech
from benchmarks import quantizers
from benchmarks.loading import ENGINES, bundle_folder, bundle_model, transformers_model
from benchmarks.speech import Speech
from benchmarks.workload import RATE, SHORTEST

Logits = npt.NDArray[np.float32]
Call = Callable[[], Logits]
Kind = Literal["eager", "plain", "bundle"]  # torch itself, transformers' model exported as it is, our export

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
PLAIN_FILE, PLAIN_IR = "model.onnx", "model.xml"
PLAIN, STATIC, DYNAMIC, NNCF = "plain", "plain-static", "plain-dynamic", "plain-nncf"  # folders


@dataclass(frozen=True)
class Contender:
    """A name, what it is to be compared with, how to make it ready, and the folder that holds it and no other then."""

    name: str
    engine: str
    kind: Kind
    precision: Precision
    load: Callable[[], Call]
    folder: Path | None = None

    @property
    def title(self) -> str:
        """Engine and name, which no two have in common."""
        return f"{self.engine}, {self.name}"


@dataclass(frozen=True)
class Task:
    """What all contenders share: a checkpoint, a folder for what they export, a waveform `[samples]`, threads.

    `speech` calibrates INT8; whoever needs it cannot take part without.
    """

    checkpoint: Path
    folder: Path
    waveform: npt.NDArray[np.float32]
    threads: int
    speech: Speech | None = None

    @property
    def values(self) -> Tensor:
        """The waveform as models take it: normalised, (1, samples)."""
        return torch.from_numpy(normalize(self.waveform))[None]

    def calibrating(self) -> Speech:
        """The speech that calibrates. Raises ValueError."""
        if self.speech is None:
            raise ValueError("INT8 needs speech to calibrate on")
        return self.speech


def contenders(task: Task) -> list[Contender]:
    """Everyone, in the order of the table; the first is the reference of all.

    In each engine the plain export comes first, then what the engine's own tools make of it: of those the first is what
    our INT8 is compared with.
    """
    plain = cache(partial(export_plainly, task))
    return [
        Contender("transformers", "torch", "eager", "float32", partial(load_transformers, task), task.checkpoint),
        Contender("edgespeech", "torch", "eager", "float32", partial(load_reference, task), task.checkpoint),
        _plain(task, "onnx", "plain export", PLAIN, plain),
        _plain(task, "onnx", "plain quantize_static", STATIC, lambda: quantize_statically(plain(), task)),
        _plain(task, "onnx", "plain quantize_dynamic", DYNAMIC, lambda: quantize_dynamically(plain(), task)),
        *(_bundle(task, "onnx", precision) for precision in PRECISIONS),
        _plain(task, "openvino", "plain export", PLAIN, plain),
        _plain(task, "openvino", "plain nncf.quantize", NNCF, lambda: quantize_by_nncf(plain(), task)),
        *(_bundle(task, "openvino", precision) for precision in PRECISIONS),
        _bundle(task, "numpy", "float32"),
    ]


def _plain(task: Task, engine: EngineName, name: str, folder: str, file: Callable[[], Path]) -> Contender:
    load = load_onnx if engine == "onnx" else load_openvino
    precision: Precision = "float32" if folder == PLAIN else "int8"
    return Contender(name, ENGINES[engine], "plain", precision, lambda: load(file(), task), task.folder / folder)


def _bundle(task: Task, engine: EngineName, precision: Precision) -> Contender:
    load = partial(load_bundle, task, engine, precision)
    place = bundle_folder(task.folder, engine, precision)
    return Contender(f"bundle {precision}", ENGINES[engine], "bundle", precision, load, place)


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
    folder = task.folder / PLAIN
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


def quantize_statically(plain: Path, task: Task) -> Path:
    """Return the plain export as onnxruntime's `quantize_static` leaves it."""
    return _quantized(
        task.folder / STATIC / PLAIN_FILE,
        lambda target: quantizers.quantize_static(plain, target, task.calibrating().calibration()),
    )


def quantize_dynamically(plain: Path, task: Task) -> Path:
    """Return the plain export as onnxruntime's `quantize_dynamic` leaves it."""
    return _quantized(task.folder / DYNAMIC / PLAIN_FILE, lambda target: quantizers.quantize_dynamic(plain, target))


def quantize_by_nncf(plain: Path, task: Task) -> Path:
    """Return the plain export in OpenVINO as `nncf.quantize` leaves it."""
    return _quantized(
        task.folder / NNCF / PLAIN_IR,
        lambda target: quantizers.quantize_nncf(plain, target, task.calibrating().calibration()),
    )


def _quantized(file: Path, write: Callable[[Path], None]) -> Path:
    if not file.exists():
        with written_whole(file.parent, force=False) as partial_folder:
            write(partial_folder / file.name)
    return file


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
    speech = task.calibrating() if precision == "int8" else None
    model = bundle_model(CtcModel, task.checkpoint, task.folder, engine, precision, task.threads, speech)
    return lambda: model.logits(task.waveform)
