"""Give transcripts the case and punctuation that Whisper tiny.en writes: `python dictate.py TEACHER PART ...`.

The words stay the transcript's own. Where the teacher wrote the same word at the same place, its spelling is taken
(`Mr. Darcy,` for `MISTER DARCY`); other words are in lower case. Run in an environment that has `faster-whisper`.
"""

import argparse
import csv
import difflib
import re
import time
from dataclasses import asdict, replace
from pathlib import Path

from corpus import TABLE, Part, Utterance
from faster_whisper import WhisperModel

SPOKEN = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint"}  # as LibriSpeech writes them
LEVEL = 0.06  # root mean square of the waveform that the teacher gets


def plain(word: str) -> str:
    """A written word as a transcript has it."""
    letters = re.sub(r"[^a-z']", "", word.lower().replace("’", "'")).strip("'")
    return SPOKEN.get(letters, letters)


def restored(letters: str, written: str) -> str:
    """`letters` with the teacher's spelling of each word that it got right."""
    words = letters.lower().split()
    pieces = [piece for word in written.split() for piece in word.replace("-", "- ").split()]
    matcher = difflib.SequenceMatcher(None, words, [plain(piece) for piece in pieces], autojunk=False)
    result = ["I" if word == "i" else word for word in words]
    for block in matcher.get_matching_blocks():
        result[block.a : block.a + block.size] = pieces[block.b : block.b + block.size]
    text = re.sub(r"(?<=\w)- ", "-", " ".join(result)).strip()
    return text[:1].upper() + text[1:]


def label(model: WhisperModel, folder: Path, end: float) -> int:
    """Fill in `dictated` of a part's utterances until `time.monotonic()` is `end`; of how many that was done.

    What the rest had is taken away, so that nobody learns sentences without punctuation from a long part.
    """
    part, labelled, done = Part(folder), list[Utterance](), 0
    for utterance in part.utterances:
        if time.monotonic() < end:
            waveform = part.waveform(utterance) * LEVEL
            segments, _ = model.transcribe(
                waveform, beam_size=1, temperature=0.0, without_timestamps=True, condition_on_previous_text=False
            )
            written = "".join(segment.text for segment in segments).strip()
            labelled.append(replace(utterance, dictated=restored(utterance.letters, written)))
            done += 1
        else:
            labelled.append(replace(utterance, dictated=""))
    save(folder, labelled)
    return done


def save(folder: Path, utterances: list[Utterance]) -> None:
    """Replace the index of a part."""
    draft = folder / "index.tsv.part"
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(utterances[0])), **TABLE)
        writer.writeheader()
        writer.writerows(asdict(utterance) for utterance in utterances)
    draft.replace(folder / "index.tsv")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("parts", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=15, help="for all parts, in their order (%(default)s)")
    options = parser.parse_args()
    model = WhisperModel(str(options.teacher), device="cpu", compute_type="int8", cpu_threads=1)
    end = time.monotonic() + 60 * options.minutes
    for folder in options.parts:
        print(f"{folder.name}: {label(model, folder, end)} utterances", flush=True)


if __name__ == "__main__":
    main()
