"""`edgespeech transcribe`: sound files to text, JSON or subtitles."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgespeech.cli.commands.recognition import open_model
from edgespeech.cli.display.live import LiveText
from edgespeech.cli.display.results import SUBTITLES, Form, Sink
from edgespeech.cli.display.transcripts import render
from edgespeech.cli.errors import CommandError
from edgespeech.cli.options.decoder import decodes
from edgespeech.cli.options.kinds import transcriber
from edgespeech.cli.options.listening import FAILURES, audio_options, listen, planned
from edgespeech.cli.options.search import decoding, searches
from edgespeech.cli.options.times import check_need, check_times, with_times, without_times

if TYPE_CHECKING:
    from edgespeech_runtime.tasks import AnyModel

    from edgespeech.cli.commands.recognition import Method

HELP = f"""Transcribe AUDIO with the model in the folder BUNDLE.

AUDIO are sound files and folders; of a folder, the sound files in it are taken, sorted by name. The text goes to
stdout, behind the file's name and a tab where there are several. Subtitles of several files are written beside them,
or into the --output folder, which takes every other form too (.txt, .json).

The model may be one with a CTC head or an encoder-decoder. The first knows when each word was said (--timestamps,
--srt, --vtt) and can be searched with beams, an n-gram language model and hotwords (--beams, --lm, --hotword,
--n-best); the second has a decoder to search with (--num-beams) and, if it writes several languages, takes the
--language. When its words were said, a model of the first kind finds out (--times-from). What a model cannot do is
refused before any work.

Long recordings are run in windows, and their text comes while they run. Where that is interrupted (Ctrl-C), what there
is goes to stdout, or into a file whose name ends in .incomplete before its ending.

{FAILURES}"""


@click.command(help=HELP, short_help="Transcribe sound files: text, times, JSON, subtitles.")
@click.option("--timestamps", type=click.Choice(["word", "char"]), help="Print words or characters with their times.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each file, with words and times.")
@click.option("--srt", is_flag=True, help="Write SubRip subtitles.")
@click.option("--vtt", is_flag=True, help="Write WebVTT subtitles.")
@click.option("--stream", is_flag=True, help="Print each text while it comes into being, one file at a time.")
@decodes
@click.option(
    "--times-from",
    metavar="BUNDLE",
    type=click.Path(path_type=Path),
    help="A CTC model that finds the times of what an encoder-decoder writes.",
)
@click.option(
    "--vad",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Silero's ONNX file, which says where speech is; else all but silence and steady noise may be.",
)
@click.option("--run-silence", is_flag=True, help="Run a CTC model on the silence of long recordings too.")
@searches
@audio_options
@click.pass_context
def transcribe(ctx: click.Context, /, bundle: Path, audio: tuple[Path, ...], **options: Any) -> None:
    """See HELP."""
    form = _form(options)
    work = planned(audio, form, options)
    timestamps = options["timestamps"]
    decoding(options)
    check_times(options)
    live = LiveText(work.several) if options["stream"] else None
    shown = partial(render, form=form, timestamps=timestamps)
    sink = live or Sink(form, shown, work.several, work.files, has_lines=bool(timestamps or options["n_best"]))

    def prepared(model: "AnyModel") -> "tuple[Method, Sink | LiveText]":
        method = transcriber(model, bundle, without_times(options))
        if (other := options["times_from"]) is not None:
            check_need(model, bundle)
            aligning = open_model(other, options["device"], options["threads"])
            ctx.call_on_close(aligning.close)
            method = with_times(method, model, aligning, other)
        return method, sink

    on_text = None if live is None else live.add
    listen(ctx, bundle, work, options, prepared, on_text, watches=options["times_from"] is None)


def _form(options: Mapping[str, Any]) -> Form:
    """The one form that was asked for. Raises CommandError for options that contradict each other."""
    flags: dict[Form, bool] = {"json": options["as_json"], "srt": options["srt"], "vtt": options["vtt"]}
    forms: list[Form] = [form for form, wanted in flags.items() if wanted]
    if len(forms) > 1:
        raise CommandError(f"--{forms[0]} and --{forms[1]} exclude each other; run once for each")
    form: Form = forms[0] if forms else "text"
    if options["timestamps"] is not None and form in SUBTITLES:
        raise CommandError(f"--timestamps and --{form} exclude each other; subtitles have times of their own")
    if options["n_best"] is not None and (form in SUBTITLES or options["timestamps"] is not None):
        other = form if form in SUBTITLES else "timestamps"
        raise CommandError(f"--n-best and --{other} exclude each other; --json has the times of all texts")
    others = (*forms, *(name for name in ("timestamps", "output", "n_best") if options[name] is not None))
    if options["stream"] and others:
        raise CommandError(
            f"--stream and --{others[0].replace('_', '-')} exclude each other; a stream is plain text on stdout"
        )
    return form
