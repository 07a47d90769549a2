"""onnxruntime with any of its execution providers: the only module that imports it."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..bundle.contracts import Tensor
from ..errors import EngineError, EnginePackageError
from . import ComputePrecision, Device, Port, check_ports, one_line
from .compiled import SLOW, kept
from .onnx_graph import DeviceGraph, Graph
from .onnx_providers import CPU, PROVIDERS, Provider
from .threads import threads_of_each

TELEMETRY = "ORT_DISABLE_TELEMETRY"


def _import_onnxruntime() -> Any:
    """Import onnxruntime without its telemetry, which writes to the home folder in the import itself."""
    before = os.environ.get(TELEMETRY)
    os.environ[TELEMETRY] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise EnginePackageError("onnx", "onnxruntime", error) from error
    finally:
        if before is None:
            del os.environ[TELEMETRY]
        else:
            os.environ[TELEMETRY] = before
    return onnxruntime


onnxruntime = _import_onnxruntime()

ERRORS_ONLY, FATAL_ONLY = 3, 4  # onnxruntime's severities: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal
DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}  # the rest are numpy's names: tensor(int64)
COMPILES = hasattr(onnxruntime, "OrtCompileApiFlags")  # from 1.23
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
        Device(
            *(f"onnx:{name}", facts.kind, "onnx", _library(facts), _driver(drivers.get(name)) or facts.driver()),
            *(facts.precisions, facts.static),
        )
        for name, facts in PROVIDERS.items()
        if name in there and facts.is_here()
    ]


def _plugged() -> list[Any]:
    """What the providers see of this machine; versions before 1.22 do not say."""
    return list(getattr(onnxruntime, "get_ep_devices", list)())


def _library(provider: Provider) -> str:
    """onnxruntime and, where the provider is a package of its own, that, with their versions."""
    return LIBRARY if provider.plugin is None else f"{LIBRARY}, {provider.plugin.name}"


def _driver(device: Any) -> str | None:
    if device is None:
        return None
    version = dict(device.ep_metadata).get("version")
    return f"{device.ep_vendor} {device.device.vendor}{f' {version}' if version else ''}".strip()


class Engine:
    """One provider with so many threads (None: one per core), which only the CPU's heeds.

    They compute one operator together, or with several `streams` one operator for each of these.
    """

    survives_forks = False

    def __init__(
        self,
        threads: int | None,
        device: Device | None = None,
        precision: ComputePrecision = "exact",
        streams: int = 1,
    ) -> None:
        self.device = device or next(each for each in offered() if each.target == CPU)
        self.precision: ComputePrecision = precision
        self.streams, self._threads = streams, threads
        self._provider = self.device.target
        self._identities: dict[Path, str] = {}
        onnxruntime.disable_telemetry_events()

    def load(
        self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor], identity: str = ""
    ) -> Graph:
        """Load `file`; onnxruntime finds the weights beside it by the name in the graph."""
        if identity:
            self._identities[file] = identity
        session = self.session(file)
        check_ports(file, "inputs", [_port(node) for node in session.get_inputs()], inputs)
        check_ports(file, "outputs", [_port(node) for node in session.get_outputs()], outputs)
        names, memory = [tensor.name for tensor in outputs], PROVIDERS[self._provider].memory
        return Graph(file, session, names, self) if memory is None else DeviceGraph(file, session, names, self, memory)

    def again(self) -> "Engine":
        """See the protocol."""
        return Engine(self._threads, self.device, self.precision, self.streams)

    @staticmethod
    def run_options() -> Any:
        """Options of one run, by which it can be stopped; onnxruntime would say on stderr that it was."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = FATAL_ONLY
        return options

    @staticmethod
    def value(array: npt.NDArray[Any]) -> Any:
        """A value of onnxruntime's over the array's memory."""
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)

    def session(self, file: Path, profile: Path | None = None) -> Any:
        """A session on the provider, from what it compiled for an earlier one where it is slow at that and can keep it.

        `profile` is how the file of the session's runs is to be called. Raises EngineError.
        """
        facts, identity = PROVIDERS[self._provider], self._identities.get(file)
        if identity is None or not (facts.compiles and self.device.kind in SLOW and COMPILES):
            return self._open(file, file, profile)

        def read(blob: bytes) -> Any:
            with contextlib.suppress(EngineError):
                return self._open(file, blob, profile)
            return None

        def make() -> tuple[Any, bytes | None]:
            with contextlib.suppress(EngineError):  # not every graph can be written
                blob = self.compile(file)
                return self._open(file, blob, profile), blob
            return self._open(file, file, profile), None

        return kept(self.device, file.name, identity, facts.settings(self.precision), read, make)

    def compile(self, file: Path, settings: Mapping[str, str] | None = None) -> bytes:
        """What the provider compiles of a graph, as an ONNX file that needs no other; `settings` are options of it.

        Raises EngineError, also where the provider takes no part of the graph.
        """
        if not COMPILES:
            raise EngineError(f"{LIBRARY} cannot write what it compiles: install version 1.23 or newer")
        try:
            options, named = self._options(settings=settings)
            for provider, chosen in named:
                options.add_provider(provider, chosen)
            return onnxruntime.ModelCompiler(
                options,
                str(file),
                embed_compiled_data_into_model=True,
                flags=onnxruntime.OrtCompileApiFlags.ERROR_IF_NO_NODES_COMPILED,
                # As in a session, but for what depends on the kind of CPU.
                graph_optimization_level=onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
            ).compile_to_bytes()
        except Exception as error:  # its exceptions share no other base
            raise EngineError(f"onnxruntime cannot compile {file.name}: {one_line(error)}") from error

    def _open(self, file: Path, model: Path | bytes, profile: Path | None) -> Any:
        try:
            options, named = self._options(profile)
            session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=named or None
            )
        except Exception as error:  # its exceptions share no other base
            raise EngineError(f"onnxruntime cannot load {file.name}: {one_line(error)}") from error
        session.disable_fallback()
        if self._provider not in session.get_providers():
            raise EngineError(f"onnxruntime's {self._provider} did not start; {file.name} would run on the CPU instead")
        return session

    def _options(
        self, profile: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> tuple[Any, list[tuple[str, dict[str, str]]]]:
        """Options of a session; and the providers with theirs, where ours is no plug-in and goes by its name."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads_of_each(self._threads, self.streams) or 0  # 0: one per core
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        if self.precision == "fast":  # ARM only; other processors ignore it
            options.add_session_config_entry("mlas.enable_gemm_fastmath_arm64_bfloat16", "1")
        if profile is not None:
            options.enable_profiling, options.profile_file_prefix = True, str(profile)
        chosen = {**PROVIDERS[self._provider].options(self.precision), **(settings or {})}
        plugged = [device for device in _plugged() if device.ep_name == self._provider != CPU]
        if not plugged:
            return options, [(self._provider, chosen), *([] if self._provider == CPU else [(CPU, {})])]
        options.add_provider_for_devices(plugged, chosen)
        return options, []


def _port(node: Any) -> Port:
    dtype = DTYPES.get(node.type, node.type.removeprefix("tensor(").removesuffix(")"))
    return Port(frozenset([node.name]), dtype, len(node.shape))
