"""`edgespeech demo`: from checkpoints to text, on what comes with the package."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgespeech.cli.alignment import align
from edgespeech.cli.demo_int8 import quantize, words_wrong
from edgespeech.cli.errors import CommandError, FileThereError
from edgespeech.cli.kinds import transcribing
from edgespeech.cli.output import number, say, table
from edgespeech.cli.proof import ENGINE_NAMES, ENGINES, proof_rows, run_export

if TYPE_CHECKING:
    from edgespeech_runtime import Transcript, Word

HOME = Path(__file__).parents[1] / "checkpoints"
INSET = "   "
NOTHING = "-"


@dataclass(frozen=True)
class Example:
    """A checkpoint that comes along, the folder of recordings for it, those for INT8, and the name of its float bundle.

    `options` are those of `transcribe` that show what this kind of model can do.
    """

    checkpoint: Path
    samples: Path
    calibration: Path
    bundle: str
    purpose: str
    options: str


EXAMPLES = (
    Example(
        HOME / "ctc-en-small",
        HOME / "samples",
        HOME / "calibration" / "sentences-en.tsv",
        "demo-ctc",
        "English, with times",
        "--timestamps word",
    ),
    Example(
        HOME / "digits-en-de",
        HOME / "samples-en-de",
        HOME / "calibration" / "digits-en-de.tsv",
        "demo-digits",
        "spoken English digits to German words",
        "--stream --num-beams 4",
    ),
)


@dataclass(frozen=True)
class Sample:
    """A recording and the text that is right for it."""

    path: Path
    text: str


@click.command(short_help="Export and run the models that come with edgespeech.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build"),
    show_default=True,
    help="The folder for the bundles.",
)
@click.option("--engine", type=click.Choice(ENGINES), default="onnx", show_default=True, help="What runs the bundles.")
@click.option("--force", is_flag=True, help="Replace bundles that are there.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def demo(output: Path, quiet: bool, **options: Any) -> None:
    """Export the small models that come with edgespeech, prove the bundles, make INT8 of them, and transcribe."""
    examples = [example for example in EXAMPLES if example.checkpoint.is_dir()]
    if not examples:
        raise CommandError(f"{HOME} holds no checkpoints; install edgespeech again")
    samples = {example: read_samples(example.samples) for example in examples}
    for example in examples:
        if not example.calibration.is_file():
            raise CommandError(f"{example.calibration} is missing; install edgespeech again")
    bundles = {example: output / example.bundle for example in examples}
    for bundle in (place for float_bundle in bundles.values() for place in (float_bundle, int8(float_bundle))):
        if bundle.exists() and not options["force"]:
            raise FileThereError(bundle)

    for line in _listing(samples, bundles):
        say(line)
    for example in examples:
        say()
        _run(example, samples[example], bundles[example], quiet, **options)
    say()
    say("Next")
    for example in examples:
        recording = shown(samples[example][0].path)
        say(f"{INSET}edgespeech transcribe {int8(bundles[example])} {recording} {example.options}")
    for bundle in bundles.values():
        say(f"{INSET}edgespeech inspect {int8(bundle)}")


def read_samples(folder: Path) -> list[Sample]:
    """The recordings in a folder that comes with the package, as their table lists them.

    Raises:
        CommandError: the table is not there.
    """
    listing = folder / "samples.tsv"
    if not listing.is_file():
        raise CommandError(f"{listing} is missing; install edgespeech again")
    rows = [line.split("\t") for line in listing.read_text(encoding="utf-8").splitlines()[1:] if line]
    return [Sample(folder / path, text) for path, text in rows]


def int8(bundle: Path) -> Path:
    """Where the INT8 bundle goes that is made of a float bundle."""
    return bundle.with_name(f"{bundle.name}-int8")


def _listing(samples: dict[Example, list[Sample]], bundles: dict[Example, Path]) -> Iterator[str]:
    rows = [("checkpoint", "recordings", "bundles", "", "what it does")]
    rows += [
        (example.checkpoint.name, str(len(samples[example])), str(bundle), str(int8(bundle)), example.purpose)
        for example, bundle in bundles.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield INSET + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _run(example: Example, samples: list[Sample], bundle: Path, quiet: bool, **options: Any) -> None:
    """Export, prove, quantize and use one checkpoint."""
    say(f"1  Export the checkpoint {example.checkpoint.name} to the bundle {bundle}")
    manifest = run_export(example.checkpoint, bundle, quiet, **options)
    say()
    say(f"2  Proof: the bundle in {ENGINE_NAMES[manifest.engine]} against the checkpoint in torch, on the logits")
    for line in table(proof_rows(manifest.report), indent="     "):
        say(line)
    say()
    say(f"3  Quantize it to the INT8 bundle {int8(bundle)}, calibrated on recordings that come along")
    quantize(bundle, int8(bundle), example.calibration, quiet, options["force"])
    say()
    say("4  Transcribe with the INT8 bundle alone, as on a device")
    found = _transcribe(int8(bundle), samples)
    in_float = [transcript.text for _, transcript in _transcribe(bundle, samples)]
    for line in texts(found, in_float) if manifest.decoder else comparison(found, in_float):
        say(line)


def _transcribe(bundle: Path, samples: Sequence[Sample]) -> list[tuple[Sample, "Transcript"]]:
    import edgespeech_runtime

    with transcribing(edgespeech_runtime.load(bundle), bundle) as model:
        return [(sample, model.transcribe(sample.path)) for sample in samples]


def texts(results: Sequence[tuple[Sample, "Transcript"]], in_float: Sequence[str]) -> Iterator[str]:
    """Lines of texts above what is right; then how many words are wrong. `in_float` are the float bundle's texts."""
    wrong = 0
    for (sample, transcript), other in zip(results, in_float, strict=True):
        yield ""
        yield f"   {sample.path.name}, {transcript.duration:.1f} s"
        yield f"     {'model':<5}  {transcript.text or NOTHING}"
        if other != transcript.text:
            yield f"     {'float':<5}  {other or NOTHING}"
        yield f"     {'right':<5}  {sample.text}"
        wrong += words_wrong(sample.text.split(), transcript.text.split())
    yield ""
    yield _count(wrong, results)


