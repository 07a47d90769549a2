"""`edgespeech classify`: sound files to labels, of the whole or with times."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from edgespeech_runtime.choices import THRESHOLD

from edgespeech.cli.display.output import rounded, to_json
from edgespeech.cli.display.results import Form, Sink
from edgespeech.cli.options.kinds import classifier
from edgespeech.cli.options.listening import FAILURES, audio_options, listen, planned

if TYPE_CHECKING:
    from edgespeech_runtime import Classification, FrameLabels
    from edgespeech_runtime.tasks import AnyModel

    from edgespeech.cli.commands.recognition import Method

SCORE_PLACES = 6  # of the probability of a class, which may be one of many

HELP = f"""Classify AUDIO with the model in the folder BUNDLE.

AUDIO are sound files and folders; of a folder, the sound files in it are taken, sorted by name. What comes goes to
stdout, with the file's name where there are several; --output takes a file for each (.txt, .json).

A classifier of utterances gives the most probable label and its probability, or the --top-k of them, a line each. A
classifier of frames gives start, end, mean probability and label of all that is above the --threshold; several labels
may be true at once. What a model cannot do is refused before any work.

{FAILURES}"""


@click.command(help=HELP, short_help="Classify sound files: labels, of the whole or with times.")
@click.option("--top-k", type=click.IntRange(min=1), help="Labels of an utterance, the best first.  [default: 1]")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help=f"Probability above which a label is true in a frame.  [default: {THRESHOLD}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each file.")
@audio_options
@click.pass_context
def classify(ctx: click.Context, /, bundle: Path, audio: tuple[Path, ...], **options: Any) -> None:
    """See HELP."""
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

    listen(ctx, bundle, work, options, prepared)


def classes(path: Path, classification: "Classification", form: Form, top_k: int | None) -> str:
    """The best labels with their probabilities; JSON has all of them where it is not said how many."""
    if form == "text":
        return "".join(f"{each.label}\t{each.score:.3f}\n" for each in classification.scores[: top_k or 1])
    facts = classification.to_dict()
    scores = [rounded(each, SCORE_PLACES) for each in facts.pop("scores")[:top_k]]
    return to_json({"audio": str(path), **rounded(facts, SCORE_PLACES), "scores": scores}) + "\n"


def segments(path: Path, frame_labels: "FrameLabels", form: Form, threshold: float) -> str:
    """What is above the threshold and when: start and end in seconds, mean probability, label."""
    parts = frame_labels.segments(threshold)
    if form == "text":
        return "".join(f"{part.start:8.2f} {part.end:8.2f}  {part.score:.2f}  {part.label}\n" for part in parts)
    facts = {"audio": str(path), "duration": frame_labels.duration, "threshold": threshold}
    return to_json({**rounded(facts), "segments": [rounded(vars(part)) for part in parts]}) + "\n"
