"""Calibration data, word error rates and evaluation of bundles.

`score(references, hypotheses).wer` counts word errors, `open_set("LibriSpeech/dev-clean")` finds recordings and reads
them when they are needed. Running models over a set is in `edgespeech_calib.evaluation`, downloads in `fetch`.
"""

from edgespeech_calib.bootstrap import Difference, Interval, interval, paired_difference
from edgespeech_calib.normalisation import normalise
from edgespeech_calib.scoring import Counts, Score, score
from edgespeech_calib.sets import SpeechSet, open_set
from edgespeech_calib.utterance import Skipped, Utterance

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
