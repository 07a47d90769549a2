"""Errors of calibration and evaluation.

EdgeSpeechError
├── CorpusError (ValueError)             a run over a corpus that cannot be begun, gone on with, or merged
├── DataError (ValueError)               a set of recordings that cannot be used as what it claims to be
│   └── DataMissingError (FileNotFoundError)   there is no such set
├── DownloadError (OSError)              a download that did not come to its end
│   └── ChecksumError                        it came, and is not what was published
├── EvaluationError (RuntimeError)       a model could not be run over a set
├── QuantizationError (ValueError)       a model that cannot be quantized as asked
│   └── QualityError                         it can, and the result is worse than allowed
└── ScoringError (ValueError)            texts that cannot be compared
"""

from edgespeech.errors import EdgeSpeechError


class CorpusError(EdgeSpeechError, ValueError):
    """A run over a corpus cannot be begun, gone on with, or merged."""


class DataError(EdgeSpeechError, ValueError):
    """A set of recordings cannot be used as what it claims to be."""


class DataMissingError(DataError, FileNotFoundError):
    """There is no such set of recordings."""


class DownloadError(EdgeSpeechError, OSError):
    """A download did not come to its end."""


class ChecksumError(DownloadError):
    """A download came to its end and is not what was published."""


class EvaluationError(EdgeSpeechError, RuntimeError):
    """A model could not be run over a set of recordings."""


class QuantizationError(EdgeSpeechError, ValueError):
    """A model cannot be quantized as asked."""


class QualityError(QuantizationError):
    """A quantized model is worse than allowed, or does not run in integers."""


class ScoringError(EdgeSpeechError, ValueError):
    """Texts cannot be compared."""
