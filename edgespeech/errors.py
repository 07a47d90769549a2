"""Errors of the toolchain.

EdgeSpeechError
├── CheckpointError (ValueError)            a checkpoint folder that cannot be read as what it claims to be
│   ├── MissingFileError (FileNotFoundError)    a folder or a file of it is not there
│   ├── UnknownModelError                       `model_type` or architecture that nothing here implements
│   └── WeightsError                            weights missing, superfluous, misshapen or unreadable
├── ConfigError (ValueError)                a configuration that contradicts itself
├── InputError (ValueError)                 a model was given something that it cannot take
└── ProcessingError (ValueError)            a feature extractor or tokenizer was
"""


class EdgeSpeechError(Exception):
    """Root of all errors that `edgespeech` raises on purpose; the message is one line for the user."""


class CheckpointError(EdgeSpeechError, ValueError):
    """A checkpoint folder cannot be read as what it claims to be."""


class MissingFileError(CheckpointError, FileNotFoundError):
    """A checkpoint folder, or a file that it must hold, is not there."""


class UnknownModelError(CheckpointError):
    """The checkpoint's `model_type` or architecture is none that edgespeech implements."""


class WeightsError(CheckpointError):
    """Weights are missing, superfluous, misshapen or unreadable; the message names them."""


class ConfigError(EdgeSpeechError, ValueError):
    """A configuration contradicts itself or asks for something unknown."""


class InputError(EdgeSpeechError, ValueError):
    """A model was given an input that it cannot take."""


class ProcessingError(EdgeSpeechError, ValueError):
    """A feature extractor or a tokenizer was given something that it cannot take."""
