"""`edgespeech live`: captions of a microphone while people speak."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgespeech.cli.commands.recognition import open_model
from edgespeech.cli.display.captions import Captions, Lines, Screen, SubtitleFile
from edgespeech.cli.display.compiling import announce
from edgespeech.cli.display.output import number, say, to_json
from edgespeech.cli.errors import CommandError, complain
from edgespeech.cli.interrupts import Interrupted
from edgespeech.cli.options.decoder import decodes
from edgespeech.cli.options.kinds import DECODER, streamer
from edgespeech.cli.options.search import NAMES as SEARCH
from edgespeech.cli.options.search import decoding, weighs

if TYPE_CHECKING:
    from edgespeech_runtime.live import Event, Microphone, Playback
    from edgespeech_runtime.live.intake import Waveform

    from edgespeech.cli.commands.recognition import Method

LATENCIES = ("low", "balanced", "high")
DEFAULT = " (default)"
RULES = ("without_speech", "after_speech", "longest")
SIGINT = 130

HELP = """Show captions of the microphone while people speak, with the model in the folder BUNDLE.

On a terminal, words that will not change are plain and those that still may are dim; below them is the level of the
sound. Elsewhere each utterance is a line on stdout as soon as it has ended. Ctrl-C ends it.

A model with a CTC head shows words while they are said. An encoder-decoder reads what was said up to a pause, and then
writes it down.

A file is played as if it were said now (--from), in real time or faster (--speed). If the model is too slow, nothing is
left out: captions fall behind, and how far is shown. A microphone needs the extra mic of edgespeech-runtime.
"""


class LatencyType(click.ParamType[Any]):
    """A name, or milliseconds."""

    name = "latency"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or the number."""
        if value in LATENCIES or isinstance(value, int):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"expected {', '.join(LATENCIES)} or milliseconds, got {value!r}", param, ctx)


@click.command(help=HELP, short_help="Show captions while people speak: microphone to text.")
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option("--device", metavar="N", help="Microphone, by number or part of its name; see --list-devices.")
@click.option("--list-devices", is_flag=True, help="Print the microphones of this machine.")
@click.option(
    "--from", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Play this sound file."
)
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="So many times faster.  [default: 1]")
@click.option("--channel", type=click.IntRange(min=1), help="Take one channel, 1 is the first, not the mean of all.")
@click.option(
    "--latency",
    type=LatencyType(),
    metavar="LATENCY",
    default="balanced",
    show_default=True,
    help="Sound that a word waits for (CTC), or the pause that a text waits for: low, balanced, high, or milliseconds.",
)
@click.option("--after-speech", type=float, metavar="S", help="Silence that ends an utterance.  [default: 1.2]")
@click.option("--without-speech", type=float, metavar="S", help="Silence that ends an empty one.  [default: 2.4]")
@click.option("--longest", type=float, metavar="S", help="Longest utterance.  [default: 20]")
@click.option("--srt", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write SubRip subtitles.")
@click.option("--force", is_flag=True, help="Replace the file of --srt.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each event, partial and final.")
@decodes
@weighs
@click.option(
    "--run-on",
    multiple=True,
    default=("cpu",),
    show_default="cpu",
    metavar="DEVICE",
    help="Where to run: cpu, gpu, npu, auto or an exact name; give it again for what to try next.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine; its own choice if not given.")
def live(bundle: Path | None, **options: Any) -> None:
    """See HELP."""
    if options["list_devices"]:
        _list_devices(options["as_json"])
        return
    if bundle is None:
        raise click.UsageError("Missing argument 'BUNDLE'")
    _check(options)
    source = _source(options)
    announce()
    is_watched = sys.stdout is not None and sys.stdout.isatty() and not options["as_json"]
    with open_model(bundle, options["run_on"], options["threads"]) as model:
        stream = streamer(model, bundle, {name: options.get(name) for name in (*DECODER, *SEARCH)})
        subtitles = None if options["srt"] is None else SubtitleFile(options["srt"])
        captions: Captions = Screen() if is_watched else Lines(options["as_json"])
        with captions:
            _caption(stream, source, captions, subtitles, is_watched or options["as_json"], options)


def _caption(
    stream: "Method",
    source: "Microphone | Playback",
    captions: Captions,
    subtitles: SubtitleFile | None,
    partials: bool,
    options: Mapping[str, Any],
) -> None:
    """Show the events of a source until it ends. Ctrl-C is the end of a microphone."""
    from edgespeech_runtime.live import transcribe_stream

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
        from edgespeech_runtime.live.levels import level

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
    from edgespeech_runtime.live import Microphone, Playback

    if options["file"] is not None:
        return Playback(options["file"], speed=options["speed"] or 1.0, channel=options["channel"])
    device = options["device"]
    return Microphone(int(device) if device is not None and device.isdecimal() else device, channel=options["channel"])


def _list_devices(as_json: bool) -> None:
    from edgespeech_runtime.live import input_devices

    devices = input_devices()
    if as_json:
        say(to_json([asdict(device) for device in devices]))
        return
    if not devices:
        complain("this machine has no microphone")
    for device in devices:
        facts = f"{device.name}, {number(device.channels, 'channel')}, {device.sampling_rate:g} Hz"
        say(f"{device.index:3}  {facts}{DEFAULT if device.is_default else ''}")
