"""What `edgespeech export` is told of the language model that the bundle is to carry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgespeech.cli.errors import CommandError
from edgespeech.cli.options.grouping import Options, OptionSpec, Rule

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

GROUP = "Language model (CTC)"
SPECS = (
    OptionSpec(
        "--lm",
        {
            "type": click.Path(path_type=Path),
            "metavar": "FILE",
            "help": "Model for the bundle to carry: ARPA, KenLM binary or compact.",
        },
    ),
    OptionSpec("--no-lm", {"is_flag": True, "help": "Leave out the model in CHECKPOINT's folder language_model."}),
    OptionSpec("--lm-alpha", {"type": float, "metavar": "X", "help": "Weight of --lm in searches.  [default: 0.5]"}),
    OptionSpec("--lm-beta", {"type": float, "metavar": "X", "help": "Added for each word with --lm.  [default: 1.5]"}),
)
RULES = (
    Rule(
        ("lm_alpha", "lm_beta"),
        lambda given: given["lm"] is None,
        "{flag} is for --lm; name a language model there, or leave {flag} out",
    ),
    Rule(
        (),
        lambda given: given["lm"] is not None and given["no_lm"],
        "--lm and --no-lm exclude each other; leave one of them out",
    ),
)


def language_model_options(command: CommandT) -> CommandT:
    """Give a command the options of the bundle's language model."""
    for spec in reversed(SPECS):
        command = spec.given_to(command, GROUP)
    return command


def chosen_language_model(options: Options) -> Any:
    """What `ExportOptions.language_model` is by the options. Raises CommandError."""
    file = options["lm"]
    if file is None:
        return False if options["no_lm"] else None
    if not file.is_file():
        raise CommandError(f"{file}: no such language model; expected an ARPA, KenLM binary or compact file")
    from edgespeech_export.language_model import BundledModel

    return BundledModel(file, options["lm_alpha"], options["lm_beta"])
