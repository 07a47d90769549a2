"""Stage 3 of dictation-en: digital silence. `python silence.py CORPUS CHECKPOINT OUT`.

Over zeros the front end's features are like no recording's, and the decoder wrote a digit. It learns to end at once
over zeros and the last bit of a converter, and keeps its distributions over recordings. The encoder stays as it is.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from checkpoints import save_dictation
from corpus import RATE, normalised
from dictation import SHARES, dictated
from labelled import Labelled
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from edgespeech import SpeechEncoderDecoderModel

LENGTHS = np.geomspace(0.3, 20.0, 24)  # seconds of silence
BATCHES, STEPS, SILENCES = 45, 140, 5  # of recordings; updates; silences in each
RATE_OF_LEARNING, KEEP = 1e-5, 3.0  # peak, and the weight of the loss that keeps the distributions


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpus", "checkpoint", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = SpeechEncoderDecoderModel.from_pretrained(options.checkpoint).float().eval()
    text = (options.checkpoint / "tokenizer.json").read_text(encoding="utf-8")
    config = model.generation_config
    prompt = torch.tensor([[config.decoder_start_token_id, config.forced_bos_token_id]])
    with torch.no_grad():
        silences = [model.encode(sound)[0] for seconds in LENGTHS for sound in silent(int(seconds * RATE), rng)]
        kept = recordings(model, options.corpus, Tokenizer.from_str(text), prompt)
    optimizer = torch.optim.AdamW(model.decoder.parameters(), lr=RATE_OF_LEARNING, weight_decay=0.0)
    for step in range(STEPS):
        inputs, where, states, mask, before = kept[step % len(kept)]
        after = model.decoder(inputs, encoder_hidden_states=states, encoder_attention_mask=mask).logits.log_softmax(-1)
        changed = (before.exp() * (before - after)).sum(-1)[where].mean()
        drawn = [silences[index] for index in rng.integers(0, len(silences), SILENCES)]
        first = [model.decoder(prompt, encoder_hidden_states=states).logits[0, -1] for states in drawn]
        ends = F.cross_entropy(torch.stack(first), torch.full((SILENCES,), config.eos_token_id))
        for group in optimizer.param_groups:
            group["lr"] = RATE_OF_LEARNING * (1 - step / STEPS)
        optimizer.zero_grad()
        (ends + KEEP * changed).backward()
        torch.nn.utils.clip_grad_norm_(model.decoder.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step}: end of silence {ends.item():.3f}, changed {changed.item():.4f}", flush=True)
    save_dictation(model, config, text, options.out)


def silent(samples: int, rng: np.random.Generator) -> list[Tensor]:
    """Zeros, and the last bit of a converter, each (1, samples)."""
    noise = normalised(rng.integers(-1, 2, samples).astype(np.float32))
    return [torch.zeros(1, samples), torch.from_numpy(noise)[None]]


def recordings(
    model: SpeechEncoderDecoderModel, corpus: Path, tokenizer: Tokenizer, prompt: Tensor
) -> list[tuple[Tensor, ...]]:
    """Decoder inputs, where they count, encoder states with their mask, and the decoder's log-probabilities."""
    end, decoder, batches = model.generation_config.eos_token_id, copy.deepcopy(model.decoder), []
    for batch, _ in zip(Labelled(corpus, SHARES, dictated, 16.0, seed=7), range(BATCHES), strict=False):
        rows = [tokenizer.encode(f" {text}", add_special_tokens=False).ids if text else [] for text in batch.texts]
        behind = [max(map(len, rows)) - len(row) for row in rows]
        inputs = torch.tensor([[*prompt[0], *row, *[end] * count] for row, count in zip(rows, behind, strict=True)])
        length = torch.tensor([len(row) + 2 for row in rows])
        place = torch.arange(inputs.shape[1])
        where = (place >= 1) & (place < length[:, None])
        states = model.encode(batch.waveform, torch.tensor(batch.samples))[0]
        mask = (torch.arange(states.shape[1]) < batch.frames[:, None]).long()
        logits = decoder(inputs, encoder_hidden_states=states, encoder_attention_mask=mask).logits
        batches.append((inputs, where, states, mask, logits.log_softmax(-1)))
    return batches


if __name__ == "__main__":
    main()
