"""What contenders of all benchmarks are loaded from: transformers, and our bundle of a checkpoint."""

from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import edgespeech_runtime
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE
from edgespeech_runtime.choices import EngineName, FloatPrecision, Precision

from benchmarks.speech import Speech
from benchmarks.workload import SEED

ENGINES: dict[EngineName, str] = {"onnx": "onnxruntime", "openvino": "OpenVINO", "numpy": "numpy"}

ModelT = TypeVar("ModelT")


def transformers_model(name: str, checkpoint: Path) -> Any:
    """Transformers' class of that name as `from_pretrained` gives it, for inference."""
    transformers: Any = import_module("transformers")
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return getattr(transformers, name).from_pretrained(checkpoint).eval()


def bundle_model(
    kind: type[ModelT],
    checkpoint: Path,
    folder: Path,
    engine: EngineName,
    precision: Precision,
    threads: int,
    speech: Speech | None = None,
) -> ModelT:
    """Our bundle of a checkpoint in our runtime, exported into `folder` unless it is there; `kind` is its class.

    INT8 is made from the bundle in float32, calibrated on `speech`.
    """
    bundle = bundle_folder(folder, engine, precision)
    if not (bundle / MANIFEST_FILE).exists():
        if precision == "int8":
            _quantize(_exported(checkpoint, folder, engine, "float32"), bundle, speech)
        else:
            _exported(checkpoint, folder, engine, precision)
    model = edgespeech_runtime.load(bundle, threads=threads)
    if not isinstance(model, kind):
        raise TypeError(f"{bundle.name} opens as {type(model).__name__}")
    return model


def bundle_folder(folder: Path, engine: EngineName, precision: Precision) -> Path:
    """Where a bundle of ours lies in the folder of a run's models."""
    return folder / f"{engine}-{precision}"


def _exported(checkpoint: Path, folder: Path, engine: EngineName, precision: FloatPrecision) -> Path:
    bundle = bundle_folder(folder, engine, precision)
    if not (bundle / MANIFEST_FILE).exists():
        export(checkpoint, bundle, ExportOptions(engine=engine, precision=precision))
    return bundle


def _quantize(source: Path, target: Path, speech: Speech | None) -> None:
    from edgespeech_calib.quantization import QuantizationOptions, quantize

    if speech is None:
        raise ValueError("INT8 needs speech to calibrate on")
    quantize(source, target, speech.data, QuantizationOptions(samples=speech.samples, seed=SEED))
