"""Making spellings alike before texts are compared. Which way was taken belongs into every report."""

import unicodedata

from edgespeech.choices import Normalisation as Normalisation

DESCRIPTIONS: dict[Normalisation, str] = {
    "none": "texts as they are; words are parted by spaces",
    "basic": "upper case; punctuation and symbols become spaces, not apostrophes within words; single spaces",
    "english": "as basic, and abbreviated titles as they are read: MR is MISTER, MRS is MISSUS, DR is DOCTOR",
}
TITLES = {"MR": "MISTER", "MRS": "MISSUS", "DR": "DOCTOR"}  # as LibriSpeech writes them, whose transcripts are spoken
APOSTROPHES = "'\u2019\u02bc\uff07"  # they all become the first


def normalise(text: str, way: Normalisation) -> str:
    """Return a text in the spelling that `DESCRIPTIONS[way]` describes; all but `none` also compose letters (NFC)."""
    if way == "none":
        return text
    text = unicodedata.normalize("NFC", text).upper()
    letters = []
    for index, letter in enumerate(text):
        if letter in APOSTROPHES:
            is_within = 0 < index < len(text) - 1 and text[index - 1].isalnum() and text[index + 1].isalnum()
            letters.append(APOSTROPHES[0] if is_within else " ")
        elif unicodedata.category(letter) != "Cf":  # soft hyphens and the like, which nobody sees
            letters.append(" " if unicodedata.category(letter)[0] in "PSZC" else letter)
    words = "".join(letters).split()
    return " ".join([TITLES.get(word, word) for word in words] if way == "english" else words)
