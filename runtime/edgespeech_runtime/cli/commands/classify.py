"""`classify`: sound files to labels, of the whole or with times."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...choices import THRESHOLD
from ..display.labels import classes, segments
from ..display.progress import Counter
from ..display.results import Form, Sink
from ..kinds import classifier
from ..listening import FAILURES, listen, planned

if TYPE_CHECKING:
    from ...tasks import AnyModel
    from ..recognition import Method

HELP = f"""Classify AUDIO with the model in the folder BUNDLE.

AUDIO are sound files and folders; of a folder, the sound files in it are taken, sorted by name. What comes goes to
stdout, with the file's name where there are several; --output takes a file for each (.txt, .json).

A classifier of utterances gives the most probable label and its probability, or the --top-k of them, a line each. A
classifier of frames gives start, end, mean probability and label of all that is above the --threshold; several labels
may be true at once. What a model cannot do is refused before any work.

{FAILURES}"""
SHORT = "Classify sound files: labels, of the whole or with times."


def classify(
    bundle: Path, audio: Sequence[Path], options: Mapping[str, Any], counter: Callable[..., Counter] = Counter
) -> int:
    """Run the command and return its exit code; `counter` makes the display of what is done.

    Raises CommandError and what the runtime raises.
    """
    form: Form = "json" if options["as_json"] else "text"
    work = planned(audio, form, options)

    def prepared(model: "AnyModel") -> "tuple[Method, Sink]":
        method = classifier(model, bundle, options)
        if model.manifest.task == "audio-classification":
            shown, has_lines = partial(classes, form=form, top_k=options["top_k"]), options["top_k"] is not None
        else:
            threshold = THRESHOLD if options["threshold"] is None else options["threshold"]
            shown, has_lines = partial(segments, form=form, threshold=threshold), True
        return method, Sink(form, shown, work.several, work.files, has_lines)

    return listen(bundle, work, options, prepared, counter(len(work.recordings), options["quiet"], "classifying"))
