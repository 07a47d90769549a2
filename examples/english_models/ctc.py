"""Stage 2 of ctc-en: letters. `python ctc.py TEACHER CORPUS SPEECH FRONT OUT --minutes 60`.

The front end of stage 1 gets Whisper's encoder layers and positions, and two more layers behind them. These learn
first, over Whisper's states as they are, then Whisper's layers with them; the front end stays as it is. The loss is
CTC's on the last layer, and a smaller one behind Whisper's layers through a head that is thrown away
(https://arxiv.org/abs/2102.03216). OUT is a checkpoint folder in the Hugging Face format.
"""

import argparse
from collections.abc import Callable

import torch
from checkpoints import save_ctc
from corpus import Utterance
from labelled import Batch, Labelled, masked
from letters import BLANK, IDS, decode, encode
from scoring import Wave, report
from student import LAYERS, SIZE, encoder_settings, features, new_encoder, transform, write_positions
from teacher import whisper
from torch import Tensor, nn
from torch.nn import functional as F
from training import Losses, Trainer, command_line, feature_means, stages, weights_file
from transformers import WhisperForConditionalGeneration

from edgespeech import Wav2Vec2Config, Wav2Vec2ForCTC

SHARES = {"librispeech": 0.13, "hibari": 0.52, "kokoro": 0.04, "flite": 0.03, "speechocean762": 0.13, "coffee": 0.04,
          "keywords": 0.04, "fsdd": 0.02, "dc_tts": 0.02, "ljspeech": 0.005, "noise": 0.02}  # fmt: skip
SECONDS = 32.0  # of a batch
RATES = {"new": 5e-4, "encoder": 5e-5}  # peak learning rates: of the new layers and the heads, of Whisper's layers
MASKED = 0.06  # share of the frames that SpecAugment hides, at first
NEW_LAYERS = 2
ALONE = 0.15  # share of the time in which the new layers learn alone
HALF_WEIGHT = 0.3  # of the loss behind Whisper's layers


class Letters(nn.Module):
    """The model and the head that helps in training."""

    def __init__(self, model: Wav2Vec2ForCTC, positions: Tensor, alone: float) -> None:
        super().__init__()
        self.alone = alone  # share of the time in which the new layers learn alone
        self.model, self.positions = model, positions
        self.helper = nn.Sequential(nn.LayerNorm(SIZE), nn.Linear(SIZE, len(IDS)))

    def loss(self, batch: Batch, labelled: Labelled, progress: float) -> Tensor:
        """CTC loss per letter; masks become rarer as training goes on."""
        encoder, frames = self.model.wav2vec2, batch.frames
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                given = masked(features(encoder, batch.waveform).float(), labelled.rng, MASKED * (1 - progress))
            states = transform(encoder, given, frames, self.positions, frozen=LAYERS if progress < self.alone else 0)
        labels = [encode(text) for text in batch.texts]
        last = ctc_loss(self.model.lm_head(states[-1].float()), frames, labels)
        half = ctc_loss(self.helper(states[LAYERS].float()), frames, labels)
        return (1 - HALF_WEIGHT) * last + HALF_WEIGHT * half


def ctc_loss(logits: Tensor, frames: Tensor, labels: list[list[int]]) -> Tensor:
    """The loss (rows, frames, vocabulary) -> a number per letter; rows without letters count a letter a second."""
    flat = torch.tensor([letter for row in labels for letter in row], dtype=torch.long)
    counts = torch.tensor([len(row) for row in labels])
    log_probabilities = logits.log_softmax(-1).transpose(0, 1)
    total = F.ctc_loss(log_probabilities, flat, frames, counts, BLANK, reduction="sum", zero_infinity=True)
    return total / (counts.sum() + frames[counts == 0].sum() / 50)


def settings(taps: int = 128, groups: int = 16) -> Wav2Vec2Config:
    """The configuration, with the positional convolution's shape."""
    ids = {"pad_token_id": BLANK, "bos_token_id": IDS["<s>"], "eos_token_id": IDS["</s>"]}
    ctc = {"ctc_zero_infinity": True, "ctc_loss_reduction": "mean", "apply_spec_augment": False}
    return Wav2Vec2Config(vocab_size=len(IDS), **encoder_settings(taps, groups, LAYERS + NEW_LAYERS), **ids, **ctc)


def start(teacher: WhisperForConditionalGeneration, options: argparse.Namespace) -> Wav2Vec2ForCTC:
    """The front end of the stage before with Whisper's layers, or the weights of an interrupted run."""
    model = Wav2Vec2ForCTC(settings())
    model.wav2vec2.load_state_dict(stages(new_encoder(teacher, LAYERS + NEW_LAYERS), options.front).state_dict())
    nn.init.normal_(model.lm_head.weight, std=0.02)
    nn.init.zeros_(model.lm_head.bias)
    if options.resume:
        model.load_state_dict(torch.load(weights_file(options.out)))
    return model


def finished(model: Wav2Vec2ForCTC, positions: Tensor, labelled: Labelled) -> Wav2Vec2ForCTC:
    """`model` with its positions in the positional convolution."""
    result = Wav2Vec2ForCTC(settings(2 * len(positions), SIZE)).eval()
    encoder = write_positions(model.wav2vec2, positions, feature_means(model.wav2vec2, labelled))
    result.wav2vec2.load_state_dict(encoder.state_dict())
    result.lm_head.load_state_dict(model.lm_head.state_dict())
    return result


def main() -> None:
    """Command line."""
    options = command_line(__doc__, "teacher", "corpus", "speech", "front", "out")
    teacher = whisper(options.teacher)
    positions = teacher.model.encoder.embed_positions.weight
    letters = Letters(start(teacher, options), positions, 0.0 if options.resume else ALONE)
    model, encoder = letters.model, letters.model.wav2vec2
    old, new = encoder.encoder.layers[:LAYERS], encoder.encoder.layers[LAYERS:]
    heads = [encoder.encoder.layer_norm, model.lm_head, letters.helper]
    groups = {
        "new": [parameter for part in (*new, *heads) for parameter in part.parameters()],
        "encoder": list(old.parameters()),
    }
    trainer = Trainer(model, groups, RATES)
    labelled = Labelled(options.corpus, SHARES, spelled, SECONDS, seed=2)

    def loss(batch: Batch, progress: float) -> tuple[Tensor, Losses]:
        value = letters.loss(batch, labelled, progress)
        return value, {"loss": value.item()}

    def save(ended: bool) -> None:
        torch.save(trainer.average.state_dict(), weights_file(options.out))
        if ended:
            save_ctc(finished(trainer.average, positions, labelled), options.out)
        transcribe = transcriber(trainer.average, positions)
        print(report(transcribe, options.speech, options.corpus, limit=60 if ended else 20), flush=True)

    trainer.run(labelled, loss, save, options)


def spelled(utterance: Utterance) -> str:
    """What CTC learns of an utterance."""
    return utterance.letters


def transcriber(model: Wav2Vec2ForCTC, positions: Tensor) -> Callable[[Wave], str]:
    """Greedy decoding of one waveform."""

    @torch.no_grad()
    def transcribe(waveform: Wave) -> str:
        given = features(model.wav2vec2, torch.from_numpy(waveform)[None])
        logits = model.lm_head(transform(model.wav2vec2, given, positions=positions)[-1])
        return decode(logits[0].argmax(-1).tolist())

    return transcribe


if __name__ == "__main__":
    main()
