"""Speech to text while people speak: blocks of samples in, events with text out."""

from .endpoints import Endpoints
from .events import Event, Stream, transcript
from .levels import level
from .microphone import InputDevice, Microphone, input_devices
from .session import AsyncSession, Session
from .source import Playback
from .stream import LiveStream
from .transcribing import events_of, transcribe, transcribe_stream

__all__ = [
    "AsyncSession",
    "Endpoints",
    "Event",
    "InputDevice",
    "LiveStream",
    "Microphone",
    "Playback",
    "Session",
    "Stream",
    "events_of",
    "input_devices",
    "level",
    "transcribe",
    "transcribe_stream",
    "transcript",
]
