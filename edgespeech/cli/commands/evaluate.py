"""`edgespeech evaluate`: what bundles and checkpoints get wrong, how fast they are and what they need."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from edgespeech_runtime.cli.display.compiling import announce
from edgespeech_runtime.cli.display.output import few, number, say, size, table, to_json
from edgespeech_runtime.cli.display.results import write_file
from edgespeech_runtime.cli.searches import decoding, plain

from edgespeech.choices import Normalisation
from edgespeech.cli.corpus.evaluating import evaluate_corpus, is_asked
from edgespeech.cli.corpus.options import over_workers
from edgespeech.cli.display.progress import Bar
from edgespeech.cli.errors import CommandError, complain
from edgespeech.cli.options.shared import tunes
from edgespeech.fairseq_files import fairseq_files

if TYPE_CHECKING:
    from edgespeech_calib.evaluation.results import Comparison, Evaluation, SystemResult
    from edgespeech_calib.scoring.measure import Measure


@click.command(short_help="Count the errors of a bundle; measure its speed and memory.")
@click.argument("system", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--data", metavar="SET", required=True, help="Recordings with transcripts, or with labels; see above.")
@click.option("--root", metavar="SET", help="Where the set lies from which a list was drawn.")
@click.option(
    "--compare", type=click.Path(path_type=Path), multiple=True, help="Another bundle; the difference is paired."
)
@click.option("--samples", type=click.IntRange(min=1), help="Take so many, spread over speakers and lengths.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw and of the intervals.")
@click.option(
    "--normalise",
    "--normalize",
    "normalise",
    type=click.Choice(get_args(Normalisation)),
    default="basic",
    show_default=True,
    help="How texts are made alike before they are compared.",
)
@click.option("--language", metavar="NAME", help="Language that an encoder-decoder of several shall write: de_DE, de.")
@click.option("--num-beams", type=click.IntRange(min=1), help="Hypotheses kept in the search of an encoder-decoder.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), help="Tokens that an encoder-decoder writes at most.")
@tunes
@click.option("--device", default="cpu", show_default=True, help="Where to run: cpu, or auto for the best there is.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine; its own choice if not given.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Utterances that run together; the time of each is known with 1 only.",
)
@over_workers
@click.option("--json", "as_json", is_flag=True, help="Print all that was found as JSON.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page that shows every error.")
@click.option("--force", is_flag=True, help="Replace the page if it is there.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def evaluate(system: Path, data: str, root: str | None, as_json: bool, html: Path | None, **options: Any) -> None:
    """Count the word errors of BUNDLE on recordings of which it is known what is said; measure speed and memory.

    BUNDLE may be a checkpoint folder too, which runs in torch. Each system runs in a process of its own. Of classifiers
    accuracy is measured: of labels of utterances or of frames.

    SET is a folder in LibriSpeech's layout, nested anywhere; a tar archive of one, which is not unpacked; a manifest
    (.tsv, .csv or .jsonl with path, text or label, cuts of Lhotse); a list drawn by `edgespeech calib draw`; or the
    name of a subset that `edgespeech calib fetch` has downloaded. What cannot be read is left out and named, other
    sampling rates are resampled, which is said.

    With --beams, --lm or --hotword, a CTC model is measured with that search and without. --tune-lm measures nothing
    else: it tries weights of the language model on SET, so judge what it finds on another one.

    With --workers or --ray, many processes run BUNDLE over a manifest or a folder; --output-dir keeps their rows.
    """
    if is_asked(options):
        return evaluate_corpus(system, data, as_json, {**options, "html": html, "root": root})
    if html is not None and html.exists() and not options["force"]:
        raise CommandError(f"{html} exists; name another file, or replace it with --force")
    systems = _checked([system, *options["compare"]])
    if options["tune_lm"]:
        return _tune(systems, data, root, as_json, html, options)
    return _show(_run(systems, data, root, options), as_json, html)


def _show(evaluation: "Evaluation", as_json: bool, html: Path | None) -> None:
    """Print an evaluation, and write its page."""
    _warn(evaluation)
    for line in [to_json(evaluation.to_dict(), indent=2)] if as_json else lines(evaluation):
        say(line)
    if html is not None:  # last, so that nothing is lost where it cannot be written
        from edgespeech_calib.evaluation.page import page

        write_file(html, page(evaluation))


def _checked(systems: list[Path]) -> list[Path]:
    """Return the systems. Raises CommandError where one is named twice or is not there."""
    if len(set(systems)) < len(systems):
        raise CommandError("a system is named twice; compare different ones")
    for folder in systems:
        if not folder.is_dir() and not fairseq_files(folder):
            what = "is not a folder" if folder.exists() else "is not there"
            raise CommandError(f"{folder} {what}; give the folder of a bundle or of a checkpoint")
    return systems


def _run(systems: list[Path], data: str, root: str | None, options: dict[str, Any]) -> "Evaluation":
    from edgespeech_calib import open_set
    from edgespeech_calib.evaluation import evaluation
    from edgespeech_calib.evaluation.systems import Options

    if not options["quiet"]:
        announce()
    names = ("device", "threads", "language", "num_beams", "max_new_tokens")
    with Bar(options["quiet"]) as bar:
        recordings = open_set(data, root, progress=lambda done: bar("checking recordings", done, None))
        return evaluation.evaluate(
            systems,
            recordings,
            Options(**{name: options[name] for name in names}, **plain(decoding(options))),
            samples=options["samples"],
            seed=options["seed"],
            normalisation=options["normalise"],
            batch_size=options["batch_size"],
            progress=bar,
        )


def _tune(
    systems: list[Path], data: str, root: str | None, as_json: bool, html: Path | None, options: dict[str, Any]
) -> None:
    """Print what weights of the language model give, and which give the fewest errors."""
    from dataclasses import asdict

    from edgespeech_calib import open_set
    from edgespeech_calib.evaluation.systems import Options
    from edgespeech_calib.evaluation.tuning import tune

    if len(systems) > 1 or html is not None:
        raise CommandError("--tune-lm takes one bundle and writes no page; leave out --compare and --html")
    for name in ("alpha", "beta"):
        if options[name] is not None:
            raise CommandError(f"--tune-lm and --{name} exclude each other; it looks for {name}")
    with Bar(options["quiet"]) as bar:
        recordings = open_set(data, root, progress=lambda done: bar("checking recordings", done, None))
        tuning = tune(
            systems[0],
            recordings,
            Options(device=options["device"], threads=options["threads"], **plain(decoding(options))),
            samples=options["samples"],
            seed=options["seed"],
            normalisation=options["normalise"],
            progress=bar,
        )
    if as_json:
        trials = [asdict(trial) for trial in tuning.trials]
        say(to_json({"utterances": tuning.utterances, "best": asdict(tuning.best), "trials": trials}, indent=2))
        return
    for trial in sorted(tuning.trials, key=lambda trial: (trial.alpha, trial.beta)):
        say(f"alpha {trial.alpha:6.3f}  beta {trial.beta:6.2f}  word errors {100 * trial.word_error_rate:6.2f} %")
    best = tuning.best
    say(f"best on {number(tuning.utterances, 'utterance')}: --alpha {best.alpha:g} --beta {best.beta:g}")


def _warn(evaluation: "Evaluation") -> None:
    """Say on stderr what was left out and what was resampled, once for all systems where it is the same."""
    said: set[str] = set()
    for result in evaluation.systems:
        messages = []
        if result.skipped:
            reasons = few([f"{skipped.id} ({skipped.reason})" for skipped in result.skipped])
            messages.append(f"left out {number(len(result.skipped), 'utterance')}: {reasons}")
        for rate, count in sorted(result.resampled.items()):
            to = result.facts.sampling_rate
            messages.append(f"resampled {number(count, 'recording')} from {rate} Hz to the model's {to} Hz")
        for message in messages:
            if message not in said:
                complain(message)
                said.add(message)


def lines(evaluation: "Evaluation") -> list[str]:
    """What is found, for people."""
    shown: list[str] = []
    for result in evaluation.systems:
        facts = result.facts
        shown.append(f"{result.name}: {facts.task} on {facts.engine}, {facts.precision}")
        shown += table(_rows(result, evaluation))
    for comparison in evaluation.comparisons:
        shown += _comparison(comparison, evaluation.measure)
    return shown


def _rows(result: "SystemResult", evaluation: "Evaluation") -> list[tuple[str, str]]:
    drawn = "" if evaluation.samples is None else f", drawn with seed {evaluation.seed}"
    rows = [
        (
            "evaluated on",
            f"{number(len(result.utterances), 'utterance')} of {evaluation.data}, {result.audio_seconds:.0f} s{drawn}",
        ),
        *((label, value if isinstance(value, str) else few(value)) for label, value in result.measured.rows()),
        (
            "real-time factor",
            f"{result.real_time_factor:.4f}, {1 / max(result.real_time_factor, 1e-9):.0f} x real time",
        ),
    ]
    for latency in result.latencies():
        length = (
            f"{latency.shortest:g} to {latency.longest:g} s"
            if latency.longest < 1e9
            else f"over {latency.shortest:g} s"
        )
        times = ", ".join(f"{percent} % {1000 * value:.0f} ms" for percent, value in latency.percentiles.items())
        rows.append((f"  {length}", f"{times} ({number(latency.utterances, 'utterance')})"))
    memory = "unknown on this system" if result.peak_memory is None else size(result.peak_memory)
    rows += [("size", size(result.facts.bytes)), ("peak memory", memory), ("load", f"{result.load_seconds:.2f} s")]
    return rows


def _comparison(comparison: "Comparison", measure: "Measure") -> list[str]:
    difference = comparison.difference
    between = f"{100 * difference.low:+.2f} to {100 * difference.high:+.2f}"
    return [
        f"{comparison.first} against {comparison.second}",
        *table(
            [
                (measure.name, f"{100 * difference.value:+.2f} percentage points, 95 % interval {between}"),
                ("compared on", number(comparison.utterances, "utterance")),
                ("different answers", _changed(comparison, measure)),
            ]
        ),
    ]


def _changed(comparison: "Comparison", measure: "Measure") -> str:
    if not comparison.changed:
        return "none"
    pairs = zip(comparison.changed, comparison.changes, strict=True)
    names = few([f"{changed.id} ({how})" for changed, how in pairs])
    return f"{number(len(comparison.changed), 'utterance')}; {measure.changes}: {names}"
