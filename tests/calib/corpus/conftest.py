"""A corpus of tones with its manifest, and runs over it in this process."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile
from corpora import RATE, SAID, TEXTS, InlinePool
from edgespeech_calib.corpus.entries import open_corpus
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.output import Output, Summary
from edgespeech_calib.corpus.running import Run
from edgespeech_calib.corpus.shards import Chunk, Plan
from tone_bundles import spoken


@pytest.fixture
def tones(tmp_path: Path) -> Callable[..., Path]:
    """`tones(12)`: so many recordings and a manifest as NeMo writes it; what is said goes through `TEXTS` in turn."""

    def make(count: int, name: str = "corpus.jsonl", **more: Any) -> Path:
        folder = tmp_path / "speech"
        folder.mkdir(exist_ok=True)
        rows = []
        for index in range(count):
            path = folder / f"{index:04}.wav"
            if not path.exists():
                samples = spoken(SAID[index % len(SAID)])
                soundfile.write(path, samples, RATE)
            seconds = soundfile.info(path).duration
            row = {"audio_filepath": path.name, "duration": seconds, "text": TEXTS[index % len(TEXTS)], **more}
            rows.append(json.dumps(row))
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
        return folder / name

    return make


@pytest.fixture
def run_inline() -> Iterator[Callable[..., tuple[Output, Summary]]]:
    """`run_inline(job, manifest, folder)`: a run to its end, in this process."""
    pools: list[InlinePool] = []

    def run(
        job: Job,
        manifest: Path,
        folder: Path,
        shards: int = 2,
        chosen: Sequence[int] | None = None,
        is_lost: Callable[[Chunk], bool] = lambda chunk: False,
    ) -> tuple[Output, Summary]:
        corpus, output = open_corpus(manifest), Output(folder)
        count = output.begin(job, corpus, shards, 1)
        work = Run(corpus, Plan(corpus.entries, count, range(count) if chosen is None else chosen), output, job)
        pools.append(InlinePool(job, is_lost))
        return output, work.run(pools[-1])

    yield run
    for pool in pools:
        pool.close()


@pytest.fixture
def rows() -> Callable[[Output], list[dict[str, Any]]]:
    """`rows(output)`: all rows that are there."""

    def read(output: Output) -> list[dict[str, Any]]:
        return [row for number in output.done(output.run()["shards"]) for row in output.rows(number)]

    return read
