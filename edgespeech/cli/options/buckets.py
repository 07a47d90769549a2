"""`--buckets-from` of `edgespeech export --static`: buckets that follow from the lengths of recordings."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from edgespeech.cli.display.output import few, number
from edgespeech.cli.errors import CommandError, complain

if TYPE_CHECKING:
    from edgespeech_runtime.bundle.manifest import Manifest

NAMES = ("buckets_from", "buckets_root", "buckets_count", "longest_bucket")
COUNT, LONGEST = 4, 30  # of edgespeech_export.lengths; not imported, because it comes with torch

OPTIONS = (
    click.option(
        "--buckets-from",
        metavar="SET",
        help="Static: choose the buckets by the lengths of these recordings, so that least is padded.",
    ),
    click.option(
        "--buckets-root", metavar="SET", help="--buckets-from: where the set lies from which a list was drawn."
    ),
    click.option(
        "--buckets-count",
        type=click.IntRange(min=1),
        help=f"--buckets-from: how many buckets at most.  [default: {COUNT}]",
    ),
    click.option(
        "--longest-bucket",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help=f"--buckets-from: that no bucket exceeds, however long recordings are.  [default: {LONGEST}]",
    ),
)


def check_buckets(own: Mapping[str, Any]) -> None:
    """Raise CommandError for options that contradict each other."""
    if own["buckets_from"] is not None:
        if own["buckets"] is not None:
            raise CommandError("--buckets and --buckets-from contradict each other; leave one of them out")
        return
    for name in NAMES:
        if own[name] is not None:
            flag = "--" + name.replace("_", "-")
            raise CommandError(f"{flag} is for --buckets-from; name a set of recordings there, or leave {flag} out")


def with_lengths(shapes: Mapping[str, Any], looked: Callable[[int], object] | None = None) -> dict[str, Any]:
    """Return options of shapes with the lengths of the recordings in place of the options that name them.

    Raises what `edgespeech_calib.open_set` raises, and ExportError.
    """
    own = {name: shapes[name] for name in NAMES if name in shapes}
    found = {name: value for name, value in shapes.items() if name not in NAMES}
    if not own:
        return found
    from edgespeech_calib import open_set
    from edgespeech_export import Lengths

    data = open_set(own["buckets_from"], own.get("buckets_root"), looked)
    if data.skipped:
        reasons = few([f"{one.id} ({one.reason})" for one in data.skipped])
        complain(f"buckets: left out {number(len(data.skipped), 'recording')}: {reasons}")
    wishes = {"count": own.get("buckets_count"), "longest": own.get("longest_bucket")}
    given = {name: value for name, value in wishes.items() if value is not None}
    return {**found, "lengths": Lengths(data.lengths, data.name, **given)}


def bucket_rows(manifest: "Manifest") -> list[tuple[str, str]]:
    """Labels and values of a bundle's buckets, and of how they were chosen; none where shapes are free."""
    if manifest.static is None:
        return []
    rate = manifest.audio.sampling_rate
    rows = [("buckets", ", ".join(f"{bucket / rate:g}" for bucket in manifest.static.buckets) + " s")]
    chosen = manifest.provenance.get("buckets")
    if isinstance(chosen, Mapping) and isinstance(padding := chosen.get("padding"), int | float):
        longer = f", {chosen['longer']} are longer" if chosen.get("longer") else ""
        among = f"by {chosen.get('recordings')} recordings of {chosen.get('set')}"
        rows.append(("", f"{among}: {100 * padding:.1f} % of what is heard is padding{longer}"))
    return rows
