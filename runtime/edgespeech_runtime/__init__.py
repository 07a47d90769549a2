"""Speech models on the device: load a bundle that edgespeech exported, and transcribe. numpy and one engine."""

from .audio import read_audio
from .devices import DeviceWarning, devices, register_provider
from .engines import Device
from .errors import EdgeSpeechRuntimeError
from .loading import load
from .subtitles import to_srt, to_vtt
from .tasks import CtcModel, EncoderDecoderModel
from .transcript import Character, Transcript, Word

__version__ = "0.1.0"
__all__ = ["Character", "CtcModel", "Device", "DeviceWarning", "EdgeSpeechRuntimeError", "EncoderDecoderModel"]
__all__ += ["Transcript", "Word", "devices", "load", "read_audio", "register_provider", "to_srt", "to_vtt"]
