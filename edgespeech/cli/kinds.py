"""What the kinds of models can be asked for with `transcribe`: much is the same, and each can what the other cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgespeech.cli.errors import CommandError

if TYPE_CHECKING:
    from edgespeech_runtime import CtcModel, EncoderDecoderModel


@dataclass(frozen=True)
class Kind:
    """A kind of model, the options it cannot honour, and why."""

    name: str
    lacks: tuple[str, ...]
    reason: str


KINDS = {
    "ctc": Kind("a CTC model", ("num_beams", "language", "max_new_tokens"), "it has no decoder to search or to steer"),
    "encoder-decoder": Kind("an encoder-decoder", ("timestamps", "srt", "vtt"), "it does not say when a word was said"),
}


def asked(model: "CtcModel | EncoderDecoderModel", bundle: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those `options` of the command that the model's `transcribe` takes.

    Raises:
        CommandError: an option that this kind of model cannot honour.
        ArgumentError: options that contradict each other or the model, an unknown language.
    """
    from edgespeech_runtime import CtcModel

    kind = KINDS[model.manifest.task]
    for name in kind.lacks:
        if options[name] not in (None, False):
            flag = "--" + name.replace("_", "-")
            raise CommandError(f"{flag} is not for {bundle}, which is {kind.name}: {kind.reason}; leave it out")
    if isinstance(model, CtcModel):
        return {"timestamps": options["timestamps"]}
    chosen = {name: options[name] for name in KINDS["ctc"].lacks if options[name] is not None}
    model.options(**chosen)
    return chosen
