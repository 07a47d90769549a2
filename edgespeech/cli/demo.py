"""`edgespeech demo`: from a checkpoint to words with times, on what comes with the package."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgespeech.cli.alignment import align
from edgespeech.cli.errors import CommandError
from edgespeech.cli.output import number, say, table
from edgespeech.cli.proof import ENGINE_NAMES, ENGINES, proof_rows, run_export

if TYPE_CHECKING:
    from edgespeech_runtime import Transcript, Word

HOME = Path(__file__).parents[1] / "checkpoints"
CHECKPOINT = HOME / "ctc-en-small"
SAMPLES = HOME / "samples"
NOTHING = "-"


@dataclass(frozen=True)
class Sample:
    """A recording and what is said in it."""

    path: Path
    text: str


@click.command(short_help="Export and run the model that comes with edgespeech.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/demo-ctc"),
    show_default=True,
    help="The bundle's folder.",
)
@click.option("--engine", type=click.Choice(ENGINES), default="onnx", show_default=True, help="What runs the bundle.")
@click.option("--force", is_flag=True, help="Replace the bundle if it is there.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def demo(output: Path, quiet: bool, **options: Any) -> None:
    """Export the small English model that comes with edgespeech, prove the bundle, and transcribe short recordings."""
    samples = read_samples()

    say(f"1  Export the checkpoint {CHECKPOINT.name} to the bundle {output}")
    manifest = run_export(CHECKPOINT, output, quiet, **options)
    say()
    say(f"2  Proof: the bundle in {ENGINE_NAMES[manifest.engine]} against the checkpoint in torch, on the logits")
    for line in table(proof_rows(manifest.report), indent="     "):
        say(line)
    say()
    say("3  Transcribe with the bundle alone, as on a device")

    import edgespeech_runtime

    with edgespeech_runtime.load(output) as model:
        results = [(sample, model.transcribe(sample.path)) for sample in samples]
    for line in comparison(results):
        say(line)
    say()
    say("Next")
    say(f"   edgespeech transcribe {output} {shown(samples[0].path)} --timestamps word")
    say(f"   edgespeech inspect {output}")


def read_samples() -> list[Sample]:
    """The recordings that come with the package, as their table lists them. Raises CommandError without them."""
    listing = SAMPLES / "samples.tsv"
    if not listing.is_file():
        raise CommandError(f"{listing} is missing; install edgespeech again")
    rows = [line.split("\t") for line in listing.read_text(encoding="utf-8").splitlines()[1:] if line]
    return [Sample(SAMPLES / path, text) for path, text in rows]


def comparison(results: Sequence[tuple[Sample, "Transcript"]]) -> Iterator[str]:
    """Lines of words with their times and confidence, beside what was said; then how many words are wrong."""
    wrong = said = 0
    width = max((len(word.text) for _, transcript in results for word in transcript.words), default=0)
    for sample, transcript in results:
        expected = sample.text.split()
        yield ""
        yield f"   {sample.path.name}, {transcript.duration:.1f} s"
        yield f"     {'start':>5} {'end':>5}  {'sure':>4}  {'heard':<{width}}      said"
        for place, heard in align(expected, [word.text for word in transcript.words]):
            word = None if heard is None else transcript.words[heard]
            truth = None if place is None else expected[place]
            yield "     " + _row(word, truth, width)
            wrong += word is None or word.text != truth
        said += len(expected)
    yield ""
    yield f"   {wrong} of {number(said, 'word')} wrong"


def _row(word: "Word | None", truth: str | None, width: int) -> str:
    if word is None:
        times, heard = " " * len("start   end  sure"), NOTHING
    else:
        times, heard = f"{word.start:5.2f} {word.end:5.2f}  {word.confidence:4.0%}", word.text
    return f"{times}  {heard:<{width}}  {'  ' if heard == truth else '!='}  {truth or NOTHING}"


def shown(path: Path) -> Path:
    """A path as one types it: from the working folder where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
