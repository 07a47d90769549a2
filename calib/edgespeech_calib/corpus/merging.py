"""Shards to one file, or to subtitles of each sound file; and the totals of a run. Not more than a shard is held."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from edgespeech_runtime.results.subtitles import to_srt
from edgespeech_runtime.results.transcript import TextSegment, Transcript, Word

from edgespeech_calib.corpus.arrays import join
from edgespeech_calib.corpus.files import write_whole
from edgespeech_calib.corpus.output import Output, Summary
from edgespeech_calib.errors import CorpusError

MergeForm = Literal["jsonl", "tsv", "srt", "npz"]
COLUMNS = {  # of a table, by the method of the model that made the rows
    "transcribe": ("text", "confidence"),
    "classify": ("label", "score"),
    "frames": ("segments",),
    "embed": ("shape", "array"),
    "features": ("shape", "array"),
}


@dataclass(frozen=True)
class Totals:
    """Of the shards that are there."""

    shards: int
    of_shards: int
    summary: Summary

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work of a worker for a second of sound; None where there is no sound."""
        return self.summary.work_seconds / self.summary.audio_seconds if self.summary.audio_seconds else None

    @property
    def words_per_minute(self) -> float | None:
        """Of sound; None where there is none."""
        return 60 * self.summary.words / self.summary.audio_seconds if self.summary.audio_seconds else None


def totals(output: Output, allow_incomplete: bool = False) -> Totals:
    """What the run in the folder is. Raises CorpusError where there is none, or shards are missing."""
    shards = output.run()["shards"]
    done = output.done(shards)
    if len(done) < shards and not allow_incomplete:
        raise CorpusError(
            f"{output.folder} has {len(done)} of {shards} shards; run the same command again to write the others, or "
            "merge what there is with --allow-incomplete"
        )
    return Totals(len(done), shards, sum(map(output.summary, done), Summary()))


def rows(output: Output) -> Iterator[dict[str, Any]]:
    """All rows that are there, in the order of the manifest."""
    for number in output.done(output.run()["shards"]):
        yield from output.rows(number)


def merge(output: Output, form: MergeForm, target: Path) -> int:
    """Write the rows that are there to a file; subtitles go to a folder. Returns how many files were written.

    Raises CorpusError for subtitles of what has no text, for arrays of what has none, and OSError.
    """
    method = output.run()["options"]["method"]
    if form == "npz":
        archives = [output.archive(number) for number in output.done(output.run()["shards"])]
        if "array" not in COLUMNS[method]:
            raise CorpusError(f"{output.folder} has no arrays: this model gives none; take another format")
        join([path for path in archives if path.exists()], target)
        return 1
    if form == "srt":
        if method != "transcribe":
            raise CorpusError(f"{output.folder} has no texts, of which subtitles could be; take another format")
        return _subtitles(output, target)
    line = _json_line if form == "jsonl" else _table_line(method)
    head = "" if form == "jsonl" else "\t".join(("id", "audio", "offset", "duration", *COLUMNS[method], "error")) + "\n"

    def write(file: BinaryIO) -> None:
        file.write(head.encode())
        for row in rows(output):
            file.write(f"{line(row)}\n".encode("utf-8", "backslashreplace"))

    write_whole(target, write)
    return 1


def _json_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _table_line(method: str) -> Callable[[Mapping[str, Any]], str]:
    names = ("id", "audio", "offset", "duration", *COLUMNS[method], "error")
    return lambda row: "\t".join(_cell(row.get(name)) for name in names)


def _cell(value: Any) -> str:
    """A value without tabs and line breaks; nothing for None."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split()) if any(mark in text for mark in "\t\n\r") else text


def _subtitles(output: Output, folder: Path) -> int:
    """A file for each sound file, of all its parts; those that failed have none."""
    base = Path(output.run()["manifest"]["path"])
    base = base if base.is_dir() else base.parent
    count = 0
    with tempfile.TemporaryDirectory(prefix="edgespeech-") as kept:
        for row in rows(output):
            if row["error"] is not None:
                continue
            if row.get("offset") is None:
                count += _write_subtitles(folder, base, [row])
                continue
            name = hashlib.sha256(row["audio"].encode("utf-8", "backslashreplace")).hexdigest()
            with (Path(kept) / name).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_json_line(row) + "\n")
        for path in sorted(Path(kept).iterdir()):
            with path.open(encoding="utf-8") as file:
                count += _write_subtitles(folder, base, [json.loads(line) for line in file])
    return count


def _write_subtitles(folder: Path, base: Path, parts: Sequence[Mapping[str, Any]]) -> int:
    audio = Path(parts[0]["audio"])
    inner = audio.relative_to(base) if audio.is_relative_to(base) else audio.relative_to(audio.anchor)
    ordered = sorted(parts, key=lambda row: row.get("offset") or 0.0)
    content = to_srt(_joined([_transcript(row) for row in ordered])).encode("utf-8", "backslashreplace")
    write_whole(folder / inner.with_suffix(".srt"), lambda file: file.write(content))
    return 1


def _transcript(row: Mapping[str, Any]) -> Transcript:
    """A row's, with times from the beginning of the file."""
    start, duration = row.get("offset") or 0.0, row["duration"] or 0.0
    words = [
        Word(word["text"], word["start"] + start, word["end"] + start, word["confidence"]) for word in row["words"]
    ]
    segments = [TextSegment(one["text"], one["start"] + start, one["end"] + start) for one in row.get("segments", ())]
    if not words and not segments and row["text"].strip():
        segments = [TextSegment(row["text"], start, start + duration)]
    return Transcript(row["text"], words, duration=start + duration, segments=segments)


def _joined(transcripts: Sequence[Transcript]) -> Transcript:
    if len(transcripts) == 1:
        return transcripts[0]
    return replace(
        transcripts[-1],
        text=" ".join(one.text for one in transcripts if one.text),
        words=[word for one in transcripts for word in one.words],
        segments=[segment for one in transcripts for segment in one.segments],
        duration=max(one.duration for one in transcripts),
    )
