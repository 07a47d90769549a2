"""`live`: captions of a microphone while people speak."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..display.captions import Captions, Lines, PlainScreen, SubtitleFile
from ..display.compiling import announce
from ..display.output import number, say, to_json
from ..errors import CommandError, complain
from ..interrupts import Interrupted
from ..kinds import streamer
from ..recognition import open_model
from ..searches import CTC, DECODER, decoding

if TYPE_CHECKING:
    from ...live import Event, Microphone, Playback
    from ...live.intake import Waveform
    from ..recognition import Method

DEFAULT = " (default)"
RULES = ("without_speech", "after_speech", "longest")
SIGINT = 130

HELP = """Show captions of the microphone while people speak, with the model in the folder BUNDLE.

On a terminal, words that will not change are plain and those that still may are dim; the level of the sound is shown
too. Elsewhere each utterance is a line on stdout as soon as it has ended. Ctrl-C ends it.

A model with a CTC head shows words while they are said. An encoder-decoder reads what was said up to a pause, and then
writes it down.

A file is played as if it were said now (--from), in real time or faster (--speed). If the model is too slow, nothing is
left out: captions fall behind, and how far is shown. A microphone needs the extra mic of edgespeech-runtime.
"""
SHORT = "Show captions while people speak: microphone to text."


def live(bundle: Path | None, options: Mapping[str, Any], screen: Callable[[], Captions] = PlainScreen) -> int:
    """Run the command and return its exit code; `screen` makes the display on a terminal.

    Raises CommandError and what the runtime raises.
    """
    if options["list_devices"]:
        _list_devices(options["as_json"])
        return 0
    if bundle is None:
        raise CommandError("BUNDLE is missing: give the folder of a model, or --list-devices")
    _check(options)
    source = _source(options)
    announce()
    is_watched = sys.stdout is not None and sys.stdout.isatty() and not options["as_json"]
    with open_model(bundle, options["run_on"], options["threads"]) as model:
        stream = streamer(model, bundle, {name: options.get(name) for name in (*DECODER, *CTC)})
        subtitles = None if options["srt"] is None else SubtitleFile(options["srt"])
        captions: Captions = screen() if is_watched else Lines(options["as_json"])
        with captions:
            _caption(stream, source, captions, subtitles, is_watched or options["as_json"], options)
    return 0


def _caption(
    stream: "Method",
    source: "Microphone | Playback",
    captions: Captions,
    subtitles: SubtitleFile | None,
    partials: bool,
    options: Mapping[str, Any],
) -> None:
    """Show the events of a source until it ends. Ctrl-C is the end of a microphone."""
    from ...live import transcribe_stream

    def final(event: "Event") -> None:
        captions.tell(event)
        if subtitles is not None:
            subtitles.tell(event)

    rules = {name: options[name] for name in RULES if options[name] is not None}
    opened = stream(latency=options["latency"], **rules)
    try:
        transcribe_stream(opened, Metered(source, captions), captions.tell if partials else None, final)
    except Interrupted as stop:
        if options["file"] is not None or stop.exit_code != SIGINT:
            raise
    finally:
        if lost := getattr(source, "overflows", 0):
            complain(f"warning: the sound card lost samples {lost} times: this machine is too busy")


class Metered:
    """A source whose level is shown while it is gone over."""

    def __init__(self, source: "Microphone | Playback", captions: Captions) -> None:
        self._source, self._captions = source, captions
        self.sampling_rate = source.sampling_rate

    @property
    def time(self) -> float | None:
        """That of the source, if it says it."""
        return getattr(self._source, "time", None)

    @property
    def lag(self) -> float:
        """That of the source."""
        return self._source.lag

    def __iter__(self) -> "Iterator[Waveform]":
        from ...live.levels import level

        for block in self._source:
            self._captions.sound(level(block), self.lag)
            yield block


def _check(options: Mapping[str, Any]) -> None:
    """Raise CommandError for options that contradict each other or a file that is there."""
    if options["file"] is None and options["speed"] is not None:
        raise CommandError("--speed is for --from, which plays a file; leave it out for a microphone")
    if options["file"] is not None and options["device"] is not None:
        raise CommandError("--device and --from exclude each other: the microphone, or a file")
    srt = options["srt"]
    if srt is None and options["force"]:
        raise CommandError("--force is for the file of --srt; leave it out")
    if srt is not None and srt.exists() and not options["force"]:
        raise CommandError(f"{srt} exists; name another file, or replace it with --force")
    decoding(options)


def _source(options: Mapping[str, Any]) -> "Microphone | Playback":
    """The file that is played, or the microphone. Raises AudioError, ArgumentError and MicrophoneError."""
    from ...live import Microphone, Playback

    if options["file"] is not None:
        return Playback(options["file"], speed=options["speed"] or 1.0, channel=options["channel"])
    device = options["device"]
    return Microphone(int(device) if device is not None and device.isdecimal() else device, channel=options["channel"])


def _list_devices(as_json: bool) -> None:
    from ...live import input_devices

    devices = input_devices()
    if as_json:
        say(to_json([asdict(device) for device in devices]))
        return
    if not devices:
        complain("this machine has no microphone")
    for device in devices:
        facts = f"{device.name}, {number(device.channels, 'channel')}, {device.sampling_rate:g} Hz"
        say(f"{device.index:3}  {facts}{DEFAULT if device.is_default else ''}")
