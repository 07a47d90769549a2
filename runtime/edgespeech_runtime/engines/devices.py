"""The devices that this machine offers, and which of them a requested device names. Nothing is loaded here."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from ..choices import ENGINES, EngineName, Kind
from ..errors import DeviceError, EnginePackageError
from . import ComputePrecision, Device, Engine, engine_module, start

RequestedDevice: TypeAlias = "str | Sequence[str]"

BEST_FIRST: tuple[Kind, ...] = ("gpu", "npu", "cpu")  # what "auto" tries


class DeviceWarning(UserWarning):
    """A device could not be used or trusted, and the next of a list was taken."""


def devices() -> list[Device]:
    """Everything that the installed engines offer here, the best first."""
    offered = [device for engine in ENGINES for device in _offered(engine)]
    return sorted(offered, key=lambda device: BEST_FIRST.index(device.kind))


def register_provider(name: str, library: str | os.PathLike[str], kind: Kind = "npu", *, static: bool = False) -> None:
    """Add a plug-in execution provider to onnxruntime: its name, and the library that brings it.

    `kind` and `static` say what it is where it is none of those that edgespeech knows. Raises EngineError where
    onnxruntime refuses the library, EnginePackageError where onnxruntime is not installed.
    """
    engine = engine_module("onnx")
    engine.register(name, Path(library), engine.Provider(kind, static=static))


def candidates(engine: EngineName, requested: RequestedDevice, static: bool = False) -> list[Device]:
    """Devices for a bundle of `engine` in the order in which they are to be tried.

    `requested` is a kind, "auto", an exact name, or a list of those: the first that works is taken. `static` says
    whether the bundle's graphs have fixed shapes. Raises DeviceError, which lists the devices that there are, where
    none of them is requested.
    """
    offered = engine_module(engine).offered()
    names = list(requested) if isinstance(requested, list | tuple) else [requested]
    matches = dict.fromkeys(device for name in names for device in _matching(engine, name, offered))
    able = [device for device in matches if static or not device.static]
    if able:
        return able
    if matches:
        raise DeviceError(
            f"{next(iter(matches)).name} needs graphs of fixed shapes, this bundle's are free: export it with --static"
        )
    raise DeviceError(_missing(engine, names, offered))


def open_engine(
    name: EngineName,
    requested: RequestedDevice = "cpu",
    threads: int | None = None,
    precision: ComputePrecision = "exact",
) -> Engine:
    """Start an engine on the first of the requested devices. Errors: see `candidates` and `start`."""
    return start(candidates(name, requested)[0], threads, precision)


def _offered(engine: EngineName) -> list[Device]:
    try:
        devices: list[Device] = engine_module(engine).offered()
    except EnginePackageError:
        return []
    return devices


def _matching(engine: EngineName, name: object, offered: Sequence[Device]) -> Iterator[Device]:
    """Devices that one requested name stands for; none where it is not a string."""
    if not isinstance(name, str):
        return
    if name == "auto":
        for kind in BEST_FIRST:
            yield from (device for device in offered if device.kind == kind)
    elif name in BEST_FIRST:
        yield from (device for device in offered if device.kind == name)
    else:
        owner, _, target = name.partition(":")
        if owner in ENGINES and owner != engine:
            raise DeviceError(f"device {name!r} is for bundles of {owner}, this one is for {engine}: export it again")
        yield from (device for device in offered if device.name == name)
        if owner == engine and not any(device.name == name for device in offered):
            combined = getattr(engine_module(engine), "combined", lambda target, offered: None)(target, offered)
            yield from [] if combined is None else [combined]


def _missing(engine: EngineName, names: Sequence[object], offered: Sequence[Device]) -> str:
    requested = " or ".join(map(repr, names)) or "[]"
    kinds = ", ".join(repr(kind) for kind in BEST_FIRST if any(device.kind == kind for device in offered))
    here = ", ".join(device.name for device in offered)
    hints = [f"{kind!r} comes with {package}" for kind, package in ENGINES[engine].missing.items() if kind in names]
    return (
        f"device {requested} is not offered here: use {kinds}, or 'auto' for the best of them; bundles for {engine} "
        f"find {here} on this machine{''.join(f'; {hint}' for hint in hints)}"
    )
