"""The language model that comes with ctc-en: what it does to word errors on real speech."""

import edgespeech_runtime
import pytest
from edgespeech_calib import open_set, score
from places import EMBEDDED, real_speech

RATE = 16000
UTTERANCES = 16  # of LibriSpeech test-other: about 300 words
SAVED = 0.15  # of the word errors of the greedy text


def test_it_is_small_and_lies_beside_its_card() -> None:
    folder = EMBEDDED / "ctc-en" / "language_model"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "attrs.json", "english.lm"]
    assert (folder / "english.lm").stat().st_size < 2_000_000
    assert "public domain" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_it_saves_word_errors(bundle) -> None:
    speech = open_set(str(real_speech("LibriSpeech/test-other"))).sample(UTTERANCES, seed=0)
    with edgespeech_runtime.load(bundle("ctc-en", "onnx")) as model:
        audio = [utterance.audio.read(RATE) for utterance in speech]
        greedy, searched = model.transcribe(audio), model.transcribe(audio, beams=100)
    said = [utterance.text or "" for utterance in speech]
    without, with_model = (score(said, [one.text for one in found]) for found in (greedy, searched))
    assert with_model.wer <= (1 - SAVED) * without.wer
