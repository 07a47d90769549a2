"""Calibration data, word error rates and evaluation of bundles.

`score(references, hypotheses).wer` counts word errors, `open_set("LibriSpeech/dev-clean")` finds recordings and reads
them when they are needed. Running models over a set is in `edgespeech_calib.evaluation`, downloads in `fetch`.
"""

from edgespeech_calib.scoring.bootstrap import Difference, Interval, interval, paired_difference
from edgespeech_calib.scoring.normalisation import normalise
from edgespeech_calib.scoring.scoring import Counts, Score, score
from edgespeech_calib.speech.sets import SpeechSet, open_set
from edgespeech_calib.speech.utterance import Skipped, Utterance

__all__ = [
    "Counts",
    "Difference",
    "Interval",
    "Score",
    "Skipped",
    "SpeechSet",
    "Utterance",
    "interval",
    "normalise",
    "open_set",
    "paired_difference",
    "score",
]
