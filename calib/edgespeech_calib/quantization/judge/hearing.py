"""What a bundle makes of an utterance: answer and logits at once, by the real runtime, one utterance at a time.

It compares nothing; `gate` does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime import CtcModel, EncoderDecoderModel, load
from edgespeech_runtime.bundle.contracts import EMBEDDINGS, LOGITS
from edgespeech_runtime.ctc import greedy as ctc
from edgespeech_runtime.tasks import AnyModel, ClassificationModel, FrameClassificationModel
from edgespeech_runtime.tasks.ctc_text import spell

from edgespeech_calib.quantization.judge.outputs import Flags, Ids, Tokens, Values, Vector
from edgespeech_calib.scoring.marks import Answer, Marks
from edgespeech_calib.scoring.measures import has_one_answer

Waveform = npt.NDArray[np.float32]

EXCERPT_TOKENS = 48  # that a decoder writes at most for an excerpt of a few seconds
NO_TOKENS: Ids = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Heard:
    """The answer, and the logits that led to it, [positions, outputs].

    Positions are frames of a CTC model or of a classifier of frames, and one, the utterance, of other classifiers. Of
    an encoder-decoder they are `tokens`, and the logits those after each. An x-vector is one position of an embedding,
    and no answer.
    """

    answer: Answer
    logits: Values
    tokens: Ids
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


def hear(model: AnyModel, waveform: Waveform, read: Ids | None = None, most: int | None = None) -> Heard:
    """Ask a model about [samples]; it writes greedily.

    A decoder's logits are those after the tokens `read`, or after its own where those are None: two models can only be
    compared on the same tokens. It writes at most `most` tokens (None: as many as its bundle says).

    Raises:
        EngineError: the engine failed, or computed NaN.
    """
    if isinstance(model, EncoderDecoderModel):
        return _written(model, waveform, read, most)
    if isinstance(model, CtcModel):
        logits = model.logits(waveform)
        return Heard(_spelt(model, logits), logits, NO_TOKENS, Tokens())
    if isinstance(model, ClassificationModel):
        logits = model.logits(waveform)
        if not has_one_answer(model.manifest.problem_type):
            return Heard("", logits[None], NO_TOKENS, Vector(LOGITS.name))
        return Heard(model.labels[int(logits.argmax())], logits[None], NO_TOKENS, Tokens())
    if isinstance(model, FrameClassificationModel):
        logits = model.logits(waveform)
        return Heard(Marks.of(logits > 0), logits, NO_TOKENS, Flags())  # a probability above 0.5
    return Heard("", model.embed(waveform)[None], NO_TOKENS, Vector(EMBEDDINGS.name))


def answer(model: AnyModel, waveform: Waveform, most: int | None = None) -> Answer:
    """What a model says to [samples], without the logits; see `hear`.

    Raises:
        EngineError: see `hear`.
    """
    if isinstance(model, EncoderDecoderModel):
        return _text(model, _tokens(model, waveform, most), most)
    return hear(model, waveform).answer


def _spelt(model: CtcModel, logits: Values) -> str:
    vocabulary = model.manifest.vocabulary
    if vocabulary is None:  # refused when it was loaded
        raise ValueError("a CTC model without a vocabulary")
    return spell(ctc.collapse(ctc.greedy(logits), vocabulary.blank, skip=vocabulary.special), vocabulary)


def _written(model: EncoderDecoderModel, waveform: Waveform, read: Ids | None, most: int | None) -> Heard:
    tokens = _tokens(model, waveform, most)
    read = tokens[:-1] if read is None else read
    return Heard(_text(model, tokens, most), model.step_logits([waveform], read[None])[0], read, Tokens())


def _tokens(model: EncoderDecoderModel, waveform: Waveform, most: int | None) -> Ids:
    return np.array(model.generate(waveform, **_greedy(model, most)), np.int64)


def _text(model: EncoderDecoderModel, tokens: Ids, most: int | None) -> str:
    start = model.options(**_greedy(model, most)).prompt(1).shape[1]
    return model.detokenizer.decode(tokens[start:].tolist()).strip()


def _greedy(model: EncoderDecoderModel, most: int | None) -> dict[str, Any]:
    """Options of the bundle, but for one beam and no chance, and for the length if that is limited."""
    options: dict[str, Any] = {"num_beams": 1, "num_return_sequences": 1, "do_sample": False}
    decoder = model.manifest.decoder
    if most is None or decoder is None:
        return options
    own = decoder.generation.get("max_new_tokens")
    limits = [most, *([own] if own is not None else []), *([decoder.longest - 1] if decoder.longest else [])]
    return {**options, "max_new_tokens": min(limits)}
