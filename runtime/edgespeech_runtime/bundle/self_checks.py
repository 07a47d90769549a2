"""Whether a device computes what the build machine did: the self-check of a bundle, run once on each and remembered."""

import json
from typing import Literal, get_args

from ..engines import Device
from ..errors import ArgumentError, SelfCheckError
from ..tasks.model import Model
from . import cache

SelfCheck = Literal["always", "once", "never"]
KIND = "self-checks"


def require(model: Model, device: Device, mode: SelfCheck) -> None:
    """Check a model on its device, or recall how that came out.

    What was remembered holds for one bundle, device, driver, version of the engine and precision. "always" checks
    again, "never" trusts. Raises SelfCheckError for a failure, now or then.
    """
    if mode not in get_args(SelfCheck):
        raise ArgumentError(f"self_check: expected 'always', 'once' or 'never', got {mode!r}")
    if mode == "never":
        return
    key = cache.key(model.manifest.to_json(), device.name, device.library, device.driver or "", model.precision)
    failure = _recalled(key) if mode == "once" else None
    if failure is None:
        try:
            model.self_check()
            failure = ""
        except SelfCheckError as error:
            failure = str(error)
        cache.write(KIND, key, json.dumps({"failure": failure}).encode())
        if failure:
            raise SelfCheckError(failure)
    elif failure:
        raise SelfCheckError(f"{failure} (found earlier; self_check='always' checks again)")


def _recalled(key: str) -> str | None:
    """What an earlier check found wrong, nothing ("") if it passed; None where there was none."""
    content = cache.read(KIND, key)
    if content is None:
        return None
    try:
        failure = json.loads(content)["failure"]
    except (ValueError, KeyError, TypeError):
        return None
    return failure if isinstance(failure, str) else None
