"""What is known of onnxruntime's execution providers, which is not imported here. To add one: a line in `PROVIDERS`.

https://onnxruntime.ai/docs/execution-providers
"""

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..choices import Kind
from . import ComputePrecision

Options = Mapping[str, str]


@dataclass(frozen=True)
class Plugin:
    """A provider that comes as a package of its own: the package, and its libraries without prefix and suffix."""

    package: str
    library: str
    backend: str | None = None  # a second library, named to the provider as `backend_path`

    def path(self, library: str) -> Path | None:
        """Where a library of the package lies, None where it is not installed; the package is not imported."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            return None
        file = f"{library}.dll" if sys.platform == "win32" else f"lib{library}.so"
        path = Path(spec.origin).parent / file
        return path if path.is_file() else None

    @property
    def name(self) -> str:
        """The package with its version as far as it is known, which is read from what an installer leaves beside it."""
        spec = importlib.util.find_spec(self.package)
        folder = None if spec is None or spec.origin is None else Path(spec.origin).parents[1]
        notes = [] if folder is None else sorted(folder.glob(f"{self.package}-*.dist-info"))
        return " ".join(notes[-1].stem.split("-", 1)) if notes else self.package


@dataclass(frozen=True)
class Provider:
    """What a provider runs on and computes in, whether it needs fixed shapes, its options, whether it can run here.

    With `compiles`, onnxruntime writes graphs as the provider compiled them ("EP contexts"). `memory` is what it calls
    the memory where outputs can stay and another session finds them; None: they come to the host.
    """

    kind: Kind
    precisions: tuple[str, ...] = ("float32", "float16")
    static: bool = False
    compiles: bool = False
    memory: str | None = None
    exact: Options = field(default_factory=dict)
    fast: Options = field(default_factory=dict)  # over those of `exact`
    plugin: Plugin | None = None
    is_here: Callable[[], bool] = lambda: True
    driver: Callable[[], str | None] = lambda: None  # of a provider that is no plug-in; those tell onnxruntime

    def settings(self, precision: ComputePrecision) -> dict[str, str]:
        """What is computed how: options without those that say where a library lies."""
        return {**self.exact, **(self.fast if precision == "fast" else {})}

    def options(self, precision: ComputePrecision) -> dict[str, str]:
        """Options for a session."""
        chosen = self.settings(precision)
        if self.plugin is not None and self.plugin.backend is not None:
            chosen["backend_path"] = str(self.plugin.path(self.plugin.backend))
        return chosen


def nvidia() -> str | None:
    """NVIDIA's first GPU and the version of CUDA that its driver brings; None where there is no driver or no GPU."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    count, device, version, name = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value < 1:
        return None
    driver.cuDriverGetVersion(ctypes.byref(version))
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDeviceGetName(name, len(name), device)
    return f"{name.value.decode()}, CUDA {version.value // 1000}.{version.value % 1000 // 10}"


def has_nvidia() -> bool:
    """Whether NVIDIA's driver is there and sees a GPU."""
    return nvidia() is not None


def has_amd() -> bool:
    """Whether AMD's compute driver is there."""
    return Path("/dev/kfd").exists()


QNN = Plugin("onnxruntime_qnn", "onnxruntime_providers_qnn", backend="QnnHtp")

# In the order of preference within a kind.
PROVIDERS: dict[str, Provider] = {
    "CUDAExecutionProvider": Provider(
        "gpu", memory="cuda", exact={"use_tf32": "0"}, fast={"use_tf32": "1"}, is_here=has_nvidia, driver=nvidia
    ),
    "NvTensorRTRTXExecutionProvider": Provider("gpu", compiles=True, memory="cuda", is_here=has_nvidia, driver=nvidia),
    "TensorrtExecutionProvider": Provider(
        "gpu", compiles=True, memory="cuda", fast={"trt_fp16_enable": "1"}, is_here=has_nvidia, driver=nvidia
    ),
    "MIGraphXExecutionProvider": Provider("gpu", fast={"migraphx_fp16_enable": "1"}, is_here=has_amd),
    "DmlExecutionProvider": Provider("gpu", memory="dml"),
    "WebGpuExecutionProvider": Provider("gpu", ("float32",), memory="webgpu"),
    "QNNExecutionProvider": Provider(
        # By default the CPU quantizes inputs and dequantizes outputs.
        "npu",
        ("float16", "int8"),
        static=True,
        compiles=True,
        exact={"offload_graph_io_quantization": "0"},
        plugin=QNN,
    ),
    "CoreMLExecutionProvider": Provider("npu", ("float16",), exact={"ModelFormat": "MLProgram"}),
    "OpenVINOExecutionProvider": Provider("cpu", ("float32", "int8"), compiles=True, exact={"device_type": "CPU"}),
    "CPUExecutionProvider": Provider("cpu", ("float32", "int8")),
}
CPU = "CPUExecutionProvider"
