"""`edgespeech transcribe`: sound files to text, JSON or subtitles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edgespeech.cli.compiling import announce
from edgespeech.cli.errors import CommandError
from edgespeech.cli.kinds import asked
from edgespeech.cli.live import LiveText
from edgespeech.cli.progress import Counter
from edgespeech.cli.recognition import open_model, transcripts
from edgespeech.cli.recordings import SUFFIXES as SOUND_SUFFIXES
from edgespeech.cli.recordings import find, targets
from edgespeech.cli.results import SUBTITLES, SUFFIXES, Form, Sink

BATCH_SIZE = 8  # edgespeech_runtime's own default; not imported, because it comes with numpy
SOME_FAILED, ALL_FAILED = 1, 2

HELP = f"""Transcribe AUDIO with the model in the folder BUNDLE.

AUDIO are sound files and folders; of a folder, the sound files in it are taken, sorted by name. The text goes to
stdout, behind the file's name and a tab where there are several. Subtitles of several files are written beside them,
or into the --output folder, which takes every other form too (.txt, .json).

The model may be one with a CTC head or an encoder-decoder. The first knows when each word was said (--timestamps,
--srt, --vtt); the second has a decoder to search with (--num-beams) and, if it writes several languages, takes the
--language. What a model cannot do is refused before anything is heard.

A file that cannot be read is named on stderr; the others are transcribed all the same, and the exit code is
{SOME_FAILED}, or {ALL_FAILED} where none is left.

Sound files in a folder are those that end in {" ".join(SOUND_SUFFIXES)}; hidden ones are left out.
"""


@click.command(help=HELP, short_help="Transcribe sound files: text, times, JSON, subtitles.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--timestamps", type=click.Choice(["word", "char"]), help="Print words or characters with their times.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each file, with words and times.")
@click.option("--srt", is_flag=True, help="Write SubRip subtitles.")
@click.option("--vtt", is_flag=True, help="Write WebVTT subtitles.")
@click.option("--stream", is_flag=True, help="Print each text while it comes into being, one file at a time.")
@click.option("--num-beams", type=click.IntRange(min=1), help="Hypotheses kept in the search of an encoder-decoder.")
@click.option("--language", metavar="NAME", help="Language that an encoder-decoder shall write, by name: de_DE, de.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), help="Tokens that an encoder-decoder writes at most.")
@click.option("--output", type=click.Path(path_type=Path), help="Write a file for each sound file into this folder.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--recursive", is_flag=True, help="Take the sound files in the folders below a folder too.")
@click.option(
    "--device",
    multiple=True,
    default=("cpu",),
    show_default="cpu",
    help="Where to run: cpu, gpu, npu, auto or an exact name; give it again for what to try next.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine; its own choice if not given.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=BATCH_SIZE, show_default=True, help="Files that run together."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def transcribe(ctx: click.Context, /, bundle: Path, audio: tuple[Path, ...], recursive: bool, **options: Any) -> None:
    """See HELP."""
    form = _form(options)
    recordings = find(audio, recursive)
    paths = [recording.path for recording in recordings]
    several = len(paths) > 1 or any(path.is_dir() for path in audio)
    files = None
    if options["output"] is not None or (several and form in SUBTITLES):
        files = targets(recordings, options["output"], SUFFIXES[form], options["force"])
    live = LiveText(several) if options["stream"] else None
    sink = live or Sink(form, options["timestamps"], several, files)
    if not options["quiet"]:
        announce()

    with (
        open_model(bundle, options["device"], options["threads"]) as model,
        Counter(len(paths), options["quiet"] or live is not None) as counter,
    ):
        on_text = None if live is None else live.add
        for index, result in transcripts(model, paths, asked(model, bundle, options), options["batch_size"], on_text):
            with counter.one_more():
                sink.put(index, paths[index], result)
    if sink.failed:
        ctx.exit(SOME_FAILED if sink.failed < len(paths) else ALL_FAILED)


def _form(options: Mapping[str, Any]) -> Form:
    """The one form that was asked for. Raises CommandError for options that contradict each other."""
    flags: dict[Form, bool] = {"json": options["as_json"], "srt": options["srt"], "vtt": options["vtt"]}
    forms: list[Form] = [form for form, wanted in flags.items() if wanted]
    if len(forms) > 1:
        raise CommandError(f"--{forms[0]} and --{forms[1]} exclude each other; run once for each")
    form: Form = forms[0] if forms else "text"
    if options["timestamps"] is not None and form in SUBTITLES:
        raise CommandError(f"--timestamps and --{form} exclude each other; subtitles have times of their own")
    others = (*forms, *(name for name in ("timestamps", "output") if options[name] is not None))
    if options["stream"] and others:
        raise CommandError(f"--stream and --{others[0]} exclude each other; a stream is plain text on stdout")
    return form
