"""Results of generation as a table that fits a terminal of 100 columns, and what is to be said about them."""

from collections.abc import Sequence

from rich.table import Table

from benchmarks.pace import Result


def render(results: Sequence[Result]) -> Table:
    """One line for each contender and number of beams that was measured."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("decoder", "engine", "contender"):
        table.add_column(heading)
    for heading in ("beams", "ms/token", "min", "× as fast", "/ greedy", "% of bw", "tokens"):
        table.add_column(heading, justify="right")
    for row in (row for result in results for row in result.rows):
        table.add_row(
            row.model,
            row.engine,
            row.name,
            str(row.beams),
            f"{row.ms_per_token:.2f}",
            f"{row.min_ms_per_token:.2f}",
            f"{row.speedup:.2f}",
            "-" if row.over_greedy is None else f"{row.over_greedy:.2f}",
            f"{100 * row.bandwidth_share:.0f}",
            "same" if row.agrees else f"{row.different_tokens} {'other' if row.is_right else 'WRONG'}",
        )
    return table


def remarks(results: Sequence[Result]) -> list[str]:
    """One line for each contender that disagrees or could not take part."""
    lines = []
    for result in results:
        lines += [
            f"{row.model}, {row.engine}, {row.name}, beams: {row.beams}: {row.different_tokens} tokens differ from "
            f"those of {result.reference}"
            for row in result.rows
            if not row.is_right
        ]
        lines += [f"{title}: not measured, {reason}" for title, reason in result.unavailable.items()]
    return lines


def notes(results: Sequence[Result]) -> list[str]:
    """What the columns mean, and what was measured of the machine."""
    lines = [
        "ms/token: of the loop, (all tokens - 1 token) / (tokens - 1), without encoder and first step; min: by the "
        "fastest calls",
        "× as fast: as the decoder's first row with as many beams; / greedy: time over that of one beam",
        "tokens: of rounded weights others may be right; their logits are compared when they are loaded",
        "% of bw: bytes that a step must read (weights, both caches) over the time, of the bandwidth of reading memory",
    ]
    for result in results:
        mega = {name: size / 1e6 for name, size in vars(result.bytes_read).items()}
        lines += [
            f"{result.model}: {result.kinds_of_tokens} different tokens said; a step reads {mega['weights']:.1f} MB of "
            f"weights ({mega['int8']:.1f} in INT8, {mega['int4']:.1f} in INT4), "
            f"{mega['cross']:.1f} MB of the encoder's cache, {mega['token']:.3f} MB for each earlier token",
            f"{result.model}: memory reads at {result.read_gb_per_second:.1f} GB/s, best "
            f"{result.best_read_gb_per_second:.1f}; load average before {result.load_before}, "
            f"after {result.load_after}",
        ]
    return lines
