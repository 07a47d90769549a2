"""Spellings that are made alike, and those that are not."""

from typing import get_args

import pytest
from edgespeech_calib import normalise
from edgespeech_calib.scoring.normalisation import DESCRIPTIONS, Normalisation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", "HELLO WORLD"),
        ("  two \t spaces\n", "TWO SPACES"),
        ("don't", "DON'T"),
        ("don\u2019t", "DON'T"),  # as printers set it
        ("'quoted' \u2018too\u2019", "QUOTED TOO"),
        ("the dogs' tails", "THE DOGS TAILS"),
        ("well-known", "WELL KNOWN"),
        ("cafe\u0301", "CAF\u00c9"),  # a letter and an accent are one letter
        ("co\u00adoperate", "COOPERATE"),  # a soft hyphen
        ("stra\u00dfe", "STRASSE"),
        ("50 % + 3", "50 3"),
        ("...", ""),
        ("", ""),
    ],
)
def test_basic(text, expected):
    assert normalise(text, "basic") == expected
    assert normalise(expected, "basic") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Quilter is the apostle of the middle classes.", "MISTER QUILTER IS THE APOSTLE OF THE MIDDLE CLASSES"),
        ("Mrs Hale, Dr. Gibson", "MISSUS HALE DOCTOR GIBSON"),
        ("the Mr's hat, Drs. Mrx", "THE MR'S HAT DRS MRX"),  # other words stay
    ],
)
def test_english_writes_titles_as_they_are_read(text, expected):
    assert normalise(text, "english") == expected
    assert normalise(expected, "english") == expected


def test_none_changes_nothing():
    assert normalise(" A,  b ", "none") == " A,  b "


def test_each_way_is_described():
    assert set(DESCRIPTIONS) == set(get_args(Normalisation))
