"""What a model answers about an entry as a row of a shard. Rows hold nothing that differs from one run to the next."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgespeech_calib.corpus.entries import Entry
from edgespeech_calib.speech.audio import FileAudio

if TYPE_CHECKING:
    from edgespeech_runtime import Classification, FrameLabels, Transcript

SCORES = 5  # labels of an utterance, the best first
TIME, PROBABILITY = 3, 4  # places

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """A row: `line` orders those of a shard, `values` are ready for JSON; `array` is what belongs into the archive."""

    line: int
    values: dict[str, Any]
    array: Array | None = field(default=None, repr=False)

    @property
    def failed(self) -> bool:
        """Whether it says what went wrong, and nothing else."""
        return self.values["error"] is not None

    def to_json(self) -> str:
        """One line. JSON has no infinity, and nothing that is no number: they become null."""
        try:
            return json.dumps(self.values, ensure_ascii=False, allow_nan=False)
        except ValueError:
            return json.dumps(_finite(self.values), ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def failure(entry: Entry, error: str, method: str) -> Row:
    """The row of an entry that could not be run by the model's `method`."""
    values = {**_head(entry), "duration": None, **EMPTY[method]}
    if (reference := _reference(entry, method)) is not None:
        values["reference"] = reference
    return Row(entry.line, {**values, "error": " ".join(error.split())})


def answered(entry: Entry, result: Any, method: str, duration: float, warnings: list[str]) -> Row:
    """The row of what the model's `method` gave for `duration` seconds of sound."""
    told, array = ANSWERS[method](result)
    reference = _reference(entry, method)
    values = {**_head(entry), "duration": round(duration, TIME), **told}
    if reference is not None:
        values["reference"] = reference
    if warnings:
        values["warnings"] = warnings
    return Row(entry.line, {**values, "error": None}, array)


def _head(entry: Entry) -> dict[str, Any]:
    values: dict[str, Any] = {"id": _writable(entry.id), "line": entry.line}
    utterance = entry.utterance
    if utterance is not None and isinstance(utterance.audio, FileAudio):
        values["audio"] = _writable(str(utterance.audio.path))
        if utterance.audio.part is not None:
            values["offset"] = utterance.audio.part.offset
    return values


def _writable(text: str) -> str:
    """Names of files need not be text: what stands for their bytes is written as JSON would."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _reference(entry: Entry, method: str) -> str | None:
    if entry.utterance is None:
        return None
    return entry.utterance.label if method == "classify" else entry.utterance.text


def _timed(part: Mapping[str, Any]) -> dict[str, Any]:
    """Times and probabilities to the places that they have."""
    places = {"start": TIME, "end": TIME, "confidence": PROBABILITY, "score": PROBABILITY, "logit_score": PROBABILITY}
    return {name: round(float(value), places[name]) if name in places else value for name, value in part.items()}


def _transcript(result: "Transcript") -> tuple[dict[str, Any], None]:
    plain = result.to_dict()
    values: dict[str, Any] = {"text": plain["text"], "words": [_timed(word) for word in plain["words"]]}
    confidences = [word["confidence"] for word in plain["words"]]
    values["confidence"] = round(float(np.mean(confidences)), PROBABILITY) if confidences else None
    if plain["characters"]:
        values["characters"] = [_timed(one) for one in plain["characters"]]
    if "alternatives" in plain:
        values["alternatives"] = [
            _timed({**one, "words": [_timed(word) for word in one["words"]]}) for one in plain["alternatives"]
        ]
    if "segments" in plain and (len(plain["segments"]) > 1 or not plain["words"]):
        values["segments"] = [
            {name: value for name, value in _timed(one).items() if name != "words"} for one in plain["segments"]
        ]
    if "is_complete" in plain:
        values["is_complete"] = False
    return values, None


def _classification(result: "Classification") -> tuple[dict[str, Any], None]:
    scores = [{"label": one.label, "score": round(one.score, 6)} for one in result.scores[:SCORES]]
    return {"label": result.label, "score": round(result.score, 6), "scores": scores}, None


def _frames(result: "FrameLabels") -> tuple[dict[str, Any], None]:
    return {"segments": [_timed(vars(segment)) for segment in result.segments()]}, None


def _array(result: Array) -> tuple[dict[str, Any], Array]:
    return {"shape": list(result.shape)}, np.asarray(result, np.float32)


# What rows of failures say in place of an answer.
EMPTY: dict[str, dict[str, Any]] = {
    "transcribe": {"text": None, "words": [], "confidence": None},
    "classify": {"label": None, "score": None},
    "frames": {"segments": None},
    "embed": {"shape": None},
    "features": {"shape": None},
}
# By the method of the model that gives it.
ANSWERS: dict[str, Callable[[Any], tuple[dict[str, Any], Array | None]]] = {
    "transcribe": _transcript,
    "classify": _classification,
    "frames": _frames,
    "embed": _array,
    "features": _array,
}
