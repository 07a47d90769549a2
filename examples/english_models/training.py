"""What the last stages share: groups of parameters with rates of their own, an average of the weights, and the loop."""

import argparse
import copy
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from clock import Clock
from labelled import Batch
from student import features
from torch import Tensor, nn

from edgespeech import Wav2Vec2Model

DECAY = 0.998  # of the average of the weights
AVERAGED = 60  # batches over which the means of the features are taken
LOG_STEPS = 50

Losses = dict[str, float]


class Trainer:
    """Minimises what `loss` gives, and keeps an exponential moving average of the weights of `model`."""

    def __init__(self, model: nn.Module, groups: dict[str, list[nn.Parameter]], rates: dict[str, float]) -> None:
        self.model, self.average = model, copy.deepcopy(model).eval()
        self._parameters = [parameter for group in groups.values() for parameter in group]
        settings = [{"params": group, "peak": rates[name]} for name, group in groups.items()]
        self._optimizer = torch.optim.AdamW(settings, betas=(0.9, 0.98), weight_decay=0.01)
        self._steps = 0

    def step(self, loss: Tensor, rate: float) -> None:
        """One update; `rate` is relative to the peak learning rates."""
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._steps += 1
        decay = min(DECAY, self._steps / (self._steps + 9))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    def run(
        self,
        batches: Iterable[Batch],
        loss: Callable[[Batch, float], tuple[Tensor, Losses]],
        save: Callable[[bool], None],
        options: argparse.Namespace,
    ) -> None:
        """Train for `options.minutes`: `loss` gets a batch and the progress, `save` is told whether it is the end."""
        clock, saved, logged = Clock(options.minutes, flat=options.flat), 0.0, list[Losses]()
        for step, batch in zip(clock.steps(), batches, strict=False):
            total, parts = loss(batch, clock.progress)
            self.step(total, clock.rate)
            logged.append(parts)
            if step % LOG_STEPS == LOG_STEPS - 1:
                means = (f"{name} {sum(part[name] for part in logged) / len(logged):.3f}" for name in parts)
                print(f"{clock.progress:.1%}, step {step + 1}: {', '.join(means)}", flush=True)
                logged = []
            if (clock.progress - saved) * options.minutes > options.eval_minutes:
                saved = clock.progress
                save(False)
        save(True)


def front_parameters(encoder: Wav2Vec2Model) -> list[nn.Parameter]:
    """The parameters of the front end."""
    return [*encoder.feature_extractor.parameters(), *encoder.feature_projection.parameters()]


def stages(encoder: Wav2Vec2Model, *files: Path) -> Wav2Vec2Model:
    """The encoder with what the stages before learned."""
    for file in files:
        encoder.load_state_dict({**encoder.state_dict(), **torch.load(file)})
    return encoder


@torch.no_grad()
def feature_means(encoder: Wav2Vec2Model, batches: Iterable[Batch]) -> Tensor:
    """The mean of the features (384,) over real frames of some batches."""
    total, count = torch.zeros(encoder.config.hidden_size), 0
    for batch, _ in zip(batches, range(AVERAGED), strict=False):
        given = features(encoder, batch.waveform)
        kept = given[torch.arange(given.shape[1]) < batch.frames[:, None]]
        total, count = total + kept.sum(0), count + len(kept)
    return total / count


def weights_file(out: Path) -> Path:
    """Where the weights lie before their positions are written into a convolution, for `--resume`."""
    return out.with_name(f"{out.name}.pt")


def command_line(description: str | None, *names: str) -> argparse.Namespace:
    """The options of a stage, with the paths `names`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=70, help="(%(default)s)")
    parser.add_argument("--eval-minutes", type=float, default=12, help="between scores (%(default)s)")
    parser.add_argument("--flat", type=float, default=0.4, help="share of the time before rates fall (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with the checkpoint OUT")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(2)
    return options
