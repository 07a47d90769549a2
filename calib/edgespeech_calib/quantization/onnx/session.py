"""Running graphs that exist for a moment only, over the weights of a bundle, and reading ONNX Runtime's profile."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from edgespeech_runtime.bundle.contracts import VALUES
from edgespeech_runtime.engines.onnx import onnxruntime  # without its telemetry

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import Values

ERRORS_ONLY = 3  # onnxruntime's severities: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal
KERNEL = "_kernel_time"  # behind the name of a node in the profile


def over_weights(model: onnx.ModelProto, weights: Path) -> Any:
    """Return a session over a graph that lies in no file, whose large weights lie in files of the folder `weights`.

    Raises:
        QuantizationError: ONNX Runtime refused the graph.
    """
    options = _options()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
    return _open(model.SerializeToString(), options)


def open_session(file: Path, profile: Path | None = None, signed: bool = False) -> Any:
    """Open a graph as the runtime does, with profiling where `profile`, the beginning of a file's name, is given.

    With `signed`, integer products of signed activations are formed on x86 too, as they always are on ARM.

    Raises:
        QuantizationError: ONNX Runtime refused the graph.
    """
    options = _options()
    if signed:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return _open(str(file), options)


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    return options


def _open(model: str | bytes, options: Any) -> Any:
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no other base
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise QuantizationError(f"onnxruntime cannot load the quantized graph: {reason}") from error


def run(session: Any, values: Values) -> dict[str, Any]:
    """Run an utterance (1, samples); returns all outputs by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {VALUES.name: values.astype(np.float32)}), strict=True))


@dataclass(frozen=True)
class Kernel:
    """A node as ONNX Runtime ran it: the name it had in the file, the operator it became, shapes that it saw."""

    node: str
    operator: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]


def profile(file: Path, values: Values, signed: bool) -> list[Kernel]:
    """Run an utterance under the profiler; see `open_session` for `signed`."""
    with tempfile.TemporaryDirectory(prefix="edgespeech-profile-") as folder:
        session = open_session(file, Path(folder) / "profile", signed)
        run(session, values)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return [_kernel(event) for event in events if event.get("cat") == "Node" and event["name"].endswith(KERNEL)]


def _kernel(event: dict[str, Any]) -> Kernel:
    facts = event["args"]
    node = event["name"].removesuffix(KERNEL).split("/")[0].split("_token_")[0]  # what fusions put behind a name
    inputs = tuple(_shape(entry) for entry in facts.get("input_type_shape", ()))
    outputs = facts.get("output_type_shape") or [{}]
    return Kernel(node, facts["op_name"], inputs, _shape(outputs[0]))


def _shape(entry: dict[str, list[int]]) -> tuple[int, ...]:
    """Of {"float": [1, 49, 768]}."""
    return tuple(next(iter(entry.values()), ()))
