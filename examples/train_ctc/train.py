"""Train ctc-en-small from scratch, within a given time: the learning rate follows the clock, not the step count.

torchrun --nproc-per-node 2 train.py DATA OUT --minutes 95
"""

import argparse
import copy
import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import parallel
import torch
from data import Batch, Batches, Corpus
from evaluate import evaluate
from model import make_config, save_checkpoint
from torch.nn import functional as F
from torch.utils.data import DataLoader
from vocabulary import BLANK, IDS

from edgespeech import Wav2Vec2ForCTC

WARMUP = 0.015  # share of the time
INTERMEDIATE_LAYER = 3  # its output gets a CTC loss too, through a head that is thrown away
INTERMEDIATE_WEIGHT = 0.3
LOG_STEPS = 50

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


@dataclass(frozen=True)
class Options:
    """What one training run needs to know."""

    data: Path
    out: Path
    minutes: float
    seconds_per_step: float
    muon_rate: float
    adam_rate: float
    seed: int
    save_minutes: float
    eval_minutes: float
    resume: bool
    rank: int


class Clock:
    """Progress through the time budget, from 0 to 1. It stands still between calls of `tick`."""

    def __init__(self, minutes: float) -> None:
        self._start, self._budget, self.minutes = time.monotonic(), minutes * 60, 0.0

    def resume(self, minutes: float) -> None:
        """Go on where an interrupted run stopped."""
        self._start, self.minutes = time.monotonic() - minutes * 60, minutes

    def tick(self) -> None:
        """Read the time: the minutes since the start, the same in all processes."""
        self.minutes = parallel.agree((time.monotonic() - self._start) / 60)

    @property
    def progress(self) -> float:
        """Share of the budget that is used up."""
        return min(1.0, self.minutes * 60 / self._budget)

    def rate(self) -> float:
        """Learning rate relative to its peak: a linear warm-up, then half a cosine to zero."""
        if self.progress < WARMUP:
            return self.progress / WARMUP
        return 0.5 * (1 + math.cos(math.pi * (self.progress - WARMUP) / (1 - WARMUP)))


class Average(Generic[ModelT]):
    """Exponential moving average of the weights."""

    def __init__(self, model: ModelT, decay: float = 0.999) -> None:
        self._model, self._decay, self._steps = model, decay, 0
        self.averaged = copy.deepcopy(model).eval()

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the model; fast at first."""
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 10))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self._model.parameters()), 1 - decay)


def ctc_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """CTC loss per label. `logits` (rows, frames, vocabulary), `labels` (rows, longest) padded with -100."""
    log_probabilities = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    frames = torch.full((logits.shape[0],), logits.shape[1], dtype=torch.long)
    lengths = (labels >= 0).sum(-1)
    total = F.ctc_loss(log_probabilities, labels, frames, lengths, BLANK, reduction="sum", zero_infinity=True)
    return total / lengths.sum().clamp(min=1)


def transformer_matrices(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters that Muon trains."""
    named = model.named_parameters()
    return [parameter for name, parameter in named if parameter.ndim == 2 and "encoder.layers" in name]


