"""What a process that was forked must not do with its parent's engines: use them, or let go of them.

Threads are not forked. OpenVINO waits for its own for ever, and so may ONNX Runtime, also when its sessions end.
"""

import os
import weakref
from typing import Any, Protocol


class Forked(Protocol):
    """Something that holds what cannot be used in another process."""

    def after_fork(self) -> None:
        """Called in the child, before anything else there: nothing that was locked is unlocked by anybody."""
        ...


_watched: "weakref.WeakSet[Any]" = weakref.WeakSet()


def watch(holder: Forked) -> None:
    """Call its `after_fork` in every child of this process, as long as it lives."""
    _watched.add(holder)


def keep_for_ever(value: object) -> None:
    """Keep a value from ever being let go of, even when the interpreter ends."""
    import ctypes  # here, because only forked processes need it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def _after_fork() -> None:
    for holder in list(_watched):
        holder.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing is forked
    os.register_at_fork(after_in_child=_after_fork)
