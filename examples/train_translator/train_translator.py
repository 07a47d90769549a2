"""Train digits-en-de within a given time: the learning rate follows the clock, and so does the length of the strings.

python train_translator.py DATA CTC OUT --minutes 38
"""

import argparse
import copy
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from batches import Batch, Batches
from corpus import Corpus
from german import DIGITS
from positions import FourierConv1d
from score_translator import evaluate
from strings import IGNORED
from torch import Tensor, nn
from torch.nn import functional as F
from training import Average, Clock, log
from translator import SLOT, make_model, save_checkpoint

from edgespeech import SpeechEncoderDecoderModel

EARLY_LAYER = 2  # its states too are to tell digits apart
EARLY_WEIGHT, WORD_WEIGHT, GUIDE_WEIGHT = 0.3, 0.7, 0.5  # of the helping losses
LOOK = 20  # frames to either side of a slot's middle that its token is to depend on
APART_UNTIL = 0.03  # progress until which the encoder learns from its own losses alone
REPLAYS = 2  # updates of the decoder alone, on states of earlier batches, per update of all
REMEMBERED = 40  # batches of such states
FIT_BATCHES = 12
LOG_STEPS = 20


@dataclass(frozen=True)
class Options:
    """What one training run needs to know."""

    data: Path
    ctc: Path
    out: Path
    minutes: float
    seconds_per_step: float
    encoder_rate: float
    decoder_rate: float
    seed: int
    save_minutes: float
    resume: bool


class Helpers(nn.Module):
    """Heads that say of each frame which digit it is in, if any; thrown away after training.

    One stands on the states that the decoder sees, the other on those of an earlier layer.
    """

    def __init__(self, encoder_size: int, size: int) -> None:
        super().__init__()
        self.early = nn.Linear(encoder_size, len(DIGITS) + 1)
        self.words = nn.Linear(size, len(DIGITS) + 1)

    def loss(self, early: Tensor, states: Tensor, batch: Batch) -> Tensor:
        """Weighted sum of both; `early` (batch, frames, encoder_size), `states` (batch, frames, size)."""
        words = spoken(batch.words, batch.places[:, : states.shape[1]])
        return EARLY_WEIGHT * frame_loss(self.early(early), words) + WORD_WEIGHT * frame_loss(self.words(states), words)


def spoken(words: Tensor, places: Tensor) -> Tensor:
    """Of words (batch, longest), those at `places` (batch, frames); 0 where a place is negative."""
    return words.gather(1, places.clamp(min=0)).where(places >= 0, 0)


def guide_loss(attentions: Iterable[Tensor], frames: int, slots: int) -> Tensor:
    """How little the decoder looks at frames around each slot; `attentions` are (rows, heads, tokens, frames)."""
    middles = (torch.arange(slots) + 0.5) * SLOT
    near = ((torch.arange(frames) - middles[:, None]).abs() < LOOK).float()
    known = near.sum(-1) > SLOT
    masses = [(weights[:, :, :slots].float().mean(1) * near).sum(-1)[:, known] for weights in attentions]
    return -torch.stack(masses).clamp(min=1e-6).log().mean()


