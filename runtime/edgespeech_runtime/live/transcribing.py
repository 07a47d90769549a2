"""From a source of sound to texts, in one call."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Protocol, TypeAlias

from ..errors import ArgumentError, AudioError
from ..results.transcript import Transcript
from .events import Event, transcript
from .session import BEHIND, AsyncSession
from .source import blocks
from .stream import LiveStream

OnEvent: TypeAlias = Callable[[Event], None]


class StreamingModel(Protocol):
    """A model with a method `stream`."""

    def stream(self, *, sampling_rate: float | None = None) -> LiveStream:
        """A stream; models have options of their own."""


def transcribe(
    model: StreamingModel,
    source: Any,
    *,
    on_partial: OnEvent | None = None,
    on_final: OnEvent | None = None,
    sampling_rate: float | None = None,
    **options: Any,
) -> Transcript:
    """Text of a source while it comes, until it ends: the final texts as one transcript.

    `source` is a `Microphone`, a recording as `model.transcribe` takes it, an iterable of blocks, or a `Playback`;
    `sampling_rate` is that of bare arrays. `on_partial` and `on_final` are called with events in this thread; without
    the former, no work is done for partial texts. `options` are those of `model.stream`.

    If the source fails (AudioError), or Ctrl-C ends it, what came until then is told as final before the error is
    raised. Raises AudioError, ArgumentError, EngineError.
    """
    return transcribe_stream(open_stream(model, options), source, on_partial, on_final, sampling_rate)


def transcribe_stream(
    stream: LiveStream,
    source: Any,
    on_partial: OnEvent | None = None,
    on_final: OnEvent | None = None,
    sampling_rate: float | None = None,
) -> Transcript:
    """The same with a stream that is open."""
    finals: list[Event] = []

    def tell(events: list[Event]) -> None:
        for event in events:
            told = on_final if event.is_final else on_partial
            if event.is_final:
                finals.append(event)
            if told is not None:
                told(event)

    try:
        for block in blocks(source, stream.model_rate, sampling_rate):
            partials = on_partial is not None and block.lag < BEHIND
            tell(stream.feed(block.samples, block.sampling_rate, time=block.time, partials=partials))
    except BaseException as error:
        if isinstance(error, AudioError) or not isinstance(error, Exception):  # the source failed, or Ctrl-C
            tell(stream.finish())
        raise
    tell(stream.finish())
    return transcript(finals)


async def events_of(
    model: StreamingModel,
    source: AsyncIterable[Any],
    *,
    sampling_rate: float | None = None,
    **options: Any,
) -> AsyncIterator[Event]:
    """The events of a source in asyncio: `async for event in live.events_of(model, source)`.

    `source` gives blocks of samples; the model runs in a thread of its own. Where the source or the model fails, what
    it raised comes behind the events that were told until then.
    """
    session = AsyncSession(open_stream(model, options))

    async def feed() -> None:
        try:
            async for block in source:
                session.feed(block, sampling_rate)
        finally:
            await session.finish(wait=False)

    feeding = asyncio.ensure_future(feed())
    try:
        async for event in session:
            yield event
        await feeding
    finally:
        feeding.cancel()
        await session.finish(wait=False)


def open_stream(model: StreamingModel, options: dict[str, Any]) -> LiveStream:
    """The model's stream. Raises ArgumentError for a model that has none."""
    if not hasattr(model, "stream"):
        raise ArgumentError(f"live captions need a model that transcribes, got {type(model).__name__}")
    return model.stream(**options)
