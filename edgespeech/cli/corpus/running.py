"""Running a bundle over a corpus for the commands: shards in a folder, by processes or over Ray."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgespeech_runtime.cli.display.output import number
from edgespeech_runtime.cli.interrupts import Interrupted

from edgespeech.cli.corpus.job import job_of
from edgespeech.cli.corpus.progress import CorpusProgress
from edgespeech.cli.errors import complain

if TYPE_CHECKING:
    from edgespeech_calib.corpus.job import Job
    from edgespeech_calib.corpus.output import Output, Summary
    from edgespeech_calib.corpus.running import Run
    from edgespeech_calib.corpus.shards import ArrayTask, Plan
    from edgespeech_calib.corpus.workers.pool import Pool

SOME_FAILED = 1


def transcribe_corpus(bundle: Path, options: Mapping[str, Any]) -> int:
    """Write the rows of a corpus that are not there yet; returns the exit code.

    Raises CommandError, CorpusError, DataError, BundleError, OSError and Interrupted.
    """
    folder, quiet = options["output_dir"], options["quiet"]
    summary, is_all = run_corpus(bundle, options["manifest"], folder, options)
    if not quiet:
        rows = f"{number(summary.rows, 'row')}, {summary.audio_seconds / 3600:.2f} h of sound in {folder}"
        hint = f"; join them with `edgespeech merge {folder}`" if is_all else ""
        print(f"  {rows}{hint}", file=sys.stderr, flush=True)
    if summary.failed:
        complain(f"{summary.failed} of {number(summary.rows, 'recording')} failed; their rows say why")
        return SOME_FAILED
    return 0


def run_corpus(bundle: Path, manifest: Path, folder: Path, options: Mapping[str, Any]) -> "tuple[Summary, bool]":
    """Run a bundle over a manifest. Returns what was to be written, and whether the folder has all shards now."""
    from edgespeech_calib.corpus.entries import open_corpus
    from edgespeech_calib.corpus.files import locked
    from edgespeech_calib.corpus.output import Output
    from edgespeech_calib.corpus.running import Run
    from edgespeech_calib.corpus.shards import Plan, default_shards, slurm_task
    from edgespeech_calib.errors import CorpusError

    job, corpus, task = job_of(bundle, options), open_corpus(manifest), slurm_task()
    output = Output(folder)
    default = default_shards(corpus.entries, 1 if task is None else task.count)
    shards = output.begin(job, corpus, options.get("shards"), default)
    plan = Plan(corpus.entries, shards, range(shards) if task is None else task.chosen(shards))
    with locked(folder, None if task is None else f"{task.index}-of-{task.count}"):
        if task is None:
            output.tidy()
        run = Run(corpus, plan, output, job)
        if not options["quiet"]:
            _announce(plan, task, run)
        if not run.missing:
            output.record()  # a run that was killed behind its last shard has not
        else:
            try:
                with _interruptible(output, plan):
                    _work(job, run, options)
            except CorpusError:
                if task is None:
                    output.forget()
                raise
    return run.summary, len(output.done(shards)) == shards


def _announce(plan: "Plan", task: "ArrayTask | None", run: "Run") -> None:
    if task is not None:
        own = number(len(plan.chosen), "shard")
        complain(f"task {task.index + 1} of {task.count} of a SLURM job array: {own} of {plan.shards}")
    there = len(plan.chosen) - run.missing
    if there:
        complain(f"{there} of {number(len(plan.chosen), 'shard')} are there already")


@contextlib.contextmanager
def _interruptible(output: "Output", plan: "Plan") -> Iterator[None]:
    """Let an interruption say what is there."""
    try:
        yield
    except Interrupted as stop:
        done = len(set(output.done(plan.shards)) & set(plan.chosen))
        stop.outcome = (
            f"; {done} of {number(len(plan.chosen), 'shard')} are in {output.folder}, the same command goes on"
        )
        output.record()
        raise


def _work(job: "Job", run: "Run", options: Mapping[str, Any]) -> None:
    doing = {"transcribe": "transcribing", "classify": "classifying", "frames": "classifying"}
    with (
        _pool(job, options) as pool,
        CorpusProgress(doing.get(job.method, "computing features"), options["quiet"]) as progress,
    ):
        run.run(pool, progress, progress.lost)


@contextlib.contextmanager
def _pool(job: "Job", options: Mapping[str, Any]) -> "Iterator[Pool]":
    """The workers, which do not outlive this. What Ray prints goes to stderr: stdout is for results."""
    if options["ray"] is None:
        from edgespeech_calib.corpus.workers.local import LocalPool

        local = LocalPool(job, options["workers"] or 1)
        with contextlib.closing(local):
            yield local
        return
    from edgespeech_calib.corpus.workers.over_ray import RayPool, start_ray, stop_ray

    with contextlib.redirect_stdout(sys.stderr):
        count = start_ray(options["ray"], options["workers"], job.threads or 1)
        try:
            over_ray = RayPool(job, count)
            with contextlib.closing(over_ray):
                yield over_ray
        finally:
            stop_ray()
