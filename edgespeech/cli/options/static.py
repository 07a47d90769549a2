"""The options of graphs of fixed shapes, which `edgespeech export --static` and `--target npu` take."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from edgespeech_runtime.cli.display.output import few, number

from edgespeech.choices import BUCKET_COUNT, BUCKETS, LEAST_SLOTS, LONGEST_BUCKET, MOST_SLOTS
from edgespeech.cli.errors import complain
from edgespeech.cli.options.grouping import OptionSpec
from edgespeech.cli.options.types import Seconds

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

GROUP = "Fixed shapes (--static, or --target npu)"
SPECS = {
    "static": OptionSpec("--static", {"is_flag": True, "help": "Fix the shapes of all graphs, as NPUs need them."}),
    "buckets": OptionSpec(
        "--buckets",
        {
            "type": Seconds(),
            "metavar": "SECONDS",
            "help": f"Lengths of audio.  [default: {','.join(f'{bucket:g}' for bucket in BUCKETS)}]",
        },
    ),
    "buckets_from": OptionSpec(
        "--buckets-from", {"metavar": "SET", "help": "Choose the lengths by those of these recordings."}
    ),
    "buckets_root": OptionSpec("--buckets-root", {"metavar": "SET", "help": "Set from which a list was drawn."}),
    "buckets_count": OptionSpec(
        "--buckets-count",
        {"type": click.IntRange(min=1), "metavar": "N", "help": f"Lengths at most.  [default: {BUCKET_COUNT}]"},
    ),
    "longest_bucket": OptionSpec(
        "--longest-bucket",
        {
            "type": click.FloatRange(min=0, min_open=True),
            "metavar": "SECONDS",
            "help": f"Longest length.  [default: {LONGEST_BUCKET:g}]",
        },
    ),
    "slots": OptionSpec(
        "--slots",
        {
            "type": click.IntRange(min=LEAST_SLOTS),
            "metavar": "N",
            "help": f"Tokens of an encoder-decoder's cache, at most {MOST_SLOTS}.",
        },
    ),
    "compile": OptionSpec("--compile", {"is_flag": True, "help": "Compile for Qualcomm's NPU; needs onnxruntime-qnn."}),
    "soc_model": OptionSpec(
        "--soc-model", {"type": click.IntRange(min=1), "metavar": "N", "help": "Qualcomm's number of the chip."}
    ),
}
FROM_RECORDINGS = ("buckets_from", "buckets_root", "buckets_count", "longest_bucket")
SHAPES = ("buckets", "slots", *FROM_RECORDINGS)
COMPILING = ("compile", "soc_model")


def static_options(command: CommandT) -> CommandT:
    """Give a command the options of fixed shapes."""
    for spec in reversed(SPECS.values()):
        command = spec.given_to(command, GROUP)
    return command


def with_lengths(shapes: Mapping[str, Any], looked: Callable[[int], object] | None = None) -> dict[str, Any]:
    """Return options of shapes with the lengths of the recordings in place of the options that name them.

    Raises what `edgespeech_calib.open_set` raises, and ExportError.
    """
    own = {name: shapes[name] for name in FROM_RECORDINGS if name in shapes}
    rest = {name: value for name, value in shapes.items() if name not in FROM_RECORDINGS}
    if not own:
        return rest
    from edgespeech_calib import open_set
    from edgespeech_export import Lengths

    data = open_set(own["buckets_from"], own.get("buckets_root"), looked)
    if data.skipped:
        reasons = few([f"{one.id} ({one.reason})" for one in data.skipped])
        complain(f"buckets: left out {number(len(data.skipped), 'recording')}: {reasons}")
    limits = {"count": own.get("buckets_count"), "longest": own.get("longest_bucket")}
    given = {name: value for name, value in limits.items() if value is not None}
    return {**rest, "lengths": Lengths(data.lengths, data.name, **given)}
