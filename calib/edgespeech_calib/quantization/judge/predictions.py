"""What a bundle predicts for an utterance: answer and logits at once, by the real runtime, one utterance at a time.

It compares nothing; `gate` does.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from edgespeech_runtime import Prediction, load
from edgespeech_runtime.results.prediction import Decision
from edgespeech_runtime.tasks import AnyModel

from edgespeech_calib.quantization.judge.outputs import Flags, Ids, Tokens, Values, Vector
from edgespeech_calib.scoring.labelled_frames import Answer, LabelledFrames

Waveform = npt.NDArray[np.float32]

EXCERPT_TOKENS = 48  # that a decoder writes at most for an excerpt of a few seconds
OUTPUTS: dict[Decision, type[Tokens]] = {"largest": Tokens, "sign": Flags, "none": Vector}


@dataclass(frozen=True)
class ComparablePrediction:
    """The answer, and the logits that led to it, [positions, outputs].

    Positions are frames, or the tokens that a decoder was given; an utterance that has one output is one position. The
    answer is "" where no output decides, as of embeddings and of classifiers whose labels are quantities.
    """

    answer: Answer
    logits: Values
    tokens: Ids | None
    outputs: Tokens

    @property
    def centred(self) -> Values:
        """The logits without what changes no answer."""
        return self.outputs.centred(self.logits)


def open_model(folder: Path) -> AnyModel:
    """Load a bundle without its self-check: what it is worth is about to be measured.

    Raises:
        EngineError: it cannot be loaded.
    """
    return load(folder, self_check="never")


def predict(
    model: AnyModel, waveform: Waveform, tokens: Ids | None = None, max_tokens: int | None = None
) -> ComparablePrediction:
    """Ask a model about [samples]; a decoder searches greedily.

    A decoder's logits are those after `tokens`, or after its own where those are None: two models can only be compared
    on the same tokens. It writes at most `max_tokens` (None: as many as its bundle says).

    Raises:
        EngineError: the engine failed, or computed NaN.
    """
    options = model.search_options(max_tokens=max_tokens)
    if tokens is not None:
        options["tokens"] = tokens
    prediction = model.predict(waveform, **options)
    logits: Values = np.atleast_2d(np.asarray(prediction.logits))
    return ComparablePrediction(
        _answer(prediction), logits, prediction.tokens, OUTPUTS[prediction.decision](prediction.output)
    )


def answer(model: AnyModel, waveform: Waveform, max_tokens: int | None = None) -> Answer:
    """What a model answers to [samples], without the logits; see `predict`.

    Raises:
        EngineError: see `predict`.
    """
    return _answer(model.predict(waveform, with_logits=False, **model.search_options(max_tokens=max_tokens)))


def _answer(prediction: Prediction) -> Answer:
    if prediction.decision == "none" or prediction.answer is None:
        return ""
    return LabelledFrames.answer(prediction.answer)
