"""`transcribe`: sound files to text, JSON or subtitles."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..display.live import LiveText
from ..display.progress import Counter
from ..display.results import SUBTITLES, Form, Sink
from ..display.transcripts import growing_text, render
from ..errors import CommandError
from ..kinds import transcriber
from ..listening import FAILURES, listen, planned
from ..recognition import open_model
from ..searches import decoding
from ..times import check_need, check_times, with_times, without_times

if TYPE_CHECKING:
    from ...tasks import AnyModel
    from ..recognition import Method

HELP = f"""Transcribe AUDIO with the model in the folder BUNDLE.

AUDIO are sound files and folders; of a folder, the sound files in it are taken, sorted by name. The text goes to
stdout, behind the file's name and a tab where there are several. Subtitles of several files are written beside them,
or into the --output folder, which takes every other form too (.txt, .json).

The model may be one with a CTC head or an encoder-decoder. The first knows when each word was said (--timestamps,
--srt, --vtt) and can be searched with beams, an n-gram language model and hotwords (--beams, --lm, --hotword,
--n-best); the second has a decoder to search with (--num-beams) and, if it writes several languages, takes the
--language. When its words were said, a model of the first kind finds out (--times-from). What a model cannot do is
refused before any work.

Long recordings are run in windows, and their text, their words with times, their subtitles and their JSON come while
they run: to stdout, or into a file whose name ends in .incomplete before its ending, which is complete at any time and
takes its own name in the end. Where the work is interrupted (Ctrl-C), what there is stays there.

{FAILURES}"""
SHORT = "Transcribe sound files: text, times, JSON, subtitles."


def transcribe(
    bundle: Path, audio: Sequence[Path], options: Mapping[str, Any], counter: Callable[..., Counter] = Counter
) -> int:
    """Run the command and return its exit code; `counter` makes the display of what is done.

    Raises CommandError and what the runtime raises.
    """
    form = _form(options)
    work = planned(audio, form, options)
    timestamps = options["timestamps"]
    decoding(options)
    check_times(options)
    live = LiveText(work.several) if options["stream"] else None
    shown = partial(render, form=form, timestamps=timestamps)
    growing = partial(growing_text, form, timestamps, options["n_best"])
    has_lines = bool(timestamps or options["n_best"])
    sink = live or Sink(form, shown, work.several, work.files, has_lines, growing)
    with ExitStack() as opened:

        def prepared(model: "AnyModel") -> "tuple[Method, Sink | LiveText]":
            method = transcriber(model, bundle, without_times(options))
            if (other := options["times_from"]) is not None:
                check_need(model, bundle)
                aligning = open_model(other, options["device"], options["threads"])
                opened.callback(aligning.close)
                method = with_times(method, model, aligning, other)
            return method, sink

        return listen(
            bundle,
            work,
            options,
            prepared,
            counter(len(work.recordings), options["quiet"] or live is not None),
            None if live is None else live.add,
            watches=options["times_from"] is None,
        )


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
