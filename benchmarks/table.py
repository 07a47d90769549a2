"""A result as a table that fits a terminal of 100 columns, and what is to be said about it."""

from rich.table import Table

from benchmarks.measure import LEAST_SNR, Result, Row

HEADINGS = ("median s", "× eager", "× plain", "× float32", "× tool", "off by", "MB", "share")


def render(result: Result) -> Table:
    """One line for each contender that was measured."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("engine")
    table.add_column("contender")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for row in result.rows:
        table.add_row(
            row.engine,
            row.name,
            f"{row.median_seconds:.4f}",
            _times(row.speedup_eager),
            _times(row.speedup_plain),
            _times(row.speedup_float32),
            _times(row.speedup_tool),
            _difference(row) + ("" if row.agrees else " WRONG"),
            "-" if row.megabytes is None else f"{row.megabytes:.4g}",
            "-" if row.size_share is None else f"{row.size_share:.2f}",
        )
    return table


def remarks(result: Result) -> list[str]:
    """One line for each contender that disagrees or could not take part, and for INT8 of ours that is noisier than the
    tool's."""
    wrong = [f"{row.engine}, {row.name}: {_wrong(row, result)}" for row in result.rows if not row.agrees]
    noisier = [
        f"{row.engine}, {row.name}: {row.snr_db:.1f} dB, less than the {tool.snr_db:.1f} dB of {tool.name}"
        for row in result.rows
        if (tool := _tool(row, result)) and row.snr_db and tool.snr_db and row.snr_db < tool.snr_db
    ]
    absent = [f"{title}: not measured, {reason}" for title, reason in result.unavailable.items()]
    return wrong + noisier + absent


def _wrong(row: Row, result: Result) -> str:
    if row.tolerance is None and row.snr_db is not None:
        return (
            f"logits have {row.snr_db:.1f} dB over their noise against {result.reference}, {LEAST_SNR:g} dB are asked"
        )
    allowed = "" if row.tolerance is None else f", {row.tolerance:.2g} is allowed"
    return f"logits differ by {row.max_abs_difference:.2g} from {result.reference}{allowed}"


def _tool(row: Row, result: Result) -> Row | None:
    """What the engine's own tool made of INT8 that is compared with an INT8 bundle."""
    if (row.kind, row.precision) != ("bundle", "int8"):
        return None
    same = (each for each in result.rows if (each.engine, each.kind, each.precision) == (row.engine, "plain", "int8"))
    return next(same, None)


def _difference(row: Row) -> str:
    """Of INT8 the signal-to-noise ratio, of others the largest difference."""
    if row.precision == "int8" and row.snr_db is not None:
        return f"{row.snr_db:.1f} dB"
    return f"{row.max_abs_difference:.1e}"


def _times(factor: float | None) -> str:
    return "-" if factor is None else f"{factor:.2f}"
