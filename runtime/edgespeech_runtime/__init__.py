"""Speech models on the device: load a bundle that edgespeech exported, and run it. numpy and one engine.

Names are imported when they are first used, so that a command line can read `choices` without waiting for numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors as errors

if TYPE_CHECKING:
    from .audio import AudioBlocks, AudioWarning, read_audio
    from .bundle.loading import load
    from .engines import Device
    from .engines.devices import DeviceWarning, devices, register_provider
    from .errors import EdgeSpeechRuntimeError
    from .results.classification import Classification, FrameLabels, Label, Segment
    from .results.prediction import Prediction
    from .results.subtitles import to_srt, to_vtt
    from .results.textgrid import to_textgrid
    from .results.transcript import AlignedCharacter, AlignedWord, Alternative, Character, TextSegment, Transcript, Word
    from .tasks import ClassificationModel, CtcModel, EmbeddingModel, EncoderDecoderModel, FrameClassificationModel
    from .tasks.features import FeatureModel

__version__ = "0.1.0"
__all__ = [
    "AlignedCharacter",
    "AlignedWord",
    "Alternative",
    "AudioBlocks",
    "AudioWarning",
    "Character",
    "Classification",
    "ClassificationModel",
    "CtcModel",
    "Device",
    "DeviceWarning",
    "EdgeSpeechRuntimeError",
    "EmbeddingModel",
    "EncoderDecoderModel",
    "FeatureModel",
    "FrameClassificationModel",
    "FrameLabels",
    "Label",
    "Prediction",
    "Segment",
    "TextSegment",
    "Transcript",
    "Word",
    "devices",
    "load",
    "read_audio",
    "register_provider",
    "to_srt",
    "to_textgrid",
    "to_vtt",
]

_HOMES = {  # the module of each name
    "audio": "AudioBlocks AudioWarning read_audio",
    "bundle.loading": "load",
    "engines": "Device",
    "engines.devices": "DeviceWarning devices register_provider",
    "errors": "EdgeSpeechRuntimeError",
    "results.classification": "Classification FrameLabels Label Segment",
    "results.prediction": "Prediction",
    "results.subtitles": "to_srt to_vtt",
    "results.textgrid": "to_textgrid",
    "results.transcript": "AlignedCharacter AlignedWord Alternative Character TextSegment Transcript Word",
    "tasks": "ClassificationModel CtcModel EmbeddingModel EncoderDecoderModel FrameClassificationModel",
    "tasks.features": "FeatureModel",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "live":  # the package, which is imported when it is first used
        return import_module(".live", __name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
