"""`edgespeech align`: when each word of a given text is said in a sound file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from edgespeech_runtime.cli.display.compiling import announce
from edgespeech_runtime.cli.display.output import write
from edgespeech_runtime.cli.display.results import Form
from edgespeech_runtime.cli.display.transcripts import Timestamps, render
from edgespeech_runtime.cli.kinds import aligner
from edgespeech_runtime.cli.recognition import open_model

from edgespeech.cli.errors import CommandError

if TYPE_CHECKING:
    from edgespeech_runtime import Transcript

SUFFIX = ".txt"
FORMS: tuple[Form, ...] = ("json", "srt", "vtt", "textgrid")

HELP = f"""Find when each word of TEXT is said in the sound file AUDIO.

BUNDLE is a model with a CTC head. TEXT is a text file in UTF-8 (what ends in {SUFFIX} always is one), - for stdin, or
the text itself. A word of the text that is * stands for any speech, or none, that the text does not have.

Each line has start and end in seconds, the confidence, and the word. Words of which the model's vocabulary has no
letter, such as digits, are put between their neighbours and marked "interpolated"; words that the audio does not have
take no time and are marked "absent".
"""


@click.command(help=HELP, short_help="Find when each word of a given text is said.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("audio", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("text")
@click.option(
    "--timestamps",
    type=click.Choice(["word", "char"]),
    help="Times of words, or of characters; in JSON, char adds the characters.  [default: word]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON, with words and times.")
@click.option("--srt", is_flag=True, help="Print SubRip subtitles.")
@click.option("--vtt", is_flag=True, help="Print WebVTT subtitles.")
@click.option(
    "--textgrid", is_flag=True, help="Print a TextGrid for Praat, with a tier of words and one of characters."
)
@click.option(
    "--device",
    multiple=True,
    default=("cpu",),
    show_default="cpu",
    help="Where to run: cpu, gpu, npu, auto or an exact name; give it again for what to try next.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine; its own choice if not given.")
def align(
    bundle: Path,
    audio: Path,
    text: str,
    timestamps: Timestamps | None,
    device: tuple[str, ...],
    threads: int | None,
    **flags: bool,
) -> None:
    """See HELP."""
    form = _form({"json": flags["as_json"], **{name: flags[name] for name in FORMS[1:]}}, timestamps)
    given = _text(text)
    announce()
    with open_model(bundle, device, threads) as model:
        aligned: Transcript = aligner(model, bundle)(audio, given)
    write(render(audio, aligned, form, timestamps or ("word" if form == "text" else None)))


def _form(flags: dict[str, bool], timestamps: Timestamps | None) -> Form:
    """The one form that was asked for. Raises CommandError for options that contradict each other."""
    forms: list[Form] = [form for form in FORMS if flags[form]]
    if len(forms) > 1:
        raise CommandError(f"--{forms[0]} and --{forms[1]} exclude each other; run once for each")
    form: Form = forms[0] if forms else "text"
    if timestamps is not None and form not in ("text", "json"):
        raise CommandError(f"--timestamps and --{form} exclude each other; --{form} has times of its own")
    return form


def _text(given: str) -> str:
    """The text that an argument names, or is. Raises CommandError for a file that is missing or no UTF-8."""
    path = Path(given)
    if given == "-":
        content = sys.stdin.buffer.read()
    elif _is_file(path):
        content = path.read_bytes()
    elif path.suffix.lower() == SUFFIX and len(given.split()) == 1:
        raise CommandError(f"{given}: no such text file")
    else:
        return given
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{given}: expected a text in UTF-8, got other bytes at {error.start}; convert it") from None


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a text may be no possible name of one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
