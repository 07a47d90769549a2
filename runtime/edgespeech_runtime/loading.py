"""Opening a bundle as a model that is ready to run."""

import os

from .bundle import open_bundle
from .engines import open_engine
from .tasks import TASKS, CtcModel, EncoderDecoderModel


def load(
    bundle: str | os.PathLike[str], device: str = "cpu", threads: int | None = None
) -> CtcModel | EncoderDecoderModel:
    """Open the folder `bundle`, check every file against its checksum and load the model; its task decides the class.

    `device` is "cpu", or "auto" for the best that there is; `threads` is how many the engine may use (None: its own
    choice). Raises BundleError, DeviceError, ArgumentError, EngineError (EnginePackageError where the engine is not
    installed).
    """
    opened = open_bundle(bundle)
    return TASKS[opened.manifest.task](opened, open_engine(opened.manifest.engine, device, threads))
