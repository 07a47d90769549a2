"""A result as a table that fits a terminal of 100 columns, and what is to be said about it."""

from rich.table import Table

from benchmarks.measure import Result


def render(result: Result) -> Table:
    """One line for each contender that was measured."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("engine")
    table.add_column("contender")
    for heading in ("median s", "min s", "× eager", "× plain", "max difference"):
        table.add_column(heading, justify="right")
    for row in result.rows:
        table.add_row(
            row.engine,
            row.name,
            f"{row.median_seconds:.4f}",
            f"{row.min_seconds:.4f}",
            _times(row.speedup_eager),
            _times(row.speedup_plain),
            f"{row.max_abs_difference:.1e}" + ("" if row.agrees else " WRONG"),
        )
    return table


def remarks(result: Result) -> list[str]:
    """One line for each contender that disagrees or could not take part."""
    wrong = [
        f"{row.engine}, {row.name}: logits differ by {row.max_abs_difference:.2g} from {result.reference}, "
        f"{row.tolerance:.2g} is allowed"
        for row in result.rows
        if not row.agrees
    ]
    return wrong + [f"{title}: not measured, {reason}" for title, reason in result.unavailable.items()]


def _times(factor: float | None) -> str:
    return "-" if factor is None else f"{factor:.2f}"
