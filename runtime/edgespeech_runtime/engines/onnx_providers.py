"""What is known of onnxruntime's execution providers, which is not imported here. To add one: a line in `PROVIDERS`.

https://onnxruntime.ai/docs/execution-providers
"""

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import ComputePrecision, Kind

Options = Mapping[str, str]


@dataclass(frozen=True)
class Plugin:
    """A provider that comes as a package of its own: the package, and its libraries without prefix and suffix."""

    package: str
    library: str
    backend: str | None = None  # a second library, named to the provider as `backend_path`

    def path(self, library: str) -> Path | None:
        """Where a library of the package lies, None where it is not installed; the package is not imported."""
        found = importlib.util.find_spec(self.package)
        if found is None or found.origin is None:
            return None
        file = f"{library}.dll" if sys.platform == "win32" else f"lib{library}.so"
        path = Path(found.origin).parent / file
        return path if path.is_file() else None


@dataclass(frozen=True)
class Provider:
    """What a provider runs on and computes in, whether it needs fixed shapes, its options, whether it can run here."""

    kind: Kind
    precisions: tuple[str, ...] = ("float32", "float16")
    static: bool = False
    exact: Options = field(default_factory=dict)
    fast: Options = field(default_factory=dict)  # over those of `exact`
    plugin: Plugin | None = None
    is_here: Callable[[], bool] = lambda: True

    def options(self, precision: ComputePrecision) -> dict[str, str]:
        """Options for a session."""
        chosen = {**self.exact, **(self.fast if precision == "fast" else {})}
        if self.plugin is not None and self.plugin.backend is not None:
            chosen["backend_path"] = str(self.plugin.path(self.plugin.backend))
        return chosen


def has_nvidia() -> bool:
    """Whether NVIDIA's driver is there and sees a GPU."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def has_amd() -> bool:
    """Whether AMD's compute driver is there."""
    return Path("/dev/kfd").exists()


QNN = Plugin("onnxruntime_qnn", "onnxruntime_providers_qnn", backend="QnnHtp")

# In the order of preference within a kind.
PROVIDERS: dict[str, Provider] = {
    "CUDAExecutionProvider": Provider("gpu", exact={"use_tf32": "0"}, fast={"use_tf32": "1"}, is_here=has_nvidia),
    "NvTensorRTRTXExecutionProvider": Provider("gpu", is_here=has_nvidia),
    "TensorrtExecutionProvider": Provider("gpu", fast={"trt_fp16_enable": "1"}, is_here=has_nvidia),
    "MIGraphXExecutionProvider": Provider("gpu", fast={"migraphx_fp16_enable": "1"}, is_here=has_amd),
    "DmlExecutionProvider": Provider("gpu"),
    "WebGpuExecutionProvider": Provider("gpu", ("float32",)),
    "QNNExecutionProvider": Provider(
        # By default the CPU quantizes inputs and dequantizes outputs.
        "npu",
        ("float16", "int8"),
        static=True,
        exact={"offload_graph_io_quantization": "0"},
        plugin=QNN,
    ),
    "CoreMLExecutionProvider": Provider("npu", ("float16",), exact={"ModelFormat": "MLProgram"}),
    "OpenVINOExecutionProvider": Provider("cpu", ("float32", "int8"), exact={"device_type": "CPU"}),
    "CPUExecutionProvider": Provider("cpu", ("float32", "int8")),
}
CPU = "CPUExecutionProvider"
