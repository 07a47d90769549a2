"""`edgespeech features`: sound files to the numbers that a model makes of them, as .npy files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from edgespeech_runtime.cli.display.output import say, to_json
from edgespeech_runtime.cli.display.results import SUFFIXES, written_whole
from edgespeech_runtime.cli.kinds import extractor
from edgespeech_runtime.cli.listening import FAILURES, Work, listen, planned
from edgespeech_runtime.cli.options import AUDIO

from edgespeech.cli.display.progress import RichCounter
from edgespeech.cli.errors import CommandError, FileThereError, complain
from edgespeech.cli.options.shared import audio_arguments, takes

if TYPE_CHECKING:
    from edgespeech_runtime.cli.recognition import Method, Result
    from edgespeech_runtime.tasks import AnyModel

SUFFIX = SUFFIXES["npy"]

HELP = f"""Write what the model in the folder BUNDLE makes of AUDIO, as NumPy arrays of float32.

AUDIO are sound files and folders; of a folder, the sound files in it are taken, sorted by name. --output names a file
that ends in {SUFFIX}, for a single sound file, or a folder that takes a {SUFFIX} file for each. What was written is
said on stdout, a line for each file: the sound file, the array's file and its shape.

A feature extractor gives hidden states, [frames, dimensions]; a bundle with several of them gives [layers, frames,
dimensions], or the one that --layer names. A model that embeds gives [dimensions]. numpy.load reads the files.

{FAILURES}"""


@click.command(help=HELP, short_help="Write hidden states or embeddings of sound files as arrays.")
@click.option(
    "--layer",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of a bundle with several hidden states, the one of this number: 0 is what goes into the first layer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each file.")
@takes(*AUDIO)
@audio_arguments
@click.pass_context
def features(ctx: click.Context, /, bundle: Path, audio: tuple[Path, ...], **options: Any) -> None:
    """See HELP."""
    work, as_json = _planned(audio, options), options["as_json"]

    def prepared(model: "AnyModel") -> "tuple[Method, ArraySink]":
        return extractor(model, bundle, options), ArraySink(work.files or (), as_json)

    counter = RichCounter(len(work.recordings), options["quiet"], "computing features")
    ctx.exit(listen(bundle, work, options, prepared, counter))


@dataclass
class ArraySink:
    """Writes an array for each recording into `files`, and says so on stdout; errors go to stderr and are counted."""

    files: Sequence[Path]
    as_json: bool
    failed: int = 0

    def put(self, index: int, path: Path, result: "Result") -> None:
        """Write the array of the recording at `index`; a file that cannot be written fails alone."""
        if isinstance(result, Exception):
            self.failed += 1
            complain(result)
            if self.as_json:
                say(to_json({"audio": str(path), "error": str(result)}))
            return
        import numpy as np

        target = self.files[index]
        try:
            with written_whole(target) as partial, partial.open("wb") as stream:
                np.save(stream, result, allow_pickle=False)  # type: ignore[arg-type]
        except OSError as error:
            self.failed += 1
            complain(f"{target} cannot be written: {error.strerror or error}")
            return
        shape = list(result.shape)  # type: ignore[union-attr]
        if self.as_json:
            say(to_json({"audio": str(path), "features": str(target), "shape": shape}))
        else:
            say(f"{path}\t{target}\t{shape}")


def _planned(audio: Sequence[Path], options: Mapping[str, Any]) -> Work:
    """The recordings and the files of their arrays.

    Raises:
        CommandError: no --output, one file for several recordings, or as `planned`.
        FileThereError: a file is in the way.
    """
    output = options["output"]
    if output is None:
        raise CommandError(f"--output is needed: a file that ends in {SUFFIX}, or a folder for one file each")
    if output.suffix != SUFFIX or output.is_dir():
        return planned(audio, "npy", options)
    work = planned(audio, "text", {**options, "output": None, "skip_existing": False})
    if len(work.recordings) > 1:
        raise CommandError(f"{output} is one file for {len(work.recordings)} recordings; give --output a folder")
    if output.exists() and options["skip_existing"]:
        return Work([], False, [])
    if output.exists() and not options["force"]:
        raise FileThereError(output)
    return Work(work.recordings, False, [output])