def frame_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of (batch, frames, classes) against (batch, frames)."""
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


class Trainer:
    """Model, helpers, optimizers and the average, and one step of them."""

    def __init__(self, options: Options, audio: Iterable[Tensor]) -> None:
        torch.manual_seed(options.seed)
        self.model = make_model(options.ctc, audio).train()
        self.model.freeze_feature_encoder()
        self.helpers = Helpers(self.model.encoder.config.hidden_size, self.model.decoder.hidden_size)
        self.average = Average(self.model, decay=0.995)
        self.clock = Clock(options.minutes)
        self._memory: deque[tuple[Tensor, Tensor]] = deque(maxlen=REMEMBERED)
        self._rng = np.random.default_rng(options.seed)
        encoder = list(self.model.encoder.parameters())
        decoder = [*self.model.decoder.parameters(), *self.model.enc_to_dec_proj.parameters()]
        self.encoder = self._adam(encoder, options.encoder_rate)
        self.decoder = self._adam([*decoder, *self.helpers.parameters()], options.decoder_rate)

    @staticmethod
    def _adam(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        adam = torch.optim.AdamW(list(parameters), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        adam.param_groups[0]["peak"] = rate
        return adam

    def step(self, batch: Batch) -> dict[str, float]:
        """One update of everything, then some of the decoder alone; returns the losses."""
        with torch.autocast("cpu", torch.bfloat16):
            encoded, early = self._encode(batch.audio)
            helping = self.helpers.loss(early, self.model.enc_to_dec_proj(encoded), batch)
            # What a fresh decoder asks for would undo what the encoder knows.
            shown = encoded if self.clock.progress > APART_UNTIL else encoded.detach()
            output = self.model(encoder_outputs=(shown,), labels=batch.labels, output_attentions=True)
            guide = guide_loss(output.cross_attentions, encoded.shape[1], encoded.shape[1] // SLOT)
        (output.loss + helping + GUIDE_WEIGHT * guide).backward()
        self._update(self.encoder, self.decoder)
        self._memory.append((encoded.detach(), batch.labels))
        for _ in range(REPLAYS):
            self._replay()
        self.average.update()
        return {"loss": output.loss.item(), "helpers": helping.item(), "guide": guide.item()}

    def _encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's states and those of an earlier layer, the positional convolution computed the fast way."""
        positions = self.model.encoder.encoder.pos_conv_embed
        slow = positions.conv
        positions.conv = FourierConv1d(slow)
        try:
            output = self.model.encoder(audio, output_hidden_states=True)
            return output.last_hidden_state, output.hidden_states[EARLY_LAYER]
        finally:
            positions.conv = slow

    def _replay(self) -> None:
        """One update of the decoder and the projection on states that the encoder gave a while ago."""
        encoded, labels = self._memory[self._rng.integers(len(self._memory))]
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.model(encoder_outputs=(encoded,), labels=labels).loss
        loss.backward()
        self._update(self.decoder)

    def _update(self, *optimizers: torch.optim.Optimizer) -> None:
        rate = self.clock.rate()
        for optimizer in optimizers:
            group = optimizer.param_groups[0]
            group["lr"] = group["peak"] * rate
            nn.utils.clip_grad_norm_(group["params"], 1.0)
            optimizer.step()
            optimizer.zero_grad()

    def save_state(self, path: Path) -> None:
        """Write everything that `load_state` needs to go on."""
        states = {name: getattr(self, name).state_dict() for name in ("model", "helpers", "encoder", "decoder")}
        torch.save(states | {"average": self.average.averaged.state_dict(), "minutes": self.clock.minutes}, path)

    def load_state(self, path: Path) -> None:
        """Go on where the run that wrote `path` was."""
        state = torch.load(path, weights_only=True)
        for name in ("model", "helpers", "encoder", "decoder"):
            getattr(self, name).load_state_dict(state[name])
        self.average.averaged.load_state_dict(state["average"])
        self.clock.resume(state["minutes"])


def train(options: Options) -> None:
    """Train until the time is used up; save and score on the way and at the end."""
    corpus = Corpus(options.data)
    trainer = Trainer(options, first_audio(options))
    state = options.out.with_name(f"{options.out.name}-state.pt")
    if options.resume:
        trainer.load_state(state)
    clock, save_at = trainer.clock, trainer.clock.minutes + options.save_minutes
    sums: dict[str, float] = {}
    batches = Batches(options.data, options.seconds_per_step, options.seed + options.resume, clock)
    for step, batch in enumerate(batches, 1):
        for name, value in trainer.step(batch).items():
            sums[name] = sums.get(name, 0.0) + value
        if step % LOG_STEPS == 0:
            losses = ", ".join(f"{name} {value / LOG_STEPS:.3f}" for name, value in sums.items())
            log(f"{clock.minutes:.1f} min, step {step}, {losses}")
            sums.clear()
        clock.tick()
        if clock.minutes > save_at or clock.progress == 1:
            trainer.save_state(state)
            save_checkpoint(trainer.average.averaged, options.out)
            report(trainer.average.averaged, corpus)
            save_at = clock.minutes + options.save_minutes
        if clock.progress == 1:
            return


def first_audio(options: Options) -> list[Tensor]:
    """Some rows to fit the encoder's new part on."""
    batches = Batches(options.data, options.seconds_per_step, options.seed, Clock(options.minutes))
    return [batch.audio for batch in islice(batches, FIT_BATCHES)]


def report(model: SpeechEncoderDecoderModel, corpus: Corpus) -> None:
    """Print the scores of a copy of `model` on a few strings of each kind."""
    for score in evaluate(copy.deepcopy(model).eval(), corpus, strings=30):
        log(str(score))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that prepare_digits.py wrote")
    parser.add_argument("ctc", type=Path, help="CTC checkpoint whose encoder is the beginning")
    parser.add_argument("out", type=Path, help="checkpoint folder to write")
    parser.add_argument("--minutes", type=float, default=38, help="time to train (%(default)s)")
    parser.add_argument("--seconds-per-step", type=float, default=24, help="audio per update (%(default)s)")
    parser.add_argument("--encoder-rate", type=float, default=4e-4, help="peak learning rate (%(default)s)")
    parser.add_argument("--decoder-rate", type=float, default=1.5e-3, help="peak learning rate (%(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run last saved")
    parser.add_argument("--save-minutes", type=float, default=5, help="between checkpoints and scores (%(default)s)")
    options = vars(parser.parse_args())
    torch.set_num_threads(options.pop("threads"))
    options["out"] = options["out"].resolve()
    train(Options(**options))


if __name__ == "__main__":
    main()
