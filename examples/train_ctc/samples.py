"""Make the short synthetic samples that lie beside the checkpoint.

    python samples.py DATA OUT

Chosen by kind, not by how well they go: the first two held-out sentences of seven or eight words, a digit string and
a wake word. OUT receives 16-bit WAV files at 16 kHz and `samples.tsv`.
"""

import argparse
from pathlib import Path

import soundfile
from data import RATE, Corpus
from synthesis import Utterance, synthesize

SENTENCE_WORDS = (7, 8)


def held_out_sentences(corpus: Corpus) -> list[str]:
    """The held-out synthetic transcripts of seven or eight words."""
    texts = [clip.transcript for clip in corpus.select("test")["synthetic"]]
    return [text for text in texts if len(text.split()) in SENTENCE_WORDS]


def espeak(voice: str, transcript: str) -> Utterance:
    """`transcript` as espeak-ng says it without being told more than the voice."""
    return Utterance(transcript, voice, ("espeak-ng", "-v", voice, "--stdout", transcript.lower()))


def flite(voice: str, transcript: str) -> Utterance:
    """`transcript` as flite says it."""
    return Utterance(transcript, voice, ("flite", "-voice", voice, "-t", transcript.lower()))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("out", type=Path, help="folder to write")
    args = parser.parse_args()
    first, second, *_ = held_out_sentences(Corpus(args.data))
    samples = {
        "sentence-espeak.wav": espeak("en-us", first),
        "sentence-flite.wav": flite("slt", second),
        "digits-espeak.wav": espeak("en-gb", "THREE ONE FOUR ONE FIVE NINE"),
        "wake-word-flite.wav": flite("rms", "COMPUTER"),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for name, utterance in samples.items():
        soundfile.write(args.out / name, synthesize(utterance), RATE, subtype="PCM_16")
    rows = ["path\ttranscript", *(f"{name}\t{utterance.transcript}" for name, utterance in samples.items())]
    (args.out / "samples.tsv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