def make_optimizers(model: torch.nn.Module, options: Options) -> list[torch.optim.Optimizer]:
    """Muon for the transformer's matrices, AdamW for all else (convolutions, norms, biases, heads).

    Muon's work is shared: each process updates its part of the matrices.
    """
    matrices = transformer_matrices(model) if options.muon_rate > 0 else []
    known = {id(matrix) for matrix in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    adam = torch.optim.AdamW(others, lr=options.adam_rate, betas=(0.9, 0.98), weight_decay=0.01)
    optimizers: list[torch.optim.Optimizer] = [adam]
    if matrices:
        mine = matrices[options.rank :: parallel.size()]
        muon = torch.optim.Muon(mine, lr=options.muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
        optimizers.append(muon)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


class Trainer:
    """Model, head of the intermediate loss, optimizers and the average, and one step of them."""

    def __init__(self, options: Options) -> None:
        torch.manual_seed(options.seed)
        self.model = Wav2Vec2ForCTC(make_config()).train()
        self.head = torch.nn.Linear(self.model.config.hidden_size, len(IDS))
        modules = torch.nn.ModuleList([self.model, self.head])
        self.parameters = list(modules.parameters())
        self.matrices = transformer_matrices(modules) if options.muon_rate > 0 else []
        self.optimizers = make_optimizers(modules, options)
        self.average = Average(self.model)
        self.clock = Clock(options.minutes)

    def step(self, batch: Batch) -> float:
        """One update; returns the loss of the last layer."""
        with torch.autocast("cpu", torch.bfloat16):
            output = self.model(batch.audio, output_hidden_states=True)
            intermediate = self.head(output.hidden_states[INTERMEDIATE_LAYER])
        loss = ctc_loss(output.logits, batch.labels)
        auxiliary = ctc_loss(intermediate, batch.labels)
        ((1 - INTERMEDIATE_WEIGHT) * loss + INTERMEDIATE_WEIGHT * auxiliary).backward()
        self._update()
        self.average.update()
        return loss.item()

    def _update(self) -> None:
        """Step all optimizers with the gradients of all processes."""
        parallel.mean_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        rate = self.clock.rate()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate
            optimizer.step()
        parallel.gather(self.matrices)
        for parameter in self.parameters:
            parameter.grad = None

    def save_state(self, path: Path) -> None:
        """Write everything that `load_state` needs to go on."""
        modules = [module.state_dict() for module in self._modules()]
        optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        torch.save({"modules": modules, "optimizers": optimizers, "minutes": self.clock.minutes}, path)

    def load_state(self, path: Path) -> None:
        """Go on where the run that wrote `path` was."""
        state = torch.load(path, weights_only=True)
        for module, values in zip(self._modules(), state["modules"], strict=True):
            module.load_state_dict(values)
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self.clock.resume(state["minutes"])

    def _modules(self) -> list[torch.nn.Module]:
        return [self.model, self.head, self.average.averaged]


def batches(options: Options) -> Iterator[Batch]:
    """Training batches, made in a process beside this one."""
    data = Batches(options.data, options.seconds_per_step / parallel.size(), options.seed, options.rank)
    return iter(DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=8))


def train(options: Options) -> None:
    """Train until the time is used up; the first process saves and scores on the way and at the end."""
    trainer, corpus, supply = Trainer(options), Corpus(options.data), batches(options)
    clock, losses, step = trainer.clock, deque[float](maxlen=LOG_STEPS), 0
    state = options.out.with_name(f"{options.out.name}-state-{options.rank}.pt")
    if options.resume:
        trainer.load_state(state)
    save_at, eval_at = clock.minutes + options.save_minutes, clock.minutes + options.eval_minutes
    while clock.progress < 1:
        losses.append(trainer.step(next(supply)))
        clock.tick()
        step += 1
        if step % LOG_STEPS == 0 and options.rank == 0:
            log(f"{clock.minutes:.1f} min, step {step}, loss {sum(losses) / LOG_STEPS:.3f}")
        if clock.minutes > save_at or clock.progress == 1:
            trainer.save_state(state)
            save_at = clock.minutes + options.save_minutes
            if options.rank == 0:
                save_checkpoint(trainer.average.averaged, options.out)
        if clock.minutes > eval_at or clock.progress == 1:
            eval_at = clock.minutes + options.eval_minutes
            if options.rank == 0:
                report(trainer.average.averaged, corpus)


def log(line: str) -> None:
    """Print `line` with the time of day."""
    print(time.strftime("%H:%M:%S"), line, flush=True)


def report(model: Wav2Vec2ForCTC, corpus: Corpus) -> None:
    """Print the scores of `model` on 60 utterances of each held-out set."""
    for result in evaluate(model, corpus, limit=60):
        log(str(result))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("out", type=Path, help="checkpoint folder to write")
    parser.add_argument("--minutes", type=float, default=95, help="time to train (%(default)s)")
    parser.add_argument("--seconds-per-step", type=float, default=32, help="audio per update (%(default)s)")
    parser.add_argument("--muon-rate", type=float, default=2e-3, help="peak rate, 0: AdamW for all (%(default)s)")
    parser.add_argument("--adam-rate", type=float, default=1e-3, help="peak rate (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="per process (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run last saved")
    parser.add_argument("--save-minutes", type=float, default=5, help="between checkpoints (%(default)s)")
    parser.add_argument("--eval-minutes", type=float, default=10, help="between scores (%(default)s)")
    options = vars(parser.parse_args())
    options["out"] = options["out"].resolve()
    torch.set_num_threads(options.pop("threads"))
    rank, _ = parallel.start()
    train(Options(rank=rank, **options))


if __name__ == "__main__":
    main()