def comparison(results: Sequence[tuple[Sample, "Transcript"]], in_float: Sequence[str]) -> Iterator[str]:
    """Lines of words with their times and confidence, beside what was said; then how many words are wrong.

    `in_float` are the float bundle's texts, which are shown where they differ.
    """
    wrong = 0
    width = max((len(word.text) for _, transcript in results for word in transcript.words), default=0)
    for (sample, transcript), other in zip(results, in_float, strict=True):
        expected = sample.text.split()
        yield ""
        yield f"   {sample.path.name}, {transcript.duration:.1f} s"
        yield f"     {'start':>5} {'end':>5}  {'sure':>4}  {'heard':<{width}}      said"
        for place, heard in align(expected, [word.text for word in transcript.words]):
            word = None if heard is None else transcript.words[heard]
            truth = None if place is None else expected[place]
            yield "     " + _row(word, truth, width)
            wrong += word is None or word.text != truth
        if other != transcript.text:
            yield f"     in float it heard: {other or NOTHING}"
    yield ""
    yield _count(wrong, results)


def _count(wrong: int, results: Sequence[tuple[Sample, "Transcript"]]) -> str:
    return f"   {wrong} of {number(sum(len(sample.text.split()) for sample, _ in results), 'word')} wrong"


def _row(word: "Word | None", truth: str | None, width: int) -> str:
    if word is None:
        times, heard = " " * len("start   end  sure"), NOTHING
    else:
        times, heard = f"{word.start:5.2f} {word.end:5.2f}  {word.confidence:4.0%}", word.text
    return f"{times}  {heard:<{width}}  {'  ' if heard == truth else '!='}  {truth or NOTHING}"


def shown(path: Path) -> Path:
    """A path as one types it: from the working folder where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
