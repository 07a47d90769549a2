"""Make the synthetic recordings that INT8 bundles of the embedded checkpoints are calibrated on.

    python make_calibration_set.py OUT

OUT receives a folder of FLAC files (8 bits, 16 kHz) and a manifest of the same name for each checkpoint: English
sentences, and strings of digits with their German words. The same programs give the same files.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile
from calibration_texts import SENTENCES, digit_strings

sys.path.append(str(Path(__file__).resolve().parents[1] / "train_ctc"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "train_translator"))

from german import translate
from synthesis import RATE, Utterance, synthesize

SENTENCES_SET, DIGITS_SET = "sentences-en", "digits-en-de"
STRINGS = 24
SEED = 4
PEAK = 0.5  # of full scale: what is louder takes more room, and the front end divides it out
# Voices and words a minute (espeak-ng) or stretch (flite); none of them speaks the samples.
VOICES = (
    ("espeak-ng", "en-gb-scotland", "185"),
    ("flite", "awb", "0.95"),
    ("espeak-ng", "en-us+f2", "200"),
    ("espeak-ng", "en-gb-x-rp", "175"),
    ("flite", "kal16", "1.00"),
    ("espeak-ng", "en-029", "190"),
    ("espeak-ng", "en-gb+m3", "180"),
    ("flite", "kal", "0.90"),
    ("espeak-ng", "en-us+m7", "195"),
    ("espeak-ng", "en-gb+f4", "170"),
)


def spoken(voice: tuple[str, str, str], text: str) -> Utterance:
    """`text` by a voice; it is transcript and speech alike."""
    program, name, pace = voice
    if program == "flite":
        command = ("flite", "-voice", name, "--setf", f"duration_stretch={pace}", "-t", text.lower())
    else:
        command = ("espeak-ng", "-v", name, "-s", pace, "--stdout", text.lower())
    return Utterance(text, f"{program}-{name}", command)


def sentences() -> Iterator[tuple[Utterance, str]]:
    """Each sentence and its transcript."""
    for voice, text in zip(cycle(VOICES), SENTENCES, strict=False):
        yield spoken(voice, text), text


def digits() -> Iterator[tuple[Utterance, str]]:
    """Each string, said with pauses between the digits, and its German words."""
    # one voice further each time round: lengths come in tens, and so do voices
    voices = (VOICES[(index + index // len(VOICES)) % len(VOICES)] for index in range(STRINGS))
    for voice, string in zip(voices, digit_strings(STRINGS, SEED), strict=True):
        yield spoken(voice, ", ".join(string)), translate(" ".join(string))


def write(out: Path, name: str, utterances: Iterator[tuple[Utterance, str]]) -> int:
    """Write a set, and return the bytes of its sound."""
    folder, rows, size = out / name, ["path\ttext\tspeaker"], 0
    folder.mkdir(parents=True, exist_ok=True)
    for index, (utterance, text) in enumerate(utterances, start=1):
        file = folder / f"{index:02}.flac"
        samples = synthesize(utterance).astype(np.float32)
        soundfile.write(file, PEAK * samples / np.abs(samples).max(), RATE, subtype="PCM_S8")
        rows.append(f"{name}/{file.name}\t{text}\t{utterance.voice}")
        size += file.stat().st_size
    (out / f"{name}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return size


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write")
    args = parser.parse_args()
    for name, utterances in ((SENTENCES_SET, sentences()), (DIGITS_SET, digits())):
        print(f"{name}: {write(args.out, name, utterances) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
