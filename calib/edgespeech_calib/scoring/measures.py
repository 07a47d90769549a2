"""Which measure judges the systems of which task. To add one: a line here."""

from collections.abc import Callable

from edgespeech_runtime.bundle.manifest import PROBLEM_TYPES

from edgespeech_calib.errors import EvaluationError
from edgespeech_calib.scoring.label_accuracy import ClassAccuracy, FrameAccuracy
from edgespeech_calib.scoring.measure import Measure
from edgespeech_calib.scoring.normalisation import Normalisation
from edgespeech_calib.scoring.word_errors import WordErrors

MEASURES: dict[str, Callable[[Normalisation], Measure]] = {
    "ctc": WordErrors,
    "encoder-decoder": WordErrors,
    "audio-classification": lambda normalisation: ClassAccuracy(),
    "audio-frame-classification": lambda normalisation: FrameAccuracy(),
}


def has_one_answer(problem_type: str | None) -> bool:
    """Whether one label is the answer of a classifier of utterances, by the manifest's `problem_type`."""
    return problem_type in (None, PROBLEM_TYPES[0])


def find_measure(task: str, normalisation: Normalisation = "basic", problem_type: str | None = None) -> Measure | None:
    """Return how systems of a task are judged; None where single utterances have no right answer, as of embeddings."""
    return MEASURES[task](normalisation) if task in MEASURES and has_one_answer(problem_type) else None


def measure_of(
    name: str, task: str, normalisation: Normalisation = "basic", problem_type: str | None = None
) -> Measure:
    """Return how the system `name` of a task is judged.

    Raises:
        EvaluationError: there is no way.
    """
    if not has_one_answer(problem_type):
        raise EvaluationError(
            f"{name} is a classifier for {problem_type}, which has no one right label that accuracy could count; "
            "compare its logits in Python, by model.logits"
        )
    measure = find_measure(task, normalisation)
    if measure is None and task == "feature-extraction":
        raise EvaluationError(
            f"{name} is for {task}: hidden states have no accuracy of their own; judge what reads them, by what "
            "`edgespeech features` or model.features gives"
        )
    if measure is None:
        raise EvaluationError(
            f"{name} is for {task}, which has no accuracy without pairs of recordings that are alike and unlike; "
            "compare embeddings in Python, by model.embed"
        )
    return measure
