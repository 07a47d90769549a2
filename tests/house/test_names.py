"""The names that people import from edgespeech."""

import inspect

import pytest

import edgespeech


@pytest.mark.parametrize("name", edgespeech.__all__)
def test_every_public_name_is_there_and_explains_itself(name):
    assert inspect.getdoc(getattr(edgespeech, name))
    assert getattr(edgespeech, name).__doc__, f"{name} has no docstring of its own"
    assert getattr(edgespeech, name).__name__ == name


def test_no_name_is_listed_twice_and_all_are_in_order():
    assert edgespeech.__all__ == sorted(set(edgespeech.__all__))
    assert set(edgespeech.__all__) <= set(dir(edgespeech))


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Wav2Vec3"):
        _ = edgespeech.Wav2Vec3
