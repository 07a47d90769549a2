"""What the options of a search mean: over a CTC model's output, and in a decoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import CommandError

CTC = ("beams", "lm", "no_lm", "hotword", "n_best", "alpha", "beta")
DECODER = ("num_beams", "language", "max_new_tokens")  # of models with a decoder


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


def generation(options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `EncoderDecoderModel.transcribe` for those of these options that were given."""
    return {name: options[name] for name in DECODER if options.get(name) is not None}


def _weighted(text: str) -> tuple[str, float]:
    phrase, separator, weight = text.rpartition("=")
    if not separator:
        return text, 10.0  # edgespeech_runtime.ctc.hotwords.DEFAULT_WEIGHT; that comes with numpy
    try:
        return phrase, float(weight)
    except ValueError:
        raise CommandError(f"--hotword {text}: expected PHRASE or PHRASE=WEIGHT, such as 'Ada Lovelace=5'") from None
