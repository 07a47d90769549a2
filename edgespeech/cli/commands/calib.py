"""`edgespeech calib`: downloading speech, and drawing lists of utterances from it."""

from pathlib import Path
from typing import Any

import click
from edgespeech_runtime.cli.display.output import few, number, say, size, to_json
from edgespeech_runtime.cli.interrupts import Interrupted

from edgespeech.choices import LIBRISPEECH, LIBRISPEECH_MIRROR
from edgespeech.cli.display.progress import Bar
from edgespeech.cli.errors import CommandError, complain


@click.group(short_help="Download speech; draw lists of utterances.")
def calib() -> None:
    """Download LibriSpeech for evaluation and calibration, and draw lists of utterances from a set."""


@calib.command(short_help="Download a subset of LibriSpeech.")
@click.argument("subset", type=click.Choice(list(LIBRISPEECH)), metavar="SUBSET")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the archive.  [default: $EDGESPEECH_DATA, or edgespeech/speech in your cache]",
)
@click.option(
    "--mirror", default=LIBRISPEECH_MIRROR, show_default=True, help="Address of the folder that the archives lie in."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def fetch(subset: str, output: Path | None, mirror: str, as_json: bool, quiet: bool) -> None:
    """Download SUBSET of LibriSpeech from OpenSLR, and check it against its published MD5 sum.

    SUBSET is dev-clean, dev-other, test-clean, test-other, train-clean-100, train-clean-360 or train-other-500. A
    download that was cut off goes on where it ended. The archive stays as it is: --data takes it by its path, and by
    the bare name of the subset if it lies in the default folder.
    """
    from edgespeech_calib.speech.fetch import fetch as download
    from edgespeech_calib.speech.home import data_home

    folder = data_home() if output is None else output
    with Bar(quiet, in_bytes=True) as bar:
        try:
            archive = download(subset, folder, mirror, progress=lambda done, total: bar(subset, done, total))
        except Interrupted as stop:
            stop.outcome = "; what has come is kept, and the next run goes on there"
            raise
    if as_json:
        say(to_json({"archive": str(archive.path), "bytes": archive.bytes, "downloaded": archive.downloaded}, indent=2))
    elif archive.downloaded:
        say(f"{archive.path}: {size(archive.bytes)}, the checksum holds")
    else:
        say(f"{archive.path}: there already, {size(archive.bytes)}, the checksum holds")


@calib.command(short_help="Draw a list of utterances from a set.")
@click.argument("data", metavar="SET")
@click.argument("target", metavar="LIST", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--samples", type=click.IntRange(min=1), default=128, show_default=True, help="Utterances to draw.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other utterances.")
@click.option("--name", help="What the list calls the set.  [default: the last two parts of its path]")
@click.option("--force", is_flag=True, help="Replace LIST if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def draw(data: str, target: Path, name: str | None, force: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Draw utterances from SET, spread over speakers and lengths, and write their ids, lengths and checksums to LIST.

    SET is a folder in LibriSpeech's layout or of sound files, a tar archive of one, or a manifest. LIST is a set too:
    where it lies in SET's folder, or together with --root.
    """
    if target.exists() and not force:
        raise CommandError(f"{target} exists; name another file, or replace it with --force")
    from edgespeech_calib import open_set
    from edgespeech_calib.speech import lists

    with Bar(quiet) as bar:
        whole = open_set(data, progress=lambda done: bar("checking recordings", done, None))
    if whole.skipped:
        complain(f"left out {number(len(whole.skipped), 'utterance')}: {few([s.id for s in whole.skipped])}")
    chosen = whole.sample(options["samples"], options["seed"])
    called = name or "/".join(Path(data).parts[-2:])
    how = f"spread over speakers and lengths, {len(chosen)} of {len(whole)} utterances, seed {options['seed']}"
    facts = {"set": called, "drawn": how, "seconds": f"{chosen.seconds:.1f}"}
    lists.write(target, chosen.utterances, facts)
    if as_json:
        say(to_json({"list": str(target), "utterances": len(chosen), **facts, "seconds": chosen.seconds}, indent=2))
    else:
        say(f"{target}: {number(len(chosen), 'utterance')}, {chosen.seconds:.0f} s of {called}")
