"""Transcripts as text, JSON or subtitles, to stdout or to files."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgespeech.cli.errors import complain
from edgespeech.cli.output import say, to_json, write

if TYPE_CHECKING:
    from edgespeech_runtime import Character, EdgeSpeechRuntimeError, Transcript, Word

Form = Literal["text", "json", "srt", "vtt"]
Timestamps = Literal["word", "char"]
SUFFIXES: dict[Form, str] = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}
SUBTITLES: tuple[Form, ...] = ("srt", "vtt")


@dataclass
class Sink:
    """Where results go: into `files`, one a recording, or to stdout; errors go to stderr and are counted.

    With `several` on stdout, a text stands behind its file's name.
    """

    form: Form
    timestamps: Timestamps | None
    several: bool
    files: Sequence[Path] | None
    failed: int = 0

    def put(self, index: int, path: Path, result: "Transcript | EdgeSpeechRuntimeError") -> None:
        """Write the result of the recording at `index`. Raises OSError."""
        if isinstance(result, Exception):
            self.failed += 1
            complain(result)
            if self.form == "json" and self.files is None:
                say(to_json({"audio": str(path), "error": str(result)}))
            return
        content = render(path, result, self.form, self.timestamps)
        if self.files is not None:
            write_file(self.files[index], content)
        elif self.several and self.form == "text":
            write(f"{path}\n{content}\n" if self.timestamps else f"{path}\t{content}")
        else:
            write(content)


def render(path: Path, transcript: "Transcript", form: Form, timestamps: Timestamps | None) -> str:
    """One result, as a file of its own holds it; the last line has its line break."""
    if form == "json":
        return to_json(as_dict(path, transcript, timestamps)) + "\n"
    if form == "text":
        return transcript.text + "\n" if timestamps is None else _timed(transcript, timestamps)
    from edgespeech_runtime import to_srt, to_vtt

    return to_srt(transcript) if form == "srt" else to_vtt(transcript)


def _timed(transcript: "Transcript", timestamps: Timestamps) -> str:
    """A line for each word or character: start and end in seconds, confidence, text."""
    parts: Sequence[Word | Character] = transcript.words if timestamps == "word" else transcript.characters
    return "".join(f"{part.start:8.2f} {part.end:8.2f}  {part.confidence:.2f}  {part.text}\n" for part in parts)


def as_dict(path: Path, transcript: "Transcript", timestamps: Timestamps | None) -> dict[str, Any]:
    """The transcript for JSON; numbers to three places, characters only where they were asked for."""
    found = {"audio": str(path), **transcript.to_dict()}
    found["duration"] = round(transcript.duration, 3)
    if timestamps != "char":
        del found["characters"]
    for name in found.keys() & {"words", "characters"}:
        found[name] = [
            {key: round(value, 3) if isinstance(value, float) else value for key, value in part.items()}
            for part in found[name]
        ]
    return found


def write_file(target: Path, content: str) -> None:
    """Write a file whole or not at all; folders above it are made. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        os.close(handle)
        Path(partial).write_text(content, encoding="utf-8", newline="\n")
        Path(partial).chmod(0o644)
        Path(partial).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(partial).unlink()
        raise
