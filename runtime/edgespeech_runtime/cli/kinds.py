"""What the kinds of models can be asked for: by which command, and with which of its options."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .errors import CommandError, Program
from .searches import CTC, DECODER, decoding, generation

if TYPE_CHECKING:
    from .. import CtcModel, EncoderDecoderModel
    from ..tasks import AnyModel
    from .recognition import Method


def _no_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Kind:
    """A kind of model, the command to use it with, the options of that command that it cannot honour, and why.

    `lacks` and `reason` go together, and so do `refuses` and `objection`, for options of another sort. `method` of the
    model is what the command calls. A kind that no command knows names a method there, as "model.method". `search`
    makes of the command's options those of the model's search.
    `aligns`: whether the model can say when given words are said.
    """

    name: str
    command: str
    lacks: tuple[str, ...] = ()
    reason: str = ""
    refuses: tuple[str, ...] = ()
    objection: str = ""
    method: str = ""
    search: Callable[[Mapping[str, Any]], dict[str, Any]] = _no_options
    aligns: bool = False


KINDS = {
    "ctc": Kind(
        "a CTC model",
        "transcribe",
        DECODER,
        "it has no decoder to search or to steer",
        method="transcribe",
        search=decoding,
        aligns=True,
    ),
    "encoder-decoder": Kind(
        "an encoder-decoder",
        "transcribe",
        ("timestamps", "srt", "vtt"),
        "it does not say when a word was said",
        CTC,
        "it searches in its decoder: use --num-beams",
        method="transcribe",
        search=generation,
    ),
    "audio-classification": Kind(
        "a classifier of utterances",
        "classify",
        ("threshold",),
        "it gives the whole one label",
        method="classify",
    ),
    "audio-frame-classification": Kind(
        "a classifier of frames",
        "classify",
        ("top_k",),
        "it judges each label by itself",
        method="frames",
    ),
    "audio-xvector": Kind(
        "a model that embeds",
        "features",
        ("layer",),
        "it gives one vector of an utterance",
        method="embed",
    ),
    "feature-extraction": Kind("a feature extractor", "features", method="features"),
}


def transcriber(model: "AnyModel", bundle: Path, options: Mapping[str, Any]) -> "Method":
    """Return the model's `transcribe` with those `options` of the command that it takes.

    Raises:
        CommandError: a model that does not transcribe, an option that this kind of model cannot honour.
        ArgumentError: options that contradict each other or the model, an unknown language.
    """
    _require_options(model, bundle, options)
    search = KINDS[model.manifest.task].search(options)
    method = transcribing(model, bundle).transcribe
    model.check_options(**search)
    if options["vad"] is not None:
        search["vad"] = options["vad"]
    if options["run_silence"]:
        if model.manifest.task != "ctc":
            raise CommandError(f"--run-silence is not for {bundle}, which cuts long audio in silence; leave it out")
        search["skip_silence"] = False
    return partial(method, timestamps=options["timestamps"], **search)


def transcribing(model: "AnyModel", bundle: Path) -> "CtcModel | EncoderDecoderModel":
    """Return the model if it transcribes. Raises CommandError."""
    if KINDS[model.manifest.task].command != "transcribe":
        raise _misplaced(model, bundle, "transcribes nothing")
    return cast("CtcModel | EncoderDecoderModel", model)


def streamer(model: "AnyModel", bundle: Path, options: Mapping[str, Any]) -> "Method":
    """Return the model's `stream` with those `options` of the command that it takes. Raises as `transcriber`."""
    _require_options(model, bundle, options)
    search = KINDS[model.manifest.task].search(options)
    method = getattr(transcribing(model, bundle), "stream", None)
    if method is None:
        raise CommandError(
            f"{bundle} is {KINDS[model.manifest.task].name}, which has no live captions: use a CTC model"
        )
    return partial(method, **search)


def aligner(model: "AnyModel", bundle: Path) -> "Method":
    """Return the method by which the model aligns a text. Raises CommandError."""
    kind = KINDS[model.manifest.task]
    if kind.aligns:
        return cast("CtcModel", model).align
    raise CommandError(f"{bundle} is {kind.name}, which cannot align a text: use a bundle of a CTC model")


def classifier(model: "AnyModel", bundle: Path, options: Mapping[str, Any]) -> "Method":
    """Return the method by which the model classifies.

    Raises:
        CommandError: a model that does not, an option that this kind of model cannot honour.
    """
    _require_options(model, bundle, options)
    kind = KINDS[model.manifest.task]
    if kind.command != "classify":
        raise _misplaced(model, bundle, "classifies nothing")
    method: Method = getattr(model, kind.method)
    return method


def extractor(model: "AnyModel", bundle: Path, options: Mapping[str, Any]) -> "Method":
    """Return the method that gives features, or the embedding of an utterance. Raises CommandError as `classifier`."""
    _require_options(model, bundle, options)
    kind = KINDS[model.manifest.task]
    if kind.command != "features":
        raise _misplaced(model, bundle, "gives answers, no features")
    method: Method = getattr(model, kind.method)
    return partial(method, layer=options["layer"]) if kind.method == "features" else method


def _misplaced(model: "AnyModel", bundle: Path, reason: str) -> CommandError:
    kind = KINDS[model.manifest.task]
    program = "edgespeech" if kind.command == "features" else Program.name  # which the toolchain alone has
    use = kind.command if "." in kind.command else f"{program} {kind.command}"
    return CommandError(f"{bundle} is {kind.name}, which {reason}: use {use}")


def _require_options(model: "AnyModel", bundle: Path, options: Mapping[str, Any]) -> None:
    kind = KINDS[model.manifest.task]
    for names, reason in ((kind.lacks, kind.reason), (kind.refuses, kind.objection)):
        for name in names:
            given = options.get(name)
            if given is not None and given is not False and given != ():  # a number may be 0
                flag = "--" + name.replace("_", "-")
                raise CommandError(f"{flag} is not for {bundle}, which is {kind.name}: {reason}; leave it out")
