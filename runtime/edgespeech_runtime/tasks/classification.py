"""Classifiers: waveforms to the label of an utterance, or to what is true in each of its frames."""

from collections.abc import Callable
from typing import overload

import numpy as np
import numpy.typing as npt

from ..audio import AudioInput, is_single
from ..bundle.folder import Bundle
from ..bundle.manifest import PROBLEM_TYPES
from ..choices import BATCH_SIZE, THRESHOLD
from ..engines import Engine
from ..engines.calls import cancellable
from ..errors import BundleError
from ..results.classification import Classification, FrameLabels, Label
from ..results.prediction import Decision
from .batches import Output
from .head import LogitsModel
from .model import AudioList


class LabelledModel(LogitsModel):
    """A loaded bundle that tells labels apart.

    Attributes:
        labels: their names, in the order of their ids.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        if bundle.manifest.labels is None:
            raise BundleError("edgespeech.json: labels: a classifier must have them")
        self.labels = bundle.manifest.labels
        super().__init__(bundle, engine, len(self.labels))


class ClassificationModel(LabelledModel):
    """A loaded bundle that gives an utterance a label; what `audio` may be and how batches run: see `Model`."""

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, audio: AudioInput, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> Classification: ...
    @overload
    def classify(
        self, audio: AudioList, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> list[Classification]: ...
    @cancellable
    def classify(
        self, audio: AudioInput | AudioList, *, sampling_rate: float | None = None, batch_size: int = BATCH_SIZE
    ) -> Classification | list[Classification]:
        """What an utterance is, and how probable each label: one Classification, or a list in the order of the inputs.

        Of a recording of more than 40 s the logits are the mean of those of its parts of 30 s at most, weighted by
        their frames, which are the logits of the mean over all frames; `Classification.parts` counts them. Raises
        AudioError, which names the item of a list; with graphs of fixed shapes also for an utterance that is longer
        than the longest of them, since a class is of the whole.
        """
        answers = self._answers(audio, sampling_rate, batch_size)
        classifications = [self._classification(answer.output, answer.parts) for answer in answers]
        return classifications[0] if is_single(audio) else classifications

    @property
    def decision(self) -> Decision:  # type: ignore[override]  # of each bundle
        """One label is the answer only where the bundle says that one is true."""
        return "largest" if self.manifest.problem_type in (None, PROBLEM_TYPES[0]) else "none"

    def _answer(self, output: Output) -> str:
        return self.labels[int(output.argmax())]

    def _classification(self, logits: Output, parts: int) -> Classification:
        """Scores of `[labels]`, the best first; of equals, the lowest id."""
        scores = SCORES[self.manifest.problem_type or PROBLEM_TYPES[0]](logits)
        best_first = np.argsort(-logits, kind="stable")
        ranked = tuple(Label(self.labels[index], float(scores[index])) for index in best_first)
        return Classification(ranked[0].label, ranked[0].score, ranked, parts)


class FrameClassificationModel(LabelledModel):
    """A loaded bundle that says what is true in each frame; what `audio` may be and how batches run: see `Model`."""

    decision = "sign"  # above it, the probability is above `THRESHOLD`

    def _answer(self, output: Output) -> npt.NDArray[np.bool_]:
        return _sigmoid(output) > THRESHOLD

    @overload
    def frames(  # type: ignore[overload-overlap]
        self, audio: AudioInput, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> FrameLabels: ...
    @overload
    def frames(
        self, audio: AudioList, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> list[FrameLabels]: ...
    @cancellable
    def frames(
        self, audio: AudioInput | AudioList, *, sampling_rate: float | None = None, batch_size: int = BATCH_SIZE
    ) -> FrameLabels | list[FrameLabels]:
        """How probable each label is in each frame: one FrameLabels, or a list in the order of the inputs.

        Each label is judged by itself, so that several may be true at once: two people who speak, say. Recordings of
        more than 40 s run in windows. Raises AudioError, which names the item of a list.
        """
        rate, hop = self.manifest.audio.sampling_rate, self.manifest.audio.hop
        labelled = [
            FrameLabels(self.labels, _sigmoid(answer.output), hop / rate, answer.samples / rate)
            for answer in self._answers(audio, sampling_rate, batch_size)
        ]
        return labelled[0] if is_single(audio) else labelled


def _softmax(logits: Output) -> Output:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum(), np.float32)


def _sigmoid(logits: Output) -> Output:
    return np.asarray(np.exp(-np.logaddexp(np.float32(0), -logits)), np.float32)  # 1 / (1 + exp(-x)), which overflows


SCORES: dict[str, Callable[[Output], Output]] = dict(
    zip(PROBLEM_TYPES, (_softmax, _sigmoid, lambda values: values), strict=True)
)
