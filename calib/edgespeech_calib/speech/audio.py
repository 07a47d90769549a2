"""Where an utterance's sound lies, a file or a member of an archive, and reading it as the runtime's front end does.

It finds no utterances; `sets` does.
"""

import hashlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.audio import read_audio
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.errors import AudioError, AudioFileMissingError, AudioPackageError

from edgespeech_calib.speech.archive import Archive
from edgespeech_calib.speech.parts import Part, read_part

Waveform: TypeAlias = npt.NDArray[np.float32]
Found = TypeVar("Found")

SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")


@dataclass(frozen=True)
class Header:
    """What a sound file says of itself: its length in seconds, its sampling rate in Hz."""

    seconds: float
    sampling_rate: int


class AudioSource(Protocol):
    """Sound that is read when it is asked for. All methods raise AudioError, which names the source."""

    @property
    def name(self) -> str:
        """Where it lies, for people."""

    def header(self) -> Header:
        """Read length and rate; nothing is decoded."""

    def read(self, sampling_rate: int) -> Waveform:
        """Return float32 [samples] in [-1, 1] at `sampling_rate` Hz, channels averaged."""

    def sha256(self) -> str:
        """Return the SHA-256 of the stored bytes in hexadecimal digits."""


@dataclass(frozen=True)
class FileAudio:
    """A sound file, or a part of one; see `AudioSource`."""

    path: Path
    part: Part | None = None

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def header(self) -> Header:
        """Length and rate."""
        if not self.path.is_file():
            raise AudioFileMissingError(self.path)
        whole = read_header(self.path, self.name)
        if self.part is None:
            return whole
        start, stop = self.part.bounds(whole.seconds, self.name)
        return Header(stop - start, whole.sampling_rate)

    def read(self, sampling_rate: int) -> Waveform:
        """Samples."""
        if self.part is None:
            return read_audio(self.path, sampling_rate)
        return read_part(self.path, self.part, sampling_rate)

    def sha256(self) -> str:
        """Hash of the whole file."""
        try:
            return sha256(self.path)
        except FileNotFoundError:
            raise AudioFileMissingError(self.path) from None
        except OSError as error:
            raise AudioError(f"{self.name} cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class ArchiveAudio:
    """A member of an archive; cheap to read in the order in which members lie there. See `AudioSource`."""

    archive: Archive = field(repr=False)
    member: str
    offset: int
    header_or_error: Header | AudioError = field(compare=False)  # read when the archive was listed

    @property
    def name(self) -> str:
        """The archive and the member."""
        return f"{self.archive.path}:{self.member}"

    def header(self) -> Header:
        """Length and rate."""
        if isinstance(self.header_or_error, AudioError):
            raise self.header_or_error
        return self.header_or_error

    def read(self, sampling_rate: int) -> Waveform:
        """Samples. The front end takes files, so the member passes through one; none is left behind."""
        content = self.archive.content(self.offset)
        with tempfile.TemporaryDirectory(prefix="edgespeech-") as folder:
            path = Path(folder) / f"sound{Path(self.member).suffix.lower()}"
            path.write_bytes(content)
            return renamed(lambda: read_audio(path, sampling_rate), str(path), self.name)

    def sha256(self) -> str:
        """Hash of the member."""
        return hashlib.sha256(self.archive.content(self.offset)).hexdigest()


def renamed(read: Callable[[], Found], path: str, name: str) -> Found:
    """Call `read`; an AudioError that names `path` then names `name`."""
    try:
        return read()
    except AudioPackageError:
        raise
    except AudioError as error:
        raise AudioError(str(error).replace(path, name)) from error


def read_header(source: Path | bytes, name: str) -> Header:
    """Length and rate of a sound file, or of its bytes. Raises AudioError."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, the library that it binds is not
        raise AudioPackageError(f"reading {name}", "soundfile") from error
    try:
        info = soundfile.info(io.BytesIO(source) if isinstance(source, bytes) else str(source))
    except (soundfile.SoundFileError, TypeError, OSError) as error:  # TypeError: headerless, by the name's ending
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise AudioError(f"{name}: damaged, or no sound that can be read ({reason})") from error
    if info.samplerate <= 0 or not 0 < info.frames < 2**62:  # streams say 2**63
        raise AudioError(f"{name}: there is no sound, or its length is unknown: {info.frames} samples")
    return Header(info.frames / info.samplerate, int(info.samplerate))
