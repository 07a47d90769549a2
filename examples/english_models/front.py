"""Stage 1: teach the front end Whisper's stem by regression: `python front.py TEACHER CORPUS OUT --minutes 12`.

First two convolutions learn the mel spectrogram through a linear map, which Whisper's first convolution then absorbs;
then the whole front end learns the stem's output.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from batches import Recordings
from clock import Clock
from student import features, front, new_encoder
from teacher import MELS, log_mel, stem, whisper
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import WhisperForConditionalGeneration

from edgespeech import Wav2Vec2Model

SHARES = {"librispeech": 0.45, "hibari": 0.15, "speechocean762": 0.15, "coffee": 0.1, "keywords": 0.06, "fsdd": 0.03,
          "dc_tts": 0.03, "ljspeech": 0.01, "noise": 0.02}  # fmt: skip
MEL_SHARE = 0.25  # of the time
ROWS, SECONDS = 8, 1.0

Loss = Callable[[Tensor], tuple[Tensor, float]]


def regress(
    loss: Loss, parameters: list[nn.Parameter], rate: float, minutes: float, data: Recordings, name: str
) -> None:
    """Minimise `loss` over random crops for `minutes`."""
    optimizer, clock = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0), Clock(minutes)
    errors = []
    for step in clock.steps():
        for group in optimizer.param_groups:
            group["lr"] = rate * max(clock.rate, 0.01)
        value, error = loss(data.batch(ROWS, SECONDS))
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        errors.append(error)
        if step % 200 == 199:
            print(
                f"{name}: {clock.progress:.0%}, step {step + 1}, relative error {sum(errors) / len(errors):.3f}",
                flush=True,
            )
            errors = []


def relative(guess: Tensor, target: Tensor) -> tuple[Tensor, float]:
    """Squared error over the target's variance (frames and rows), and its root."""
    variance = (target - target.mean((0, 1))).square().mean()
    error = (guess - target).square().mean() / variance.clamp_min(1e-3)
    return error, error.item() ** 0.5


@torch.no_grad()
def absorb(teacher: WhisperForConditionalGeneration, model: Wav2Vec2Model, mel: nn.Linear, data: Recordings) -> None:
    """Put Whisper's convolutions, behind the linear map to the mel spectrogram, into the last two layers.

    The layer norms behind them are undone on average, and the projection is a least-squares fit to the stem.
    """
    encoder, (first, second) = teacher.model.encoder, list(model.feature_extractor.conv_layers)[3:]
    first.conv.weight.copy_(torch.einsum("oik,ij->ojk", encoder.conv1.weight, mel.weight))
    first.conv.bias.copy_(encoder.conv1.bias + torch.einsum("oik,i->o", encoder.conv1.weight, mel.bias))
    second.conv.weight.copy_(encoder.conv2.weight)
    second.conv.bias.copy_(encoder.conv2.bias)
    waveform = data.batch(64, SECONDS)
    x = front(model, waveform, 3).transpose(1, 2)  # (batch, channels, frames)
    for layer in (first, second):
        raw = layer.conv(x)
        layer.layer_norm.weight.fill_(float(raw.std(1, unbiased=False).mean()))
        layer.layer_norm.bias.fill_(float(raw.mean(1).mean()))
        x = F.gelu(layer.layer_norm(raw))
    projection = model.feature_projection
    given = projection.layer_norm(x.transpose(1, 2)).flatten(0, 1).double()
    given = torch.cat([given, torch.ones(len(given), 1, dtype=torch.double)], 1)
    wanted = stem(teacher, waveform).flatten(0, 1).double()
    ridge = 1e-2 * torch.eye(given.shape[1], dtype=torch.double)
    solution = torch.linalg.solve(given.T @ given + ridge, given.T @ wanted).float()
    projection.projection.weight.copy_(solution[:-1].T)
    projection.projection.bias.copy_(solution[-1])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path, help="state file to write")
    parser.add_argument("--minutes", type=float, default=12, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    teacher, data = whisper(options.teacher), Recordings(options.corpus, SHARES, seed=0)
    model, mel = new_encoder(teacher), nn.Linear(128, MELS)

    def mel_loss(waveform: Tensor) -> tuple[Tensor, float]:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = front(model, waveform, 3)
        return relative(mel(hidden.float()), log_mel(waveform).transpose(1, 2))

    def stem_loss(waveform: Tensor) -> tuple[Tensor, float]:
        with torch.autocast("cpu", torch.bfloat16):
            guess = features(model, waveform)
        return relative(guess.float(), stem(teacher, waveform))

    convolutions = list(model.feature_extractor.conv_layers)
    learned = [*convolutions[1].parameters(), *convolutions[2].parameters(), *mel.parameters()]
    regress(mel_loss, learned, 2e-3, MEL_SHARE * options.minutes, data, "mel spectrogram")
    absorb(teacher, model, mel, data)
    learned = [*model.feature_extractor.parameters(), *model.feature_projection.parameters()]
    regress(stem_loss, learned, 7e-4, (1 - MEL_SHARE) * options.minutes, data, "stem")
    state = {name: value for name, value in model.state_dict().items() if name.startswith("feature_")}
    torch.save(state, options.out)


if __name__ == "__main__":
    main()
