"""What classifiers say, as text or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

from .output import rounded, to_json
from .results import Form

if TYPE_CHECKING:
    from ... import Classification, FrameLabels

SCORE_PLACES = 6  # of the probability of a class, which may be one of many


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
