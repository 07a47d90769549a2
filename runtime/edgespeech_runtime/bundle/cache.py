"""Files that the runtime remembers between runs: results of self-checks, graphs compiled for a device.

They can be deleted at any time. A file that is damaged counts as missing, and a folder that cannot be written as empty.
"""

import hashlib
import os
import sys
from pathlib import Path

VARIABLE = "EDGESPEECH_CACHE"
DIGEST = 32  # bytes of SHA-256 in front of the content


def folder() -> Path:
    """$EDGESPEECH_CACHE, or `edgespeech/runtime` where the system keeps a user's caches."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        home = "~/Library/Caches"
    else:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "edgespeech" / "runtime"


def key(*parts: str) -> str:
    """A file's name for all that its content depends on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(kind: str, name: str) -> bytes | None:
    """The content of a file, None where it is missing or not what was written."""
    try:
        stored = (folder() / kind / name).read_bytes()
    except OSError:
        return None
    digest, content = stored[:DIGEST], stored[DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def write(kind: str, name: str, content: bytes) -> None:
    """Store a file whole or not at all; the last of several writers wins."""
    import tempfile  # here, because it is slow to import

    home = folder() / kind
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as own:
            path = Path(own) / name
            path.write_bytes(hashlib.sha256(content).digest() + content)
            path.replace(home / name)
    except OSError:  # full, or not ours: nothing is lost but time
        return
