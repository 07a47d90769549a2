"""A transcript as a file: subtitles or text, by the ending of its name."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgespeech_runtime import Transcript

FORMS = {".srt": "SubRip subtitles (*.srt)", ".vtt": "WebVTT subtitles (*.vtt)", ".txt": "Text (*.txt)"}


def save(transcript: "Transcript", file: Path) -> None:
    """Write a file. Raises ValueError for an ending that is none of `FORMS`, and OSError."""
    from edgespeech_runtime import to_srt, to_vtt

    if file.suffix.lower() not in FORMS:
        raise ValueError(f"{file.name}: expected a name that ends in {', '.join(FORMS)}")
    if file.suffix.lower() == ".txt":
        parts = [segment.text for segment in transcript.segments] or [transcript.text]
        content = "".join(f"{part}\n" for part in parts)
    else:
        content = (to_srt if file.suffix.lower() == ".srt" else to_vtt)(transcript)
    file.write_text(content, encoding="utf-8", newline="\n")
