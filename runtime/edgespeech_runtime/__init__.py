"""Speech models on the device: load a bundle that edgespeech exported, and run it. numpy and one engine."""

from .audio import AudioWarning, read_audio
from .bundle.loading import load
from .engines import Device
from .engines.devices import DeviceWarning, devices, register_provider
from .errors import EdgeSpeechRuntimeError
from .results.classification import Classification, FrameLabels, Label, Segment
from .results.subtitles import to_srt, to_vtt
from .results.transcript import Alternative, Character, Transcript, Word
from .tasks import ClassificationModel, CtcModel, EmbeddingModel, EncoderDecoderModel, FrameClassificationModel

__version__ = "0.1.0"
__all__ = ["Alternative", "AudioWarning", "Character", "Classification", "ClassificationModel", "CtcModel", "Device"]
__all__ += ["DeviceWarning", "EdgeSpeechRuntimeError", "EmbeddingModel", "EncoderDecoderModel"]
__all__ += ["FrameClassificationModel", "FrameLabels", "Label", "Segment", "Transcript", "Word", "devices", "load"]
__all__ += ["read_audio", "register_provider", "to_srt", "to_vtt"]
