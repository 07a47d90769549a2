"""Make the short synthetic samples that lie beside the checkpoint.

    python translator_samples.py OUT

OUT receives 16-bit WAV files at 16 kHz and `samples.tsv`, which gives the German words of each.
"""

import argparse
from pathlib import Path

import soundfile
from german import translate
from synthesis import RATE, espeak, flite, synthesize

SAMPLES = {
    "four-digits-espeak.wav": espeak("en-gb", "FOUR, ZERO, SEVEN, TWO"),
    "six-digits-espeak.wav": espeak("en-us", "THREE, ONE, FOUR, ONE, FIVE, NINE"),
    "repeated-digits-flite.wav": flite("slt", "EIGHT, EIGHT, SIX, SIX, SIX, FIVE"),
    "ten-digits-flite.wav": flite("slt", "ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE"),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, utterance in SAMPLES.items():
        soundfile.write(args.out / name, synthesize(utterance), RATE, subtype="PCM_16")
    texts = {name: translate(utterance.transcript.replace(",", "")) for name, utterance in SAMPLES.items()}
    rows = ["path\ttranscript", *(f"{name}\t{text}" for name, text in texts.items())]
    (args.out / "samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
