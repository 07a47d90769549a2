"""Files of texts that are written while they come into being."""

from pathlib import Path


class GrowingFile:
    """A text file whose beginning stays, and whose end is replaced by what comes."""

    def __init__(self, path: Path) -> None:
        """Begin the file, empty; folders above it are made. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        self.path = path
        self._settled = 0  # bytes that stay

    def add(self, final: str, end: str = "") -> None:
        """Put a text in place of the end; all but its new `end` stays. Raises OSError."""
        content = final.encode("utf-8", "backslashreplace")
        with self.path.open("r+b") as file:
            file.seek(self._settled)
            file.write(content + end.encode("utf-8", "backslashreplace"))
            file.truncate()
        self._settled += len(content)
