"""What every worker of a run needs to know: the bundle, and how it is to be run. Plain values that cross processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.choices import BATCH_SIZE, MANIFEST_FILE, Checksums


@dataclass(frozen=True)
class Job:
    """A bundle and the options with which all entries are run.

    Attributes:
        bundle: the folder, absolute.
        method: of the model, which is called with a list of recordings.
        arguments: of that method.
        batch_size: recordings that run together.
        devices: to be tried one after the other.
        threads: of each worker; None for the engine's own choice.
        streams: batches of a worker that run at the same time and share its threads.
        checksums: when workers check the bundle's files, as by `edgespeech_runtime.load`.
        channel, allow_truncated: how sound files are read, as by `AudioBlocks`.
    """

    bundle: str
    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = BATCH_SIZE
    devices: tuple[str, ...] = ("cpu",)
    threads: int | None = None
    streams: int = 1
    checksums: Checksums = "always"
    channel: int | None = None
    allow_truncated: bool = False

    def bundle_hash(self) -> str:
        """SHA-256 of the bundle's manifest, which has those of all its files."""
        return sha256(Path(self.bundle) / MANIFEST_FILE)

    def options(self) -> dict[str, Any]:
        """All that decides what rows say, ready for JSON; of a file that an argument names, its hash too."""
        arguments = {name: _recorded(value) for name, value in sorted(self.arguments.items())}
        return {
            "method": self.method,
            **arguments,
            "batch_size": self.batch_size,
            "device": list(self.devices),
            "channel": self.channel,
            "allow_truncated": self.allow_truncated,
        }


def _recorded(value: Any) -> Any:
    if isinstance(value, str) and Path(value).is_file():
        return {"file": value, "sha256": sha256(value)}
    return dict(sorted(value.items())) if isinstance(value, Mapping) else value
