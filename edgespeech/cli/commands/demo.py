"""`edgespeech demo`: the models that come with the package, from checkpoints to text, on one page."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from edgespeech_runtime.choices import ENGINES
from edgespeech_runtime.cli.display.output import number, say

from edgespeech.cli.commands.demo_steps import FLOAT, INT8, DemoModel, Runs, export_float, quantize, transcripts
from edgespeech.cli.display.demo_page import INSET, bundle_row, table_lines, transcript_lines
from edgespeech.cli.errors import CommandError, FileThereError

if TYPE_CHECKING:
    from edgespeech_calib import SpeechSet
    from edgespeech_runtime.choices import EngineName

HOME = Path(__file__).parents[2] / "checkpoints"
SAMPLES = HOME / "samples" / "samples.tsv"
OTHER = "facebook/wav2vec2-base-960h"  # on the hub
CALIBRATION = HOME / "calibration" / "sentences-en.tsv"


@dataclass(frozen=True)
class Example:
    """A checkpoint that comes along, what it is good for, and options of `transcribe` that show it."""

    checkpoint: Path
    purpose: str
    options: str


EXAMPLES: tuple[Example, ...] = (
    Example(HOME / "dictation-en", "English text with case and punctuation", "--num-beams 4"),
    Example(HOME / "ctc-en", "English in capitals with the time of every word, small and fast", "--timestamps word"),
)


@click.command(short_help="Export and run the models that come with edgespeech.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build"),
    show_default=True,
    help="The folder for the bundles.",
)
@click.option(
    "--engine", type=click.Choice(list(ENGINES)), default="onnx", show_default=True, help="What runs the bundles."
)
@click.option("--force", is_flag=True, help="Replace bundles that are there.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def demo(output: Path, engine: "EngineName", force: bool, quiet: bool) -> None:
    """Export the models that come with edgespeech, prove the bundles, make INT8 of them, transcribe, and compare."""
    examples = [example for example in EXAMPLES if example.checkpoint.is_dir()]
    if not examples:
        raise CommandError(f"{HOME} holds no checkpoints; install edgespeech again")
    for table in (SAMPLES, CALIBRATION):
        if not table.is_file():
            raise CommandError(f"{table} is missing; install edgespeech again")
    models = [DemoModel(example.checkpoint, output / example.checkpoint.name, example.purpose) for example in examples]
    for bundle in (bundle for model in models for bundle in model.bundles.values()):
        if bundle.exists() and not force:
            raise FileThereError(bundle)
    _run(models, engine, force, quiet)
    say("4  Next: more of these models; a RECORDING of your own voice; another checkpoint, from a folder or the hub")
    say()
    command, first = f"{INSET}{program()}", models[0].bundles[INT8]
    for model, example in zip(models, examples, strict=True):
        say(f"{command} transcribe {model.bundles[INT8]} {shown(SAMPLES.parent)} {example.options}")
    say(f"{command} inspect {first}")
    say(f"{command} transcribe {first} RECORDING")
    say(f"{command} export {OTHER} {output / Path(OTHER).name}")


def _run(models: Sequence[DemoModel], engine: "EngineName", force: bool, quiet: bool) -> None:
    from edgespeech_calib import open_set

    samples, calibration = open_set(SAMPLES), open_set(CALIBRATION)
    width = max(len(str(bundle)) for model in models for bundle in model.bundles.values())
    say("English speech to text, from checkpoints to bundles that run without torch")
    say()
    say(f"1  Export to {ENGINES[engine].title}, compare each bundle with its checkpoint in torch, and make INT8 of it")
    for model in models:
        say()
        say(f"   {model.name}: {model.purpose}")
        export_float(model, engine, force, quiet)
        say(bundle_row(model, FLOAT, width))
        quantize(model, calibration, force, quiet)
        say(bundle_row(model, INT8, width))
    say()
    say(f"2  Transcribe {number(len(samples), 'recording')} with the INT8 bundles")
    runs = _runs(models, samples, quiet)
    for line in transcript_lines(samples, runs):
        say(line)
    say()
    say(f"3  Compare on the {len(calibration)} recordings that calibrated INT8, {calibration.seconds:.0f} s of speech")
    say()
    for line in table_lines(models, calibration, _runs(models, calibration, quiet)):
        say(line)
    say()


def _runs(models: Sequence[DemoModel], data: "SpeechSet", quiet: bool) -> Runs:
    return {
        model.name: {form: transcripts(bundle, data, quiet) for form, bundle in model.bundles.items()}
        for model in models
    }


def program() -> str:
    """This program as one types it: by its path where the shell would not find it by name."""
    own = Path(sys.argv[0])
    by_name = shutil.which(own.name)
    is_script = own.name == "edgespeech" and own.is_file()
    return str(shown(own.absolute())) if is_script and (by_name is None or not own.samefile(by_name)) else "edgespeech"


def shown(path: Path) -> Path:
    """A path as one types it: from the working folder where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
