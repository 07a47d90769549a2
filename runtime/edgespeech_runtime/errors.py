"""Every error the runtime raises on purpose.

EdgeSpeechRuntimeError
├── ArgumentError (ValueError)                    an option that contradicts itself or the model
├── AudioError (ValueError)                       sound that cannot be used
│   ├── AudioFileMissingError (FileNotFoundError)
│   ├── MicrophoneError (OSError)                 a microphone that is missing, not permitted, or gives nothing
│   └── AudioPackageError (ImportError)           the extra `audio`, `media` or `mic` is not installed
├── BundleError (ValueError)                      a bundle that is damaged, foreign or too new
│   └── BundleMissingError (FileNotFoundError)
├── CancelledError (RuntimeError)                 `cancel()` ended the call
├── DeviceError (ValueError)                      a device that this machine or engine does not offer
├── LanguageModelError (ValueError)               a language model that is damaged, or of a kind that cannot be read
│   └── LanguageModelMissingError (FileNotFoundError)
└── EngineError (RuntimeError)                    the inference engine refused or failed
    ├── EnginePackageError (ImportError)          the engine's package is not installed
    └── SelfCheckError                            the device computes something else than the build machine did

A message is one line: what was expected, what came, what to do.
"""


class EdgeSpeechRuntimeError(Exception):
    """Root of the tree."""


class ArgumentError(EdgeSpeechRuntimeError, ValueError):
    """An option that contradicts itself or the model."""


class AudioError(EdgeSpeechRuntimeError, ValueError):
    """Sound that cannot be used."""


class AudioFileMissingError(AudioError, FileNotFoundError):
    """There is no such sound file."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path}: no such audio file")


class AudioPackageError(AudioError, ImportError):
    """A package of the extra `audio`, `media` or `mic` is needed and not installed."""

    def __init__(self, purpose: str, package: str, extra: str = "audio") -> None:
        super().__init__(f"{purpose} needs the package {package}: pip install edgespeech-runtime[{extra}]")


class MicrophoneError(AudioError, OSError):
    """A microphone that is missing, must not be used, or gives nothing."""


class BundleError(EdgeSpeechRuntimeError, ValueError):
    """A bundle that is damaged, foreign or too new."""


class BundleMissingError(BundleError, FileNotFoundError):
    """The bundle, or a file that its manifest names, is not there."""


class CancelledError(EdgeSpeechRuntimeError, RuntimeError):
    """The model's `cancel()` was called while it was at work."""

    def __init__(self) -> None:
        super().__init__("the call was cancelled")


class DeviceError(EdgeSpeechRuntimeError, ValueError):
    """A device that this machine or this engine does not offer."""


class LanguageModelError(EdgeSpeechRuntimeError, ValueError):
    """A language model that is damaged, or of a kind that cannot be read."""


class LanguageModelMissingError(LanguageModelError, FileNotFoundError):
    """There is no such language model file."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path}: no such language model; expected an ARPA, KenLM binary or compact file")


class EngineError(EdgeSpeechRuntimeError, RuntimeError):
    """The inference engine refused a graph or failed while running it."""


class EnginePackageError(EngineError, ImportError):
    """The engine's own package is not installed, or cannot be imported."""

    def __init__(self, engine: str, package: str, cause: Exception) -> None:
        state = "is not installed" if isinstance(cause, ModuleNotFoundError) else f"cannot be imported ({cause})"
        super().__init__(
            f"this bundle runs on {engine}, but the package {package} {state}: pip install edgespeech-runtime[{engine}]"
        )


class SelfCheckError(EngineError):
    """The golden input does not give the golden output on this device."""
