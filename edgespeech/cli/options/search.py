"""Options of a beam search over a CTC model's output: how wide, with which language model and which words."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from edgespeech.cli.errors import CommandError

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
NAMES = ("beams", "lm", "no_lm", "hotword", "n_best", "alpha", "beta")

BEAMS = click.option("--beams", type=click.IntRange(min=1), help="Search with so many beams (CTC models).")
MODEL = (
    click.option(
        "--lm",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Search with this n-gram language model; 100 beams if --beams is not given.",
    ),
    click.option("--no-lm", is_flag=True, help="Search without the language model that the bundle carries."),
    click.option("--alpha", type=float, help="Weight of the language model.  [default: 0.5]"),
    click.option("--beta", type=float, help="Added to the score of each word, with a language model.  [default: 1.5]"),
)
HOTWORD = click.option(
    "--hotword",
    multiple=True,
    metavar="PHRASE[=WEIGHT]",
    help="Prefer this word or phrase, weight 10 if not given; may be given again.",
)
N_BEST = click.option("--n-best", type=click.IntRange(min=1), help="Print so many texts of the search, with scores.")


def searches(command: CommandT) -> CommandT:
    """Give a command all options of a search."""
    return weighs(N_BEST(command))


def weighs(command: CommandT) -> CommandT:
    """Give a command the options of a search, but for the number of texts."""
    for option in reversed((BEAMS, *MODEL, HOTWORD)):
        command = option(command)
    return command


def tunes(command: CommandT) -> CommandT:
    """Give a command those, and the one that looks for the weights of the language model."""
    help_text = "Find the --alpha and --beta with the fewest word errors on SET."
    return weighs(click.option("--tune-lm", is_flag=True, help=help_text)(command))


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same arguments, a path as text: for a message to another process."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}


def decoding(options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `CtcModel.transcribe` for those of these options that were given. Raises CommandError."""
    if options.get("lm") is not None and options.get("no_lm"):
        raise CommandError("--lm and --no-lm exclude each other; leave one out")
    chosen = {name: options[name] for name in ("beams", "n_best", "alpha", "beta") if options.get(name) is not None}
    if options.get("lm") is not None:
        chosen["language_model"] = options["lm"]
    if options.get("no_lm"):
        chosen["language_model"] = False
    if options.get("hotword"):
        chosen["hotwords"] = dict(map(_weighted, options["hotword"]))
    return chosen


def _weighted(text: str) -> tuple[str, float]:
    phrase, separator, weight = text.rpartition("=")
    if not separator:
        return text, 10.0  # edgespeech_runtime.ctc.hotwords.DEFAULT_WEIGHT; that comes with numpy
    try:
        return phrase, float(weight)
    except ValueError:
        raise CommandError(f"--hotword {text}: expected PHRASE or PHRASE=WEIGHT, such as 'Ada Lovelace=5'") from None
