"""Graphs compiled for a device that is slow to compile for: what an earlier run kept of them, else made and kept.

It knows no engine, and whether what was kept is still right for a device is the engine's to say.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from ..bundle import cache
from ..choices import Kind
from . import Device

KIND = "compiled"
SLOW: tuple[Kind, ...] = ("gpu", "npu")  # a CPU compiles faster than it reads

T = TypeVar("T")
Watch: TypeAlias = Callable[[str, str], contextlib.AbstractContextManager[object]]
_watchers: list[Watch] = []


def watch(watcher: Watch) -> None:
    """Have `watcher(file, device)` entered around each compilation in this process, to show that it goes on."""
    _watchers[:] = [watcher]


def kept(
    device: Device,
    file: str,
    identity: str,
    settings: Mapping[str, object],
    read: Callable[[bytes], T | None],
    make: Callable[[], tuple[T, bytes | None]],
) -> T:
    """What `read` makes of the bytes that were kept for a graph, a device, its driver and settings.

    Where there are none, or `read` refuses them (None), what `make` compiles; the bytes that it gives are kept.
    `identity` stands for the content of the graph and its weights, `file` is how it is called.
    """
    versions = device.name, device.library, device.driver or ""
    chosen = sorted((name, str(value)) for name, value in settings.items())
    name = cache.key(identity, *versions, repr(chosen))
    if (blob := cache.read(KIND, name)) is not None and (model := read(blob)) is not None:
        return model
    with contextlib.ExitStack() as watched:
        for watcher in _watchers:
            watched.enter_context(watcher(file, device.name))
        compiled, blob = make()
    if blob is not None:
        cache.write(KIND, name, blob)
    return compiled
