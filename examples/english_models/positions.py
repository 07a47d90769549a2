"""Stage 2: teach the encoder to do without absolute positions: `python positions.py TEACHER CORPUS OUT --minutes 20`.

Whisper adds a sinusoid to each frame; wav2vec2 has a positional convolution (128 taps, 16 groups) instead, which tells
where a frame stands among its neighbours and nothing else. The students' layers and that convolution learn the
teacher's hidden states, less what these say of the absolute position alone: their mean at each position over many
utterances. The teacher's own stem stands for the front end, so that both stages can run side by side.
"""

import argparse
from pathlib import Path

import torch
from batches import Recordings
from clock import Clock
from front import SHARES
from student import frames_of, new_encoder, transform
from teacher import encode, stem, whisper
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import WhisperForConditionalGeneration

LENGTHS = (2.0, 4.0, 8.0, 14.0, 20.0)  # seconds of a batch's rows
SECONDS = 32.0  # of a batch
AVERAGED = 64  # rows of the longest length that the mean over utterances is taken from
WEIGHTS = (0.2, 0.2, 0.2, 0.2, 1.0)  # of the losses of the first layer's input and of each layer's output
SMOOTHING = 15  # frames


def smoothed(means: Tensor) -> Tensor:
    """A running mean over (frames, channels)."""
    half = SMOOTHING // 2
    padded = F.pad(means.T[None], (half, half), mode="replicate")
    return F.avg_pool1d(padded, SMOOTHING, 1)[0].T


@torch.no_grad()
def position_means(teacher: WhisperForConditionalGeneration, data: Recordings) -> list[Tensor]:
    """(frames, 384) for each hidden state: what is to be taken from it, so that its mean does not depend on time."""
    totals: list[Tensor] = []
    for _ in range(AVERAGED // 4):
        states = encode(teacher, stem(teacher, data.batch(4, LENGTHS[-1])))
        sums = [state.sum(0) for state in states]
        totals = [total + part for total, part in zip(totals, sums, strict=True)] if totals else sums
    means = [smoothed(total / AVERAGED) for total in totals]
    return [mean - mean.mean(0) for mean in means]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path, help="state file to write")
    parser.add_argument("--minutes", type=float, default=20, help="(%(default)s)")
    parser.add_argument("--rate", type=float, default=5e-4, help="peak learning rate (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    teacher, data = whisper(options.teacher), Recordings(options.corpus, SHARES, seed=1)
    model, means = new_encoder(teacher), position_means(teacher, data)
    parameters = list(model.encoder.parameters())
    optimizer, clock = (
        torch.optim.AdamW(parameters, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01),
        Clock(options.minutes),
    )
    errors = []
    for step in clock.steps():
        for group in optimizer.param_groups:
            group["lr"] = options.rate * max(clock.rate, 0.01)
        seconds = LENGTHS[int(data.rng.integers(len(LENGTHS)))]
        waveform = data.batch(max(1, round(SECONDS / seconds)), seconds)
        frames = frames_of(waveform.shape[1])
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            given = stem(teacher, waveform)
            wanted = [state.float() - mean[:frames] for state, mean in zip(encode(teacher, given), means, strict=True)]
        with torch.autocast("cpu", torch.bfloat16):
            states = transform(model, given)
        losses = [relative(state.float(), goal) for state, goal in zip(states, wanted, strict=True)]
        loss = sum(weight * value for weight, value in zip(WEIGHTS, losses, strict=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        errors.append([value.item() ** 0.5 for value in losses])
        if step % 50 == 49:
            average = torch.tensor(errors).mean(0).tolist()
            listed = " ".join(f"{value:.3f}" for value in average)
            print(f"{clock.progress:.0%}, step {step + 1}, relative errors {listed}", flush=True)
            errors = []
        if step % 500 == 499:
            torch.save(encoder_state(model), options.out)
    torch.save(encoder_state(model), options.out)


def relative(guess: Tensor, target: Tensor) -> Tensor:
    """Squared error over the target's variance."""
    variance = (target - target.mean((0, 1))).square().mean()
    return (guess - target).square().mean() / variance


def encoder_state(model: nn.Module) -> dict[str, Tensor]:
    """What this stage learns."""
    return {name: value for name, value in model.state_dict().items() if name.startswith("encoder.")}


if __name__ == "__main__":
    main()
