"""Speech to text while people speak: blocks of samples in, events with text out."""

from .endpoints import Endpoints
from .events import Event, Stream, transcript
from .stream import LiveStream

__all__ = ["Endpoints", "Event", "LiveStream", "Stream", "transcript"]
