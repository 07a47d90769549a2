"""Opening a bundle as a model that is ready to run, on the first requested device that passes the self-check."""

import os
import warnings

from ..choices import Checksums
from ..engines import ComputePrecision, Engine, start
from ..engines.devices import DeviceWarning, RequestedDevice, candidates
from ..errors import EngineError, EnginePackageError
from ..tasks import TASKS, AnyModel
from .folder import Bundle, begin_opening
from .self_checks import SelfCheck, require


def load(
    bundle: str | os.PathLike[str],
    device: RequestedDevice = "cpu",
    threads: int | None = None,
    *,
    precision: ComputePrecision = "exact",
    self_check: SelfCheck = "once",
    streams: int = 1,
    checksums: Checksums = "always",
) -> AnyModel:
    """Open the folder `bundle`, check every file against its checksum and load the model; its task decides the class.

    `device` is a kind ("cpu", "gpu", "npu"), "auto" for the best that there is, an exact name as `devices()` lists it,
    or a list of those: the first that loads the model and passes its self-check is taken, and a DeviceWarning says of
    each one before it what was wrong. `threads` is how many the CPU may use (None: the engine's own choice). With
    `precision="fast"` the device may compute in bfloat16 or float16. `self_check` runs the bundle's golden input
    "once" on each device and remembers how that came out, "always" or "never". Of many recordings, so many `streams`
    of batches run at the same time and share the threads: more files in a second, each alone takes longer. `checksums`
    "always" reads every file to check it, while the engine loads; "once" remembers those that have not changed since by
    what the file system says of them; "never" looks at their sizes.

    Raises BundleError, DeviceError, ArgumentError, EngineError (EnginePackageError where the engine is not installed,
    SelfCheckError where the only device, or the last of several, gives other results than the build machine did).
    """
    opened = begin_opening(bundle, checksums)
    devices = candidates(opened.manifest.engine, device, opened.manifest.static is not None)
    for candidate, after in zip(devices, [*devices[1:], None], strict=True):
        try:
            return _loaded(opened, start(candidate, threads, precision, streams), self_check)
        except EnginePackageError:
            raise
        except EngineError as error:
            if after is None:
                raise
            warnings.warn(f"{candidate.name}: {error}; going on with {after.name}", DeviceWarning, stacklevel=2)
    raise EngineError("no device was tried")  # there is always one: `candidates` says


def _loaded(opened: Bundle, engine: Engine, self_check: SelfCheck) -> AnyModel:
    try:
        model = TASKS[opened.manifest.task](opened, engine)
    except EngineError:
        opened.end_checks()  # a file that is not the one expected explains it
        raise
    try:
        opened.end_checks()
        require(model, engine.device, self_check)
    except BaseException:
        model.close()
        raise
    return model
