"""Downloading a subset of LibriSpeech from OpenSLR: it goes on where it was cut off, and its checksum is verified.

The archive is kept as it is, because `sets` reads it without unpacking. Files and MD5 sums:
https://www.openslr.org/resources/12/ and its md5sum.txt.
"""

import errno
import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgespeech.choices import LIBRISPEECH as MD5  # which protects against accidents, not against forgers
from edgespeech.choices import LIBRISPEECH_MIRROR as MIRROR
from edgespeech_calib.errors import ChecksumError, DataError, DownloadError

CHUNK = 1 << 18  # bytes
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 5  # in a row that bring nothing
PAUSE = 1.0  # seconds before the second attempt, twice as many before each later one
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[int, int | None], object]  # bytes that are there, bytes that there will be (None: unknown)


@dataclass(frozen=True)
class Fetched:
    """An archive whose checksum holds; `downloaded` counts the bytes that had to be fetched for it."""

    path: Path
    bytes: int
    downloaded: int


class _CutOffError(Exception):
    """The connection ended, or did not come about; worth another attempt."""


def fetch(
    subset: str,
    folder: Path,
    mirror: str = MIRROR,
    *,
    progress: Progress = lambda done, total: None,
    pause: float = PAUSE,
) -> Fetched:
    """Download `subset` as `folder/SUBSET.tar.gz`, unless it is there and whole.

    A part that an earlier run left is continued where the server can do that, and otherwise fetched again.

    Raises:
        DataError: no such subset.
        DownloadError: the server cannot be reached or refuses, the connection breaks again and again, or the disk is
            full; what has come so far is kept, and the next run goes on there.
        ChecksumError: all of it came, and it is not what was published; nothing of it is kept.
    """
    if subset not in MD5:
        raise DataError(f"{subset!r} is no subset of LibriSpeech; it has {', '.join(MD5)}")
    target = folder / f"{subset}.tar.gz"
    part = folder / f"{subset}.tar.gz.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists() and _md5(target) == MD5[subset]:
            return Fetched(target, target.stat().st_size, 0)
        download = _Download(f"{mirror.rstrip('/')}/{subset}.tar.gz", part, progress)
        download.run(pause)
        if (digest := _md5(part)) != MD5[subset]:
            part.unlink()
            raise ChecksumError(
                f"{download.url} has the MD5 sum {digest} where {MD5[subset]} was published; nothing was kept, "
                "fetch it again, or from another --mirror"
            )
        part.replace(target)
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        raise _refused(error, part) from error
    return Fetched(target, target.stat().st_size, download.received)


def _refused(error: OSError, part: Path) -> DownloadError:
    there = part.stat().st_size if part.exists() else 0
    kept = f"; the {there:,} bytes that came are kept, and the next run goes on there".replace(",", " ")
    if error.errno in FULL:
        return DownloadError(f"{part.parent}: the disk is full; make room{kept}")
    return DownloadError(f"{error.filename or part}: {error.strerror or error}{kept if there else ''}")


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


class _Download:
    """One file that is fetched in as many attempts as it takes."""

    def __init__(self, url: str, part: Path, progress: Progress) -> None:
        self.url = url
        self.received = 0  # bytes, in this run
        self._part = part
        self._progress = progress

    def run(self, pause: float) -> None:
        """Fetch until all is there. Raises DownloadError after too many attempts that brought nothing, OSError."""
        failures = 0
        while True:
            before = self.received
            try:
                self._attempt()
                return
            except _CutOffError as error:
                failures = 1 if self.received > before else failures + 1
                if failures >= ATTEMPTS:
                    there = self._there()
                    kept = f"; the {there} bytes that came are kept, and the next run goes on there" if there else ""
                    raise DownloadError(f"{self.url} cannot be fetched: {error}{kept}") from error
                time.sleep(pause * 2 ** (failures - 1))

    def _there(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _attempt(self) -> None:
        """One request; appends to the part. Raises _CutOffError, DownloadError, OSError of the disk."""
        start = self._there()
        headers = {"User-Agent": "edgespeech", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            request = urllib.request.Request(self.url, headers=headers)  # noqa: S310  # the user's own mirror
            response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                self._answered(error, start)
            return
        except (http.client.HTTPException, OSError, ValueError) as error:  # URLError is an OSError
            raise _unreachable(self.url, error) from error
        with response:
            start, total = self._placed(response, start)
            self._room(start, total)
            self._copy(response, start, total)

    def _answered(self, error: urllib.error.HTTPError, start: int) -> None:
        """An answer that is no file: it is all there already, or there is no hope, or it may get better."""
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
            if total == str(start):
                return
            self._part.unlink()  # longer than the file: of another one
            raise _CutOffError("what was left of an earlier run does not fit the file")
        if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR or error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
            raise _CutOffError(f"the server answers {error.code} {error.reason}")
        raise DownloadError(f"{self.url}: the server answers {error.code} {error.reason}; try another --mirror")

    def _placed(self, response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
        """Where the answer's first byte belongs, and the length of the whole file if the server says it."""
        length = response.headers.get("Content-Length")
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            byte_range, _, total = (response.headers.get("Content-Range") or "").removeprefix("bytes ").partition("/")
            if byte_range.partition("-")[0] == str(start):
                return start, int(total) if total.isdecimal() else None
            self._part.unlink(missing_ok=True)
            raise _CutOffError("the server sends another part than was asked for")
        return 0, int(length) if length and length.isdecimal() else None  # the whole file, asked for or not

    def _room(self, start: int, total: int | None) -> None:
        if total is None:
            return
        free = shutil.disk_usage(self._part.parent).free + (self._there() - start)
        if total - start > free:
            message = f"{self._part.parent} has {free:,} bytes free and {total - start:,} are needed; make room"
            raise DownloadError(f"{message}, or name another folder with --output".replace(",", " ", 2))

    def _copy(self, response: http.client.HTTPResponse, start: int, total: int | None) -> None:
        with self._part.open("r+b" if self._part.exists() else "wb") as stream:
            stream.seek(start)
            stream.truncate()
            done = start
            self._progress(done, total)
            while block := self._block(response):
                stream.write(block)
                done += len(block)
                self.received += len(block)
                self._progress(done, total)
        if total is not None and done < total:
            raise _CutOffError(f"the connection ended after {done} of {total} bytes")

    @staticmethod
    def _block(response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read1(CHUNK)
        except http.client.IncompleteRead as error:
            raise _CutOffError("the connection ended") from error
        except (http.client.HTTPException, OSError) as error:
            raise _CutOffError(f"the connection broke ({error})") from error


def _unreachable(url: str, error: Exception) -> Exception:
    reason = getattr(error, "reason", error)
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return DownloadError(f"{url} is no address that can be fetched ({reason})")
    return _CutOffError(str(getattr(reason, "strerror", None) or reason) or type(error).__name__)
