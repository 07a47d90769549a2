"""Which share of the machine's own limits the encoders of CTC bundles reach.

python -m benchmarks.peak --checkpoint CHECKPOINT BUNDLE...

What is printed: operations per second of large matrix products in INT8 and float32, in both engines, how fast memory is
read, and for each bundle the operations per second that it reaches and their share of its engine's products in INT8.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import click
import torch
from edgespeech_runtime import CtcModel, load
from edgespeech_runtime.bundle.folder import open_bundle
from rich.table import Table

from benchmarks import bandwidth, command
from benchmarks.loading import ENGINES
from benchmarks.peak.operations import Operations, Shape, operations
from benchmarks.peak.products import Product, product, products
from benchmarks.speech import Speech, default_set
from benchmarks.timing import Timing, interleave, load_average
from benchmarks.workload import RATE

Peaks = dict[tuple[str, str], float]  # by engine and precision
Alone = dict[tuple[str, Shape], float]  # seconds of an operation in a product that runs alone, by engine and size

MEMORY = "memory"
NOTES = (
    "GOP/s: billions of multiplications and additions per second, each counted as one",
    "of INT8: of the fastest products in the same engine, in INT8",
    "of the limit: what all products would take together if each ran as fast as the fastest in its precision, those of "
    "attention in float32, over what the encoder takes",
    "alone: the products of its layers in INT8 and those of its attention in float32, each run alone in its own size; "
    "of its sizes: all of them together over what the encoder takes",
)


@click.command()
@click.argument("bundles", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--checkpoint", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Of audio.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="For every engine.")
@click.option("--runs", type=click.IntRange(min=1), default=10, show_default=True, help="Measured calls of each.")
@click.option("--data", metavar="SET", help="The speech [default: as benchmarks.speed].")
@command.CPU
@command.JSON_FILE
def main(
    bundles: tuple[Path, ...],
    checkpoint: Path,
    seconds: float,
    threads: int,
    runs: int,
    data: str | None,
    cpu: bool,
    json_file: Path | None,
) -> None:
    """Measure the machine's limits, and the encoders of CTC BUNDLES made of one checkpoint against them."""
    clock = command.clock(cpu, threads)
    torch.set_num_threads(threads)
    calls = {str(bundle): _encoder(bundle, threads, data, seconds) for bundle in bundles}
    counted = operations(checkpoint, round(seconds * RATE))
    engines = {ENGINES[open_bundle(bundle).manifest.engine] for bundle in bundles}
    shapes = (*counted.sizes, *counted.in_attention)
    own = {(engine, shape): product(engine, "int8", shape, threads) for engine in engines for shape in shapes}
    everyone = [*products(threads), *own.values()]
    calls |= {each.title: each.call for each in everyone} | {MEMORY: bandwidth.reader()}
    for call in calls.values():
        call()
    timings = interleave(calls, runs, clock=clock)
    peaks = fastest(everyone, timings)
    alone = {key: timings[each.title].minimum / each.operations for key, each in own.items()}
    rows = [measured(bundle, timings[str(bundle)], counted, peaks, alone) for bundle in bundles]
    memory = bandwidth.gigabytes_per_second(timings[MEMORY].minimum)
    facts = command.facts("peak", "base", runs, threads) | {"audio_seconds": seconds, "load": load_average()}
    kind = "processor time" if cpu else "time"
    command.show(
        f"{checkpoint.name}, {seconds:g} s of audio, {counted.total / 1e9:.1f} GOP, threads: {threads}, {kind}",
        render(rows),
        [f"{engine} {precision}: {value:.0f} GOP/s" for (engine, precision), value in peaks.items()],
        facts,
        [f"memory is read at {memory:.1f} GB/s", f"load average {facts['load']}", *NOTES],
    )
    facts |= {"peaks": {" ".join(key): value for key, value in peaks.items()}, "memory": memory, "rows": rows}
    command.write(json_file, facts)


def _encoder(bundle: Path, threads: int, data: str | None, seconds: float) -> Callable[[], object]:
    """A call that runs a CTC bundle on some speech."""
    waveform = Speech.open(data or default_set(), 1).waveform(seconds)
    model = load(bundle, threads=threads, self_check="never")
    if not isinstance(model, CtcModel):
        raise click.BadParameter(f"{bundle} is no CTC model", param_hint="BUNDLES")
    if open_bundle(bundle).manifest.engine == "numpy":
        raise click.BadParameter(f"{bundle} is for numpy, which has no products in INT8", param_hint="BUNDLES")
    return lambda: model.logits(waveform)


def fastest(everyone: Sequence[Product], timings: Mapping[str, Timing]) -> Peaks:
    """Billions of operations per second of the fastest products, by engine and precision."""
    peaks: Peaks = {}
    for each in everyone:
        key, reached = (each.engine, each.precision), each.operations / timings[each.title].minimum / 1e9
        peaks[key] = max(peaks.get(key, 0.0), reached)
    return peaks


def measured(bundle: Path, timing: Timing, counted: Operations, peaks: Peaks, alone: Alone) -> dict[str, Any]:
    """What a bundle reaches; its best call counts, as the products' does."""
    manifest = open_bundle(bundle).manifest
    engine = ENGINES[manifest.engine]
    int8, float32 = (peaks[engine, precision] for precision in ("int8", "float32"))
    reached = counted.total / timing.minimum / 1e9
    least = (counted.layers / int8 + counted.attention / float32) / 1e9
    in_layers, in_attention = (
        sum(alone[engine, shape] * 2 * prod(shape) * count for shape, count in sizes.items())
        for sizes in (counted.sizes, counted.in_attention)
    )
    products_alone = in_layers + in_attention + counted.unsized / float32 / 1e9
    return {
        "bundle": bundle.name,
        "engine": engine,
        "precision": manifest.precision,
        "seconds": timing.minimum,
        "median": timing.median,
        "gops": reached,
        "share": reached / int8,
        "share_of_limit": least / timing.minimum,
        "layers_alone": in_layers,
        "attention_alone": in_attention,
        "share_of_sizes": products_alone / timing.minimum,
    }


def render(rows: list[dict[str, Any]]) -> Table:
    """One line for each bundle."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("engine", "bundle", "precision"):
        table.add_column(heading)
    for heading in ("s", "median s", "GOP/s", "of INT8", "of the limit", "layers alone", "attention", "of its sizes"):
        table.add_column(heading, justify="right")
    for row in rows:
        times = (f"{row[key]:.4f}" for key in ("seconds", "median"))
        shares = (f"{row[key]:.0%}" for key in ("share", "share_of_limit"))
        alone = (f"{row[key]:.4f}" for key in ("layers_alone", "attention_alone"))
        cells = (*times, f"{row['gops']:.0f}", *shares, *alone, f"{row['share_of_sizes']:.0%}")
        table.add_row(row["engine"], row["bundle"], row["precision"], *cells)
    return table


if __name__ == "__main__":
    main()
