"""`--edges-from`: speech by which an export measures what a CTC model's tokens are off by from the edges of words."""

from typing import Any

import click
from edgespeech_runtime.cli.display.output import few, number

from edgespeech.cli.errors import complain
from edgespeech.cli.options.grouping import Options

MOST = 100  # recordings that are run

edges_option = click.option(
    "--edges-from",
    metavar="SET",
    help="Speech that corrects the word times of `align`.  [default: what comes along]",
)


def chosen_recordings(options: Options) -> Any:
    """What `ExportOptions.edges_from` is by the options. Raises what `edgespeech_calib.open_set` raises."""
    if options["edges_from"] is None:
        return None
    from edgespeech_calib import open_set
    from edgespeech_export.word_edges import Recordings

    data = open_set(options["edges_from"])
    if data.skipped:
        reasons = few([f"{one.id} ({one.reason})" for one in data.skipped])
        complain(f"edges: left out {number(len(data.skipped), 'recording')}: {reasons}")
    return Recordings(tuple(utterance.audio.read for utterance in data.sample(MOST)), data.name)
