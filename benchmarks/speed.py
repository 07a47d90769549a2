"""How long each way of running one CTC checkpoint takes, measured side by side.

python -m benchmarks.speed --json build/bench.json
"""

from functools import partial
from pathlib import Path

import click
import torch
from edgespeech_calib.errors import DataError
from rich.console import Console

from benchmarks import command
from benchmarks.contenders import Task, contenders
from benchmarks.measure import measure
from benchmarks.models import CHECKPOINT, StaleModelsError, models
from benchmarks.speech import Speech, default_set
from benchmarks.table import remarks, render
from benchmarks.workload import SEED, Size, write_checkpoint

CALIB_HELP = (
    "Recordings that INT8 is calibrated on [default: LibriSpeech train-clean-100 in ../shared/speech where it is, "
    "else the synthetic ones that come with edgespeech]."
)
NOTES = (
    "× eager, × plain, × float32: how many times as fast as the first torch row, and in the same engine as the "
    "plain export and our float32 bundle; × tool: as the first INT8 of the engine's own tools",
    "off by: largest difference of a logit from the first row's; of INT8, their signal-to-noise ratio",
    "share: of the size of our float32 bundle in the same engine",
)


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Of audio.")
@click.option("--calib", metavar="SET", help=CALIB_HELP)
@click.option("--samples", type=click.IntRange(min=1), default=32, show_default=True, help="Of them to calibrate on.")
@click.option(
    "--noise",
    type=click.FloatRange(min=0.0),
    default=0.0,
    show_default=True,
    help="Standard deviation of normal noise that is added to every parameter of the model.",
)
@command.shared_options(runs=10)
def main(
    json_file: Path | None,
    seconds: float,
    calib: str | None,
    samples: int,
    noise: float,
    runs: int,
    threads: int,
    size: Size,
    only: tuple[str, ...],
    folder: Path | None,
) -> None:
    """Time every way of running one wav2vec2 CTC checkpoint of random weights, interleaved, on this machine.

    All hear the same recordings, which INT8 was not calibrated on. Ends with 1 if some contender's logits disagree with
    the reference's: the speed of a wrong result is none.
    """
    torch.set_num_threads(threads)
    log = Console(stderr=True)
    try:
        speech = Speech.open(calib or default_set(), samples)
        made = {"size": size, "seed": SEED, "calibration": speech.data.name, "samples": samples, "noise": noise}
        with models(folder, made, partial(write_checkpoint, size=size, noise=noise)) as place:
            everyone = contenders(Task(place / CHECKPOINT, place, speech.waveform(seconds), threads, speech))
            chosen = command.choose(everyone, lambda each: each.title, only)
            result = measure(chosen, runs, lambda step: log.print(step, style="dim"))
    except StaleModelsError as error:
        raise click.BadParameter(str(error), param_hint="--models") from error
    except DataError as error:
        raise click.BadParameter(str(error), param_hint="--calib") from error
    calibration = {"set": speech.data.name, "samples": min(samples, len(speech.data))}
    facts = {**command.facts("speed", size, runs, threads), "audio_seconds": seconds, "noise": noise}
    facts["calibration"] = calibration
    command.show(
        f"wav2vec2 {size} with random weights, {seconds:g} s of audio, threads: {threads}, interleaved rounds: {runs}",
        render(result),
        remarks(result),
        facts,
        [
            f"load average before {result.load_before}, after {result.load_after}",
            f"calibration: {calibration['samples']} utterances of {calibration['set']}",
            *NOTES,
        ],
    )
    command.write(json_file, {**facts, **result.to_dict()})
    if not result.rows or not all(row.agrees for row in result.rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
