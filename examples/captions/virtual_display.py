"""A display that nobody sees, for checks and tests of the app."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def display() -> Iterator[str]:
    """A display that nobody sees; "" where there is no Xvfb, for Qt's own."""
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        yield ""
        return
    reader, writer = os.pipe()
    command = [xvfb, "-displayfd", str(writer), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        try:
            os.close(writer)
            with os.fdopen(reader) as said:
                yield f":{said.readline().strip()}"
        finally:
            server.terminate()
