"""The folder of a run: shards of rows, what the run is, and what it took.

run.json              bundle hash, manifest, options, number of shards; which are done, how many rows failed
shards/00007.jsonl    a row for each entry of the shard, in the order of the manifest; it is there when it is done
shards/00007.npz      the arrays of its rows, where the model gives arrays
timings/00007.json    what it took, which differs from one run to the next
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgespeech_calib.corpus.arrays import Arrays
from edgespeech_calib.corpus.entries import Corpus
from edgespeech_calib.corpus.files import PARTIAL, write_whole
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.rows import Row
from edgespeech_calib.errors import CorpusError

RUN, SHARDS, TIMINGS = "run.json", "shards", "timings"
FORMAT = 1


@dataclass(frozen=True)
class Summary:
    """Of a shard or of several: rows, how many failed, seconds of sound, words, seconds of work of all workers."""

    rows: int = 0
    failed: int = 0
    audio_seconds: float = 0.0
    words: int = 0
    work_seconds: float = 0.0

    def __add__(self, other: "Summary") -> "Summary":
        mine, others = asdict(self), asdict(other)
        return Summary(**{name: mine[name] + others[name] for name in mine})

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], work_seconds: float = 0.0) -> "Summary":
        """Of the values of rows."""
        return cls(
            len(rows),
            sum(row["error"] is not None for row in rows),
            sum(row["duration"] or 0.0 for row in rows),
            sum(len((row.get("text") or "").split()) for row in rows),
            work_seconds,
        )


class Output:
    """The folder. Methods raise CorpusError where what stands there is not theirs, and OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._summaries: dict[int, Summary] = {}  # of shards that are there

    def shard(self, number: int) -> Path:
        """The file of a shard."""
        return self.folder / SHARDS / f"{number:05}.jsonl"

    def archive(self, number: int) -> Path:
        """The file of a shard's arrays, which is there where its rows have some."""
        return self.shard(number).with_suffix(".npz")

    def done(self, shards: int) -> list[int]:
        """The shards that are there."""
        there = {path.name for path in (self.folder / SHARDS).glob("*.jsonl")}
        return [number for number in range(shards) if self.shard(number).name in there]

    def write(self, number: int, rows: Iterable[Row], work_seconds: float) -> Summary:
        """Write a shard of rows that come in their order, whole or not at all. Of rows, only arrays are held."""
        path, summary, arrays = (
            self.shard(number),
            Summary(work_seconds=round(work_seconds, 3)),
            Arrays(self.archive(number)),
        )

        def write(file: BinaryIO) -> None:
            nonlocal summary
            for row in rows:
                arrays.add(row)
                summary += Summary.of([row.values])
                file.write(f"{row.to_json()}\n".encode("utf-8", "backslashreplace"))
            arrays.write()
            _write_json(self._timings(number), asdict(summary))

        write_whole(path, write)
        self._summaries[number] = summary
        return summary

    def tidy(self) -> None:
        """Delete what runs that were killed have left half written. Only where no other run writes here."""
        for folder in (self.folder, self.folder / SHARDS, self.folder / TIMINGS):
            for partial in folder.glob(PARTIAL.format(name="*", process="*")):
                partial.unlink(missing_ok=True)

    def rows(self, number: int) -> Iterator[dict[str, Any]]:
        """The rows of a shard."""
        with self.shard(number).open(encoding="utf-8", newline="\n") as file:
            for index, line in enumerate(file, start=1):
                try:
                    yield json.loads(line)
                except ValueError:
                    raise CorpusError(
                        f"{self.shard(number)}, line {index}: not JSON; delete the file, and run again"
                    ) from None

    def summary(self, number: int) -> Summary:
        """What a shard is and what it took; nothing is known of the latter where its file has been deleted."""
        if number not in self._summaries:
            try:
                found = Summary(**json.loads(self._timings(number).read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                found = sum((Summary.of([row]) for row in self.rows(number)), Summary())
            self._summaries[number] = found
        return self._summaries[number]

    def begin(self, job: Job, corpus: Corpus, shards: int | None, default: int) -> int:
        """Begin the run, or go on with it; returns how many shards it has.

        Raises CorpusError where the folder holds another run, or anything else.
        """
        told = {
            "format": FORMAT,
            "bundle": {"path": job.bundle, "sha256": job.bundle_hash()},
            "manifest": {"path": str(corpus.path), "sha256": corpus.sha256, "entries": corpus.entries},
            "options": job.options(),
        }
        if (before := self._before()) is not None:
            self._compare(before, told, shards)
            return int(before["shards"])
        self.folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        if foreign:
            raise CorpusError(f"{self.folder} has files of something else, {foreign[0]} for one; choose another folder")
        count = shards or default
        _write_json(self.folder / RUN, {**told, "shards": count, "done": [], "rows": 0, "failures": 0})
        return count

    def forget(self) -> None:
        """Let go of a run of which no shard has been written, so that another may begin here."""
        if not self.done(self.run()["shards"]):
            (self.folder / RUN).unlink()

    def record(self) -> None:
        """Say in run.json which shards are done, and how many rows failed."""
        run = self.run()
        done = self.done(run["shards"])
        total = sum(map(self.summary, done), Summary())
        _write_json(self.folder / RUN, {**run, "done": done, "rows": total.rows, "failures": total.failed})

    def run(self) -> dict[str, Any]:
        """What run.json says. Raises CorpusError where there is none."""
        found = self._before()
        if found is None:
            raise CorpusError(f"{self.folder} holds no run: {RUN} is missing; give the --output-dir of a run")
        return found

    def _before(self) -> dict[str, Any] | None:
        path = self.folder / RUN
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise CorpusError(f"{path} has format {found['format']}, and {FORMAT} is what can be read here")
            int(found["shards"])
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise CorpusError(f"{self.folder} is a file; name a folder") from None
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, CorpusError):
                raise
            raise CorpusError(f"{path} is damaged; delete {self.folder} to begin again") from None
        return dict(found)

    def _compare(self, before: Mapping[str, Any], now: Mapping[str, Any], shards: int | None) -> None:
        """Raise CorpusError where the run that stands there is another."""
        way_out = "choose another folder, or delete this one"
        for name in ("bundle", "manifest"):
            if before[name]["sha256"] != now[name]["sha256"]:
                then, given = (f"{each[name]['path']} ({each[name]['sha256'][:12]})" for each in (before, now))
                raise CorpusError(
                    f"{self.folder} holds a run with another {name}: {then}, and now it is {given}; {way_out}"
                )
        differing = {**before["options"], **now["options"]}
        for name in differing:
            then, given = (each["options"].get(name) for each in (before, json.loads(json.dumps(now))))
            if then != given:
                raise CorpusError(
                    f"{self.folder} holds a run with another {name}: {json.dumps(then)}, and now it is "
                    f"{json.dumps(given)}; {way_out}"
                )
        if shards not in (None, before["shards"]):
            raise CorpusError(f"{self.folder} holds a run of {before['shards']} shards, not {shards}; {way_out}")

    def _timings(self, number: int) -> Path:
        return self.folder / TIMINGS / f"{number:05}.json"


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    content = (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace")

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_whole(path, write)
