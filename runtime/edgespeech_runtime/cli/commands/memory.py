"""How much memory this process has taken at most."""

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak() -> int | None:
    """Return the largest resident size of this process so far, in bytes; None where the system does not say."""
    if STATUS.exists():  # getrusage would count the process that started this one too
        for line in STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
