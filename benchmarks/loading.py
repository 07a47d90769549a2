"""What contenders of all benchmarks are loaded from: transformers, and our bundle of a checkpoint."""

from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import edgespeech_runtime
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.manifest import MANIFEST_FILE, EngineName, Precision

ENGINES: dict[EngineName, str] = {"onnx": "onnxruntime", "openvino": "OpenVINO"}

ModelT = TypeVar("ModelT")


def transformers_model(name: str, checkpoint: Path) -> Any:
    """Transformers' class of that name as `from_pretrained` gives it, for inference."""
    transformers: Any = import_module("transformers")
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return getattr(transformers, name).from_pretrained(checkpoint).eval()


def bundle_model(
    kind: type[ModelT], checkpoint: Path, folder: Path, engine: EngineName, precision: Precision, threads: int
) -> ModelT:
    """Our bundle of a checkpoint in our runtime, exported into `folder` unless it is there; `kind` is its class."""
    bundle = folder / f"{engine}-{precision}"
    if not (bundle / MANIFEST_FILE).exists():
        export(checkpoint, bundle, ExportOptions(engine=engine, precision=precision))
    model = edgespeech_runtime.load(bundle, threads=threads)
    if not isinstance(model, kind):
        raise TypeError(f"{bundle.name} opens as {type(model).__name__}")
    return model
