"""Weights of a language model that give the fewest word errors on a labelled set.

The model runs once over the set; its logits are then searched with each pair of weights. The errors with the best pair
are too few to be true: measure them on another set.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from edgespeech_runtime import CtcModel, load

from edgespeech_calib.errors import DataError, EvaluationError
from edgespeech_calib.evaluation.evaluation import Reading
from edgespeech_calib.evaluation.systems import Options
from edgespeech_calib.scoring.normalisation import Normalisation, normalise
from edgespeech_calib.scoring.scoring import score
from edgespeech_calib.scoring.word_errors import WordErrors
from edgespeech_calib.speech.sets import SpeechSet

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
BETAS = (-1.0, 0.0, 1.0, 2.0, 3.0)
STEPS = (0.125, 0.5)  # of the second round, around the best of the first

Progress = Callable[[str, int, int], object]  # what is done, how many are done, how many in all


@dataclass(frozen=True)
class Trial:
    """A pair of weights and the word error rate with it, in [0, ...]."""

    alpha: float
    beta: float
    word_error_rate: float


@dataclass(frozen=True)
class Tuning:
    """All trials, in the order in which they were made, and the best; `utterances` that they stand on."""

    utterances: int
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The fewest errors; of equals, the smaller weights."""
        return min(self.trials, key=lambda trial: (trial.word_error_rate, trial.alpha, abs(trial.beta)))


def tune(
    bundle: str | os.PathLike[str],
    data: SpeechSet,
    options: Options,
    *,
    samples: int | None = None,
    seed: int = 0,
    normalisation: Normalisation = "basic",
    progress: Progress = lambda what, done, total: None,
) -> Tuning:
    """Try weights of the language model in `options`, coarse ones first, then some around the best.

    Raises:
        EvaluationError: the bundle is not one of a CTC model, or there is no language model.
        DataError: the set has no transcripts, or none of its recordings can be used.
    """
    with load(bundle, options.device, options.threads) as opened:
        if opened.manifest.task != "ctc":
            raise EvaluationError(f"{bundle} is for {opened.manifest.task}; a language model is weighed for CTC models")
        model = cast(CtcModel, opened)
        chosen = WordErrors(normalisation).labelled(data).sample(samples, seed)
        facts = model.manifest.audio
        model.check_options(**{"alpha": 0.0, **options.search})
        reading = Reading(chosen.utterances, facts.sampling_rate, facts.shortest)
        pairs = []
        for batch in reading.batches(1):
            for utterance, waveform in batch:
                pairs.append((utterance.text or "", model.logits(waveform, sampling_rate=facts.sampling_rate)))
                progress("running the model", len(pairs), len(chosen))
        if not pairs:
            raise DataError(f"none of the {len(chosen)} recordings of {data.name} can be used")
        trials: list[Trial] = []

        def run(alpha: float, beta: float) -> None:
            progress("weighing the language model", len(trials), len(ALPHAS) * len(BETAS) + 8)
            weights = {**options.search, "alpha": alpha, "beta": beta}
            said = [normalise(model.decode(logits, **weights).text, normalisation) for _, logits in pairs]
            result = score([normalise(text, normalisation) for text, _ in pairs], said)
            trials.append(Trial(alpha, beta, result.wer))

        for alpha in ALPHAS:
            for beta in BETAS:
                run(alpha, beta)
        for alpha, beta in list(_around(Tuning(len(pairs), tuple(trials)).best)):
            run(alpha, beta)
        return Tuning(len(pairs), tuple(trials))


def _around(best: Trial) -> Iterator[tuple[float, float]]:
    for alpha in (best.alpha - STEPS[0], best.alpha, best.alpha + STEPS[0]):
        for beta in (best.beta - STEPS[1], best.beta, best.beta + STEPS[1]):
            if alpha >= 0 and (alpha, beta) != (best.alpha, best.beta):
                yield alpha, beta
