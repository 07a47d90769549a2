"""What a bundle makes of an utterance: text and logits at once, by the real runtime, one utterance at a time.

It compares nothing; `gate` does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from edgespeech_runtime import CtcModel, EncoderDecoderModel, ctc, load
from edgespeech_runtime.tasks.ctc import spell

Waveform = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
AnyModel: TypeAlias = CtcModel | EncoderDecoderModel

EXCERPT_TOKENS = 48  # that a decoder writes at most for an excerpt of a few seconds


@dataclass(frozen=True)
class Heard:
    """The greedy text, and the logits that led to it, [positions, vocabulary].

    Positions are frames of a CTC model. Of an encoder-decoder they are `tokens`, and the logits those after each.
    """

    text: str
    logits: npt.NDArray[np.float32]
    tokens: Ids


def open_model(folder: Path) -> AnyModel:
    """Load a bundle without its self-check: what it is worth is about to be measured.

    Raises:
        EngineError: it cannot be loaded.
    """
    return load(folder, self_check="never")


def hear(model: AnyModel, waveform: Waveform, read: Ids | None = None, most: int | None = None) -> Heard:
    """Transcribe [samples] greedily.

    A decoder's logits are those after the tokens `read`, or after its own where those are None: two models can only be
    compared on the same tokens. It writes at most `most` tokens (None: as many as its bundle says).

    Raises:
        EngineError: the engine failed, or computed NaN.
    """
    if isinstance(model, CtcModel):
        logits = model.logits(waveform)
        vocabulary = model.manifest.vocabulary
        if vocabulary is None:  # refused when it was loaded
            raise ValueError("a CTC model without a vocabulary")
        text = spell(ctc.collapse(ctc.greedy(logits), vocabulary.blank, skip=vocabulary.special), vocabulary)
        return Heard(text, logits, np.zeros(0, np.int64))
    options = _greedy(model, most)
    tokens = np.array(model.generate(waveform, **options), np.int64)
    start = model.options(**options).prompt(1).shape[1]
    text = model.detokenizer.decode(tokens[start:].tolist()).strip()
    read = tokens[:-1] if read is None else read
    return Heard(text, model.step_logits([waveform], read[None])[0], read)


def _greedy(model: EncoderDecoderModel, most: int | None) -> dict[str, Any]:
    """Options of the bundle, but for one beam and no chance, and for the length if that is limited."""
    options: dict[str, Any] = {"num_beams": 1, "num_return_sequences": 1, "do_sample": False}
    decoder = model.manifest.decoder
    if most is None or decoder is None:
        return options
    own = decoder.generation.get("max_new_tokens")
    limits = [most, *([own] if own is not None else []), *([decoder.longest - 1] if decoder.longest else [])]
    return {**options, "max_new_tokens": min(limits)}
