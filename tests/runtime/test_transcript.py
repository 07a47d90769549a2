"""The result is a value: equal, unchangeable, and ready for JSON."""

import dataclasses
import json

import pytest
from edgespeech_runtime import Character, Transcript, Word


def test_to_dict_goes_through_json():
    transcript = Transcript("a b", [Word("a", 0.0, 0.5, 0.9)], [Character("a", 0.0, 0.5, 0.9)], 1.5)
    assert json.loads(json.dumps(transcript.to_dict())) == {
        "text": "a b",
        "words": [{"text": "a", "start": 0.0, "end": 0.5, "confidence": 0.9}],
        "characters": [{"text": "a", "start": 0.0, "end": 0.5, "confidence": 0.9}],
        "duration": 1.5,
    }


@pytest.mark.parametrize("value", [Word("a", 0, 1, 1), Character("a", 0, 1, 1), Transcript("a")])
def test_fields_cannot_be_set(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.text = "b"
