"""Fine-tune a speech checkpoint on a manifest.

CHECKPOINT is a CTC model, a classifier of recordings, an encoder-decoder, or an encoder that gets a fresh head.
MANIFEST is a table (.tsv, .csv, .jsonl) with `path`, and `text` or `label`. OUT gets the checkpoint, which
`edgespeech export` takes, and two manifests, `train.jsonl` and `held-out.jsonl`.
"""

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.utterance import Utterance
from edgespeech_runtime.errors import EdgeSpeechRuntimeError
from recordings import batches, opened, split, waveform, write_table
from tasks import CTC, Classification, EncoderDecoder, head_of
from torch import Tensor, nn

from edgespeech.errors import EdgeSpeechError

TASKS = {"ctc": CTC, "classification": Classification, "encoder-decoder": EncoderDecoder}
WARM_UP = 0.05  # of the time, in which the rate rises
FRESH = 10  # times the rate, for weights that were drawn
JITTER = 0.2  # by which lengths are blurred, so that batches change from pass to pass
LOG_STEPS = 50


def freeze(encoder: nn.Module, layers: int) -> None:
    """Take the convolutions out of training; with layers, all below the end of so many. Raises DataError."""
    stack, count = encoder.encoder, len(encoder.encoder.layers)
    if not 0 <= layers <= count:
        raise DataError(f"--freeze-encoder-layers {layers}: the encoder has {count} layers")
    if layers:
        encoder.requires_grad_(False)
        last = stack.layer_norm if encoder.config.do_stable_layer_norm else None
        for module in filter(None, [*stack.layers[layers:], encoder.adapter, last]):
            module.requires_grad_(True)
    encoder.freeze_feature_encoder()


def long_enough(part: list[Utterance], encoder: nn.Module, rate: int) -> list[Utterance]:
    """The recordings with a frame, or with as many as SpecAugment hides in one go. Raises DataError for none."""
    config = encoder.config
    frames = config.mask_time_length if config.apply_spec_augment and config.mask_time_prob > 0 else 1
    kept = [one for one in part if (one.seconds or 0) * rate >= encoder.samples(frames)]
    if not kept:
        raise DataError(f"no recording has the {encoder.samples(frames) / rate:.2f} s that training needs")
    print(f"{len(kept)} recordings to train on, {len(part) - len(kept)} are too short", flush=True)
    return kept


def inputs(task: Classification, batch: list[Utterance]) -> dict[str, Tensor]:
    """Waveforms (batch, samples) as the model takes them, and their mask."""
    rate = task.feature_extractor.sampling_rate
    waves = [waveform(one, rate).astype(np.float32) for one in batch]
    return dict(task.feature_extractor(waves, True, None, False, None, True, "pt", rate))


def train(task: Classification, part: list[Utterance], options: argparse.Namespace) -> None:
    """Minimise the loss with AdamW for the minutes or steps of the options; the rate rises shortly, then falls to 0."""
    named = [(name, weight) for name, weight in task.model.named_parameters() if weight.requires_grad]
    peaks = [options.rate * (FRESH if name in task.fresh else 1) for name, _ in named]
    optimizer = torch.optim.AdamW([{"params": [weight]} for _, weight in named], betas=(0.9, 0.98), weight_decay=0.01)
    has_bfloat16 = any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("_bf16"))
    begin, step, total, queue = time.monotonic(), 0, 0.0, list[list[Utterance]]()
    task.model.train()
    while (progress := max((time.monotonic() - begin) / 60 / options.minutes, step / (options.steps or 1e9))) < 1:
        queue = queue or batches(part, options.batch_seconds, JITTER)
        batch = queue.pop()
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16):
            loss = task.model(**inputs(task, batch), labels=task.labels([task.target(one) for one in batch])).loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([weight for _, weight in named], 1.0)
        optimizer.step()
        step, total = step + 1, total + float(loss.detach())
        if step % LOG_STEPS == 0:
            print(f"{progress:.0%}, step {step}: loss {total / LOG_STEPS:.3f}", flush=True)
            total = 0.0
    task.model.eval()


def fine_tune(options: argparse.Namespace) -> None:
    """Do what the command line says. Raises the errors of edgespeech and of its runtime."""
    if options.out.exists():
        raise DataError(f"{options.out} exists; remove it, or name another folder")
    torch.manual_seed(0)
    random.seed(0)
    given = opened(options.manifest)
    by_manifest = "classification" if any(one.label for one in given) else "ctc"
    kind = TASKS[options.task or head_of(options.checkpoint) or by_manifest]
    part = [one for one in given if kind.target(one)]
    print(f"{kind.__name__}: {len(given) - len(part)} of {len(given)} recordings have no {kind.column}")
    by_number = options.held_out.isdecimal()
    held_out = part if by_number else [one for one in opened(options.held_out) if kind.target(one)]
    if not part or not held_out:
        raise DataError(f"no {kind.column} for recordings to train on, or held out; give them, or another --task")
    if by_number:
        part, held_out = split(part, int(options.held_out))
    task = kind(options.checkpoint, [*part, *held_out])
    encoder = getattr(task.model, "encoder", task.model.base_model)
    freeze(encoder, options.freeze_encoder_layers)
    part = long_enough(part, encoder, task.feature_extractor.sampling_rate)
    train(task, part, options)
    for piece in task.saved:
        piece.save_pretrained(options.out)
    for name, those in (("train", part), ("held-out", held_out)):
        write_table(options.out / f"{name}.jsonl", those, kind.column, [kind.target(one) for one in those])
    targets, answers = [], []
    with torch.no_grad():
        for batch in batches(held_out, options.batch_seconds):
            targets += map(kind.target, batch)
            answers += task.answers(inputs(task, batch))
    print(f"{len(held_out)} recordings held out: {task.score(targets, answers)}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in {"checkpoint": str, "manifest": str, "out": Path}.items():
        parser.add_argument(name, type=kind, metavar=name.upper())
    option = parser.add_argument
    option("--task", choices=TASKS, help="by default that of the checkpoint's head, else by the manifest's columns")
    option("--held-out", default="10", metavar="N|MANIFEST", help="one speaker, or recording, in N (%(default)s)")
    option("--minutes", type=float, default=30, help="of training (%(default)s)")
    option("--steps", type=int, help="of training, if they end before the minutes do")
    option("--freeze-encoder-layers", type=int, default=0, metavar="N", help="keep the lowest N layers (%(default)s)")
    option("--rate", type=float, default=1e-4, help="of learning, at its peak; tenfold for fresh weights (%(default)s)")
    option("--batch-seconds", type=float, default=40, help="of sound in a batch (%(default)s)")
    options = parser.parse_args()
    if min(options.minutes, options.rate, options.batch_seconds, 1 if options.steps is None else options.steps) <= 0:
        parser.error("--minutes, --steps, --rate and --batch-seconds must be above 0")
    try:
        fine_tune(options)
    except (EdgeSpeechError, EdgeSpeechRuntimeError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
