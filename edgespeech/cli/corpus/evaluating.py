"""`edgespeech evaluate` over a corpus: rows as `transcribe --manifest` writes them, judged one by one."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgespeech_runtime.cli.display.output import few, number, say, table, to_json

from edgespeech.cli.corpus.options import flag, is_given
from edgespeech.cli.corpus.running import run_corpus
from edgespeech.cli.errors import CommandError, complain

ASKS = ("ray", "workers", "output_dir")  # for a run over a corpus
REFUSED = ("root", "compare", "samples", "html", "force", "tune_lm")


def is_asked(options: Mapping[str, Any]) -> bool:
    """Whether an evaluation runs over a corpus."""
    return any(is_given(options, name) for name in ASKS)


def evaluate_corpus(bundle: Path, data: str, as_json: bool, options: Mapping[str, Any]) -> None:
    """Run a bundle over a set with many workers, and print how right it is.

    Raises CommandError, CorpusError, DataError, BundleError, ScoringError, OSError and Interrupted.
    """
    for name in REFUSED:
        if is_given(options, name):
            asked = next(flag(each) for each in ASKS if is_given(options, each))
            raise CommandError(f"{flag(name)} and {asked} exclude each other; leave one out")
    from edgespeech_calib.corpus import merging
    from edgespeech_calib.corpus.output import Output
    from edgespeech_calib.corpus.scores import score_rows

    with _folder(options["output_dir"]) as folder:
        run_corpus(bundle, Path(data), folder, {**options, "shards": None})
        output = Output(folder)
        totals = merging.totals(output)
        method = output.run()["options"]["method"]
        score = score_rows(merging.rows(output), method, options["normalise"], options["seed"])
    summary = totals.summary
    if score.failed:
        complain(f"left out {number(score.failed, 'recording')} that could not be run")
    if as_json:
        facts = {"audio_seconds": round(summary.audio_seconds, 3), "real_time_factor": totals.real_time_factor}
        say(to_json({"data": data, "bundle": str(bundle), **score.to_dict(), **facts}, indent=2))
        return
    factor = totals.real_time_factor
    say(f"{bundle}: {method}")
    shown = [
        ("evaluated on", f"{number(score.utterances, 'utterance')} of {data}, {summary.audio_seconds / 3600:.2f} h"),
        *((label, value if isinstance(value, str) else few(value)) for label, value in score.rows()),
        ("real-time factor", "unknown" if not factor else f"{factor:.4f} of each worker"),
    ]
    for line in table(shown):
        say(line)


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder for the rows: that which was given, or one for the time being."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="edgespeech-") as temporary:
        yield Path(temporary)
