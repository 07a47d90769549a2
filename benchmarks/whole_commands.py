"""What whole commands take from the shell: exports of a large checkpoint, and a short file's text.

python -m benchmarks.whole_commands BUNDLE... --json build/commands.json

Each runs in a process of its own. Memory is the largest resident set of the process, as GNU time shows it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import click
from edgespeech_export.provenance import machine
from rich.table import Table

from benchmarks.command import JSON_FILE, show, write
from benchmarks.models import versions
from benchmarks.timing import load_average
from benchmarks.workload import EncoderSize, write_checkpoint

SAMPLE = Path(__file__).parents[1] / "edgespeech" / "checkpoints" / "samples" / "sentence.flac"  # 3 s
ENGINES = ("onnx", "openvino", "numpy")
# A small process, since one that is begun has at first the memory of the one that begins it.
RUN = """
import os, subprocess, sys, time
begun = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(process.returncode, time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
CALM = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Taken:
    """What a command took.

    Attributes:
        seconds: on the clock.
        cpu_seconds: of all its threads.
        megabytes: the largest resident set.
        weights: megabytes of the checkpoint's weights, of an export.
    """

    title: str
    seconds: float
    cpu_seconds: float
    megabytes: float
    weights: float | None = None


def taken(title: str, command: Sequence[str | Path], weights: float | None = None) -> Taken:
    """Run a command and wait for it. Raises click.ClickException where it fails."""
    line = [sys.executable, "-c", RUN, *map(str, command)]
    done = subprocess.run(line, stdout=subprocess.PIPE, env={**os.environ, **CALM}, check=True, text=True)
    code, seconds, cpu_seconds, resident = map(float, done.stdout.split())
    if code:
        raise click.ClickException(f"{title}: {' '.join(map(str, command))} ended with {code:g}")
    return Taken(title, seconds, cpu_seconds, resident * (1 if sys.platform == "darwin" else 1024) / 1e6, weights)


def exports(size: EncoderSize) -> list[Taken]:
    """`edgespeech export` of a wav2vec2 of random weights, to each engine."""
    program = [sys.executable, "-m", "edgespeech.cli", "export"]
    rows = []
    with tempfile.TemporaryDirectory(prefix="edgespeech-bench-") as temporary:
        checkpoint = Path(temporary) / "checkpoint"
        write_checkpoint(checkpoint, size=size)
        weights = sum(file.stat().st_size for file in checkpoint.glob("*.safetensors")) / 1e6
        for engine in ENGINES:
            bundle = Path(temporary) / engine
            rows.append(
                taken(f"export of {size} to {engine}", [*program, checkpoint, bundle, "--engine", engine], weights)
            )
            shutil.rmtree(bundle)
    return rows


def starts(bundles: Sequence[Path], runs: int) -> list[Taken]:
    """`edgespeech transcribe` of a file of 3 s; the fastest of several runs."""
    program = [sys.executable, "-m", "edgespeech.cli", "transcribe"]
    rows = []
    for bundle in bundles:
        every = [
            taken(f"transcribe 3 s with {bundle.name}", [*program, bundle, SAMPLE, "--quiet"]) for _ in range(runs)
        ]
        rows.append(min(every, key=lambda each: each.seconds))
    return rows


@click.command()
@click.argument("bundles", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--size", type=click.Choice(get_args(EncoderSize)), default="base", show_default=True, help="To export.")
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Of the short command.")
@JSON_FILE
def main(bundles: tuple[Path, ...], size: EncoderSize, runs: int, json_file: Path | None) -> None:
    """Time `edgespeech export` of random weights to each engine, and `transcribe` with each of BUNDLES."""
    rows = [*starts(bundles, runs), *exports(size)]
    table = Table("", "seconds", "of the processor", "peak memory, MB", "of the weights")
    for row in rows:
        share = "" if row.weights is None else f"{row.megabytes / row.weights:.1f} x {row.weights:.0f} MB"
        table.add_row(row.title, f"{row.seconds:.2f}", f"{row.cpu_seconds:.2f}", f"{row.megabytes:.0f}", share)
    facts = {"benchmark": "commands", "machine": machine(), "versions": versions(), "load": load_average()}
    show("whole commands", table, [], facts, [f"load average {load_average()}"])
    write(json_file, {**facts, "rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
