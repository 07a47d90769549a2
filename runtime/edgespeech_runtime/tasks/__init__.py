"""One module per task, and the table of their classes. To add one: a module, a line here, its names in `manifest`."""

from ..manifest import Task
from .ctc import CtcModel

TASKS: dict[Task, type[CtcModel]] = {"ctc": CtcModel}

__all__ = ["TASKS", "CtcModel"]
