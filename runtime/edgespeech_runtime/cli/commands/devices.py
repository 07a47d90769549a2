"""`devices` and `check`: what this machine offers to run bundles on, and whether a bundle works there."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..display.output import say, size, to_json
from ..display.progress import Steps
from ..errors import FAILED

if TYPE_CHECKING:
    from .device_check import Check

COLUMNS = ("device", "kind", "library", "driver", "computes in", "shapes")
CHECKED = ("device", "works", "answer", "difference", "first load", "load again", "real-time factor", "memory")

SHORT = "List what this machine can run bundles on."
HELP = """List the devices that the installed engines offer here, the best first."""
SHORT_CHECK = "Run a bundle on each device, and compare what comes."
HELP_CHECK = """Run BUNDLE's golden input on each device that its engine has.

Each runs twice, each time in a process of its own: does it load, does it pass its self-check, does it give the text,
the labels or the embedding that the CPU gives. Ends with 2 where one of them fails.
"""


def devices(as_json: bool) -> int:
    """Print what there is and return the exit code."""
    from ... import devices as offered

    all_devices = offered()
    if as_json:
        say(to_json([asdict(device) for device in all_devices], indent=2))
        return 0
    rows = [
        (
            *(device.name, device.kind, device.library, device.driver or "", ", ".join(device.precisions)),
            "fixed" if device.static else "free",
        )
        for device in all_devices
    ]
    for line in columns([COLUMNS, *rows]):
        say(line)
    return 0


def check(
    bundle: Path,
    as_json: bool,
    steps: Callable[[], AbstractContextManager[Callable[[str], None]]] = Steps,
) -> int:
    """Run a bundle on each device, print how that went and return the exit code; `steps` makes the display of progress.

    Raises EdgeSpeechRuntimeError where it is no bundle, or its engine is not installed.
    """
    from .device_check import check as run_on_each

    with steps() as step:
        checks = run_on_each(bundle, step)
    if as_json:
        say(to_json([asdict(each) for each in checks], indent=2))
    else:
        for line in columns([CHECKED, *map(_checked, checks)]):
            say(line)
        for each in checks:
            if each.error is not None:
                say(f"{each.device}: {each.error}")
    return 0 if all(each.works for each in checks) else FAILED


def _checked(check: "Check") -> tuple[str, ...]:
    def shown(value: Any, form: str) -> str:
        return "" if value is None else form.format(value)

    return (
        check.device,
        "yes" if check.works else "no",
        {None: "", True: "the same", False: "another"}[check.same_answer],
        shown(check.difference, "{:.2g}"),
        shown(check.first_load, "{:.2f} s"),
        shown(check.next_load, "{:.2f} s"),
        shown(check.real_time_factor, "{:.4f}"),
        "" if check.memory is None else size(check.memory),
    )


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a table, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
