"""What this machine offers to run models on, and which of it a wish for a device means. Nothing is loaded here."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from ..bundle.manifest import EngineName
from ..errors import DeviceError, EnginePackageError
from . import ENGINES, ComputePrecision, Device, Engine, Kind, engine_module, start

Wish: TypeAlias = "str | Sequence[str]"

BEST_FIRST: tuple[Kind, ...] = ("gpu", "npu", "cpu")  # what "auto" tries
PACKAGES: dict[EngineName, dict[Kind, str]] = {  # what brings a device that is missing
    "onnx": {
        "gpu": "onnxruntime-gpu (NVIDIA), onnxruntime-directml (Windows) or onnxruntime-webgpu",
        "npu": "onnxruntime-qnn (Qualcomm)",
    },
    "openvino": {"gpu": "Intel's graphics driver", "npu": "Intel's NPU driver"},
}


class DeviceWarning(UserWarning):
    """A device could not be used or trusted, and the next of a list was taken."""


def devices() -> list[Device]:
    """Everything that the installed engines offer here, the best first."""
    found = [device for engine in ENGINES for device in _offered(engine)]
    return sorted(found, key=lambda device: BEST_FIRST.index(device.kind))


def register_provider(name: str, library: str | os.PathLike[str], kind: Kind = "npu", *, static: bool = False) -> None:
    """Add a plug-in execution provider to onnxruntime: its name, and the library that brings it.

    `kind` and `static` say what it is where it is none of those that edgespeech knows. Raises EngineError where
    onnxruntime refuses the library, EnginePackageError where onnxruntime is not installed.
    """
    engine = engine_module("onnx")
    engine.register(name, Path(library), engine.Provider(kind, static=static))


def candidates(engine: EngineName, wish: Wish, static: bool = False) -> list[Device]:
    """Devices for a bundle of `engine` in the order in which they are to be tried.

    A wish is a kind, "auto", an exact name, or a list of those: the first that works is taken. `static` says whether
    the bundle's graphs have fixed shapes. Raises DeviceError, which lists what there is, where nothing of the wish is.
    """
    offered = engine_module(engine).offered()
    wishes = list(wish) if isinstance(wish, list | tuple) else [wish]
    found = dict.fromkeys(device for each in wishes for device in _meant(engine, each, offered))
    able = [device for device in found if static or not device.static]
    if able:
        return able
    if found:
        raise DeviceError(
            f"{next(iter(found)).name} needs graphs of fixed shapes, this bundle's are free: export it with --static"
        )
    raise DeviceError(_missing(engine, wishes, offered))


def open_engine(
    name: EngineName, wish: Wish = "cpu", threads: int | None = None, precision: ComputePrecision = "exact"
) -> Engine:
    """Start an engine on the first device of a wish. Errors: see `candidates` and `start`."""
    return start(candidates(name, wish)[0], threads, precision)


def _offered(engine: EngineName) -> list[Device]:
    try:
        found: list[Device] = engine_module(engine).offered()
    except EnginePackageError:
        return []
    return found


def _meant(engine: EngineName, wish: object, offered: Sequence[Device]) -> Iterator[Device]:
    """Devices that one word of a wish means; none for what is no word."""
    if not isinstance(wish, str):
        return
    if wish == "auto":
        for kind in BEST_FIRST:
            yield from (device for device in offered if device.kind == kind)
    elif wish in BEST_FIRST:
        yield from (device for device in offered if device.kind == wish)
    else:
        owner, _, target = wish.partition(":")
        if owner in ENGINES and owner != engine:
            raise DeviceError(f"device {wish!r} is for bundles of {owner}, this one is for {engine}: export it again")
        yield from (device for device in offered if device.name == wish)
        if owner == engine and not any(device.name == wish for device in offered):
            combined = getattr(engine_module(engine), "combined", lambda target, offered: None)(target, offered)
            yield from [] if combined is None else [combined]


def _missing(engine: EngineName, wishes: Sequence[object], offered: Sequence[Device]) -> str:
    said = " or ".join(map(repr, wishes)) or "[]"
    kinds = ", ".join(repr(kind) for kind in BEST_FIRST if any(device.kind == kind for device in offered))
    here = ", ".join(device.name for device in offered)
    hints = [f"{kind!r} comes with {PACKAGES[engine][kind]}" for kind in PACKAGES.get(engine, {}) if kind in wishes]
    return (
        f"device {said} is not offered here: use {kinds}, or 'auto' for the best of them; bundles for {engine} find "
        f"{here} on this machine{''.join(f'; {hint}' for hint in hints)}"
    )
