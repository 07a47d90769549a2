"""`edgespeech devices`: what this machine offers to run bundles on, and whether a bundle works there."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgespeech.cli.display.output import say, size, to_json
from edgespeech.cli.display.progress import Steps
from edgespeech.cli.errors import FAILED

if TYPE_CHECKING:
    from edgespeech.cli.commands.device_check import Check

COLUMNS = ("device", "kind", "library", "driver", "computes in", "shapes")
CHECKED = ("device", "works", "answer", "difference", "first load", "load again", "real-time factor", "memory")


@click.command(short_help="List what this machine can run bundles on.")
@click.option(
    "--check", "bundle", metavar="BUNDLE", type=click.Path(path_type=Path), help="Run a bundle on each device."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def devices(ctx: click.Context, bundle: Path | None, as_json: bool) -> None:
    """List the devices that the installed engines offer here, the best first.

    With --check, the bundle's golden input runs on each device that its engine has, twice, each time in a process of
    its own: does it load, does it pass its self-check, does it give the text, the labels or the embedding that
    the CPU gives. Ends with 2 where one of them fails.
    """
    if bundle is None:
        _list(as_json)
        return
    from edgespeech.cli.commands.device_check import check

    with Steps() as step:
        checks = check(bundle, step)
    if as_json:
        say(to_json([asdict(each) for each in checks], indent=2))
    else:
        for line in columns([CHECKED, *map(_checked, checks)]):
            say(line)
        for each in checks:
            if each.error is not None:
                say(f"{each.device}: {each.error}")
    if not all(each.works for each in checks):
        ctx.exit(FAILED)


def _list(as_json: bool) -> None:
    from edgespeech_runtime import devices as offered

    all_devices = offered()
    if as_json:
        say(to_json([asdict(device) for device in all_devices], indent=2))
        return
    rows = [
        (
            *(device.name, device.kind, device.library, device.driver or "", ", ".join(device.precisions)),
            "fixed" if device.static else "free",
        )
        for device in all_devices
    ]
    for line in columns([COLUMNS, *rows]):
        say(line)


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


def columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
