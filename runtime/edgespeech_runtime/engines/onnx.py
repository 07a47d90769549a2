"""onnxruntime with any of its execution providers: the only module that imports it."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..contracts import Tensor
from ..errors import EngineError, EnginePackageError
from . import Arrays, ComputePrecision, Device, Port, Share, check_ports, one_line
from .onnx_providers import CPU, PROVIDERS, Provider

try:
    import onnxruntime
except ImportError as error:
    raise EnginePackageError("onnx", "onnxruntime", error) from error

ERRORS_ONLY = 3  # onnxruntime's severities: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal
DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}  # the rest are numpy's names: tensor(int64)
LIBRARY = f"onnxruntime {onnxruntime.__version__}"


def register(name: str, library: Path, provider: Provider | None = None) -> None:
    """Load the library of a plug-in provider, once; `provider` says what it is where `PROVIDERS` does not know it.

    Raises EngineError.
    """
    if name not in onnxruntime.get_available_providers():
        try:
            onnxruntime.register_execution_provider_library(name, str(library))
        except Exception as error:  # its exceptions share no other base
            raise EngineError(f"onnxruntime cannot load the provider {name}: {one_line(error)}") from error
    if provider is not None:
        PROVIDERS.setdefault(name, provider)


def offered() -> list[Device]:
    """The providers that can run here, the preferred first; installed plug-ins are loaded."""
    for name, provider in list(PROVIDERS.items()):
        if provider.plugin is not None and (library := provider.plugin.path(provider.plugin.library)) is not None:
            register(name, library)
    there = set(onnxruntime.get_available_providers())
    drivers = {device.ep_name: device for device in _plugged()}
    return [
        Device(f"onnx:{name}", facts.kind, "onnx", LIBRARY, _driver(drivers.get(name)), facts.precisions, facts.static)
        for name, facts in PROVIDERS.items()
        if name in there and facts.is_here()
    ]


def _plugged() -> list[Any]:
    """What the providers see of this machine; versions before 1.22 do not say."""
    return list(getattr(onnxruntime, "get_ep_devices", list)())


def _driver(device: Any) -> str | None:
    if device is None:
        return None
    version = dict(device.ep_metadata).get("version")
    return f"{device.ep_vendor} {device.device.vendor}{f' {version}' if version else ''}".strip()


class Engine:
    """One provider with so many threads inside an operator (None: one per core), which only the CPU's heeds."""

    def __init__(
        self, threads: int | None, device: Device | None = None, precision: ComputePrecision = "exact"
    ) -> None:
        self.device = device or next(each for each in offered() if each.target == CPU)
        self.precision: ComputePrecision = precision
        self._threads = threads or 0  # 0: onnxruntime's default
        self._provider = self.device.target
        onnxruntime.disable_telemetry_events()

    def load(
        self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor], identity: str = ""
    ) -> "Graph":
        """Load `file`; onnxruntime finds the weights beside it by the name in the graph."""
        session = self.session(file)
        check_ports(file, "inputs", [_port(node) for node in session.get_inputs()], inputs)
        check_ports(file, "outputs", [_port(node) for node in session.get_outputs()], outputs)
        return Graph(file, session, [tensor.name for tensor in outputs], self)

    def session(self, file: Path, profile: Path | None = None) -> Any:
        """A session on the provider; `profile` is how the file of its runs is to be called. Raises EngineError."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        if self.precision == "fast":  # ARM only; other processors ignore it
            options.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")
        if profile is not None:
            options.enable_profiling, options.profile_file_prefix = True, str(profile)
        settings = PROVIDERS[self._provider].options(self.precision)
        plugged = [device for device in _plugged() if device.ep_name == self._provider != CPU]
        try:
            if plugged:
                options.add_provider_for_devices(plugged, settings)
                session = onnxruntime.InferenceSession(str(file), options)
            else:
                providers = [(self._provider, settings), *([] if self._provider == CPU else [CPU])]
                session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        except Exception as error:  # its exceptions share no other base
            raise EngineError(f"onnxruntime cannot load {file.name}: {one_line(error)}") from error
        session.disable_fallback()
        if self._provider not in session.get_providers():
            raise EngineError(f"onnxruntime's {self._provider} did not start; {file.name} would run on the CPU instead")
        return session


class Graph:
    """One session; onnxruntime lets many threads run it."""

    def __init__(self, file: Path, session: Any, outputs: list[str], engine: Engine) -> None:
        self._file, self._session, self._outputs, self._engine = file, session, outputs, engine

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:
            raise EngineError(f"onnxruntime failed in {self._file.name}: {one_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))

    def bind(self) -> "Binding":
        """Prepare a series of calls."""
        return Binding(self._file.name, self._session, self._outputs)

    def placement(self, inputs: Arrays) -> list[Share]:
        """Nodes and seconds by provider, in the second of two runs of a session of its own."""
        with tempfile.TemporaryDirectory(prefix="edgespeech-") as folder:
            session = self._engine.session(self._file, Path(folder) / "profile")
            try:
                for _ in range(2):
                    session.run(self._outputs, dict(inputs))
                events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
            except Exception as error:
                raise EngineError(f"onnxruntime failed in {self._file.name}: {one_line(error)}") from error
        seconds: dict[tuple[str, str], float] = {}  # by provider and node; later runs overwrite earlier ones
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                seconds[event["args"].get("provider", CPU), event["name"]] = event["dur"] / 1e6
        providers = {provider for provider, _ in seconds}
        shares = [
            Share(name, len(times), sum(times))
            for name in providers
            for times in [[value for (provider, _), value in seconds.items() if provider == name]]
        ]
        return sorted(shares, key=lambda share: (-share.seconds, share.provider))


class Binding:
    """Inputs as onnxruntime's own values over the caller's memory, so that a call converts nothing."""

    def __init__(self, name: str, session: Any, outputs: list[str]) -> None:
        self._name, self._session, self._outputs = name, session, outputs
        self._inputs: dict[str, Any] = {}

    def set(self, inputs: Arrays) -> None:
        """Bind arrays to inputs."""
        self._inputs.update((name, onnxruntime.OrtValue.ortvalue_from_numpy(array)) for name, array in inputs.items())

    def run(self) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        try:
            values = self._session.run_with_ort_values(self._outputs, self._inputs)
        except Exception as error:
            raise EngineError(f"onnxruntime failed in {self._name}: {one_line(error)}") from error
        return {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}


def _port(node: Any) -> Port:
    dtype = DTYPES.get(node.type, node.type.removeprefix("tensor(").removesuffix(")"))
    return Port(frozenset([node.name]), dtype, len(node.shape))
