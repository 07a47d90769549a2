"""The options of INT8: all of them for `edgespeech quantize`, the few that most people use for `edgespeech export`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import click

from edgespeech.choices import (
    MAX_CHANGED_WORDS,
    MAX_WER_INCREASE,
    NPU,
    SAMPLES,
    DecoderWeights,
    Ranges,
    Scheme,
    Target,
)
from edgespeech.cli.errors import CommandError
from edgespeech.cli.options.grouping import OptionSpec, Rule
from edgespeech.cli.options.types import file_path

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

IN_EXPORT = "INT8 (--precision int8; more options: edgespeech quantize --help)"
CALIBRATION, COST, FORM = "Calibration", "What INT8 may cost", "Number types"

GROUPS: dict[str, dict[str, OptionSpec]] = {
    CALIBRATION: {
        "calib": OptionSpec("--calib", {"metavar": "SET", "help": "Speech to calibrate on, without texts."}),
        "calib_root": OptionSpec("--calib-root", {"metavar": "SET", "help": "Set from which a list was drawn."}),
        "samples": OptionSpec(
            "--samples",
            {
                "type": click.IntRange(min=1),
                "metavar": "N",
                "default": SAMPLES,
                "show_default": True,
                "help": "Utterances, spread over speakers and lengths.",
            },
        ),
        "seed": OptionSpec(
            "--seed", {"type": int, "metavar": "N", "default": 0, "show_default": True, "help": "Seed of the draw."}
        ),
    },
    COST: {
        "eval_set": OptionSpec(
            "--eval", {"metavar": "SET", "help": "Labelled speech, to count errors on."}, "eval_set"
        ),
        "eval_root": OptionSpec("--eval-root", {"metavar": "SET", "help": "Set from which that list was drawn."}),
        "max_wer_increase": OptionSpec(
            "--max-wer-increase",
            {
                "type": click.FloatRange(min=0),
                "metavar": "POINTS",
                "default": MAX_WER_INCREASE,
                "show_default": True,
                "help": "Word errors, or accuracy, that it may cost on --eval.",
            },
        ),
        "max_changed_words": OptionSpec(
            "--max-changed-words",
            {
                "type": click.FloatRange(min=0),
                "metavar": "PERCENT",
                "default": MAX_CHANGED_WORDS,
                "show_default": True,
                "help": "Words, or labels, that may change where there is no --eval.",
            },
        ),
        "revert": OptionSpec(
            "--no-revert",
            {"is_flag": True, "flag_value": False, "default": True, "help": "Return no layer to float."},
            "revert",
        ),
    },
    FORM: {
        "scheme": OptionSpec(
            "--scheme",
            {
                "type": click.Choice(get_args(Scheme)),
                "default": "static",
                "show_default": True,
                "help": "Ranges of activations from calibration, or from each input.",
            },
        ),
        "ranges": OptionSpec(
            "--ranges",
            {
                "type": click.Choice(get_args(Ranges)),
                "help": "How ranges follow from the calibration.  [default: the engine's best]",
            },
        ),
        "decoder_weights": OptionSpec(
            "--decoder-weights",
            {
                "type": click.Choice(get_args(DecoderWeights)),
                "default": "int8",
                "show_default": True,
                "help": "How a text decoder's weights are stored.",
            },
        ),
        "target": OptionSpec(
            "--target",
            {
                "type": click.Choice(get_args(Target)),
                "help": "Instruction set.  [default: this machine's]",
            },
        ),
    },
}
REPORT = OptionSpec(
    "--report", {"type": file_path(), "metavar": "FILE", "help": "Write an HTML page that shows all of it."}
)
TARGET_OF_EXPORT = OptionSpec(
    "--target",
    {
        "type": click.Choice((*get_args(Target), NPU)),
        "help": "Processor; npu fixes shapes, in any precision.  [default: this machine's]",
    },
)
SHOWN_IN_EXPORT = ("calib", "eval_set", "max_wer_increase", "target", "report")
SPECS = {name: spec for group in GROUPS.values() for name, spec in group.items()}
OPTIONS = tuple(name for name in SPECS if name not in ("calib", "calib_root", "eval_set", "eval_root"))
NAMES = (*SPECS, "report")

RULES = (
    Rule(
        ("calib_root", "samples", "seed"),
        lambda given: given["calib"] is None,
        "{flag} is of the speech of --calib; name a set there, or leave {flag} out",
    ),
    Rule(
        ("eval_root",),
        lambda given: given["eval_set"] is None,
        "{flag} says where the set of a list lies; name the list with --eval",
    ),
)


def quantize_options(command: CommandT) -> CommandT:
    """Give a command all options of INT8, in groups."""
    command = REPORT.given_to(command, COST)
    for group, specs in reversed(GROUPS.items()):
        for spec in reversed(specs.values()):
            command = spec.given_to(command, group)
    return command


def export_options(command: CommandT) -> CommandT:
    """Give a command the options of INT8; its help shows those that most people use."""
    specs = {**SPECS, "target": TARGET_OF_EXPORT, "report": REPORT}
    for name, spec in reversed(specs.items()):
        command = spec.given_to(command, IN_EXPORT, name in SHOWN_IN_EXPORT)
    return command


def check_report(options: Mapping[str, Any]) -> None:
    """Refuse a page that is there already and not to be replaced. Raises CommandError."""
    report = options["report"]
    if report is not None and report.exists() and not options["force"]:
        raise CommandError(f"{report} exists; name another file, or replace it with --force")
