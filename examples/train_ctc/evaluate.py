"""Word and character error rates of a checkpoint on the held-out sets (greedy CTC, one utterance at a time).

python evaluate.py CHECKPOINT DATA
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
import torch
from augment import normalise
from data import Clip, Corpus
from vocabulary import decode

from edgespeech import Wav2Vec2ForCTC


@dataclass(frozen=True)
class Score:
    """Error rates in percent over `utterances`."""

    name: str
    utterances: int
    words: int
    wer: float
    cer: float

    def __str__(self) -> str:
        return f"{self.name}: WER {self.wer:.2f} CER {self.cer:.2f} ({self.utterances} utterances, {self.words} words)"


@torch.inference_mode()
def transcribe(model: Wav2Vec2ForCTC, corpus: Corpus, clip: Clip) -> str:
    """Greedy transcript of one clip."""
    audio = torch.from_numpy(normalise(corpus.audio(clip)))[None]
    return decode(model(audio).logits[0].argmax(-1).tolist())


def score(name: str, hypotheses: dict[Clip, str]) -> Score:
    """Pooled error rates: all errors over all words (characters)."""
    references = [clip.transcript for clip in hypotheses]
    words = sum(len(reference.split()) for reference in references)
    found = list(hypotheses.values())
    return Score(name, len(references), words, 100 * jiwer.wer(references, found), 100 * jiwer.cer(references, found))


def evaluate(model: Wav2Vec2ForCTC, corpus: Corpus, limit: int | None = None) -> Iterator[Score]:
    """Score each held-out set, on `limit` utterances drawn from it if given, and synthetic speech by voice too."""
    for name, clips in corpus.select("test").items():
        if limit is not None and len(clips) > limit:
            clips = random.Random(0).sample(clips, limit)
        hypotheses = {clip: transcribe(model, corpus, clip) for clip in clips}
        yield score(name, hypotheses)
        if name == "synthetic" and limit is None:
            for voice in sorted({voice_of(clip) for clip in clips}):
                part = {clip: text for clip, text in hypotheses.items() if voice_of(clip) == voice}
                yield score(f"{name} {voice}", part)


def voice_of(clip: Clip) -> str:
    """The synthetic voice without its variant: `espeak-en-gb` of `espeak-en-gb+f2`."""
    return clip.speaker.partition("+")[0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("--limit", type=int, help="utterances per set (all)")
    args = parser.parse_args()
    model = Wav2Vec2ForCTC.from_pretrained(args.checkpoint).float().eval()
    for result in evaluate(model, Corpus(args.data), args.limit):
        print(result, flush=True)


if __name__ == "__main__":
    main()
