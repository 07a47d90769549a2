"""The export of one language out of a checkpoint with many."""

from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
import torch
from checkpoints import LANGUAGES, make_multilingual
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.audio.waveform import normalize

from edgespeech import Wav2Vec2CTCTokenizer, Wav2Vec2ForCTC
from edgespeech.errors import MissingFileError


def test_a_language_brings_its_adapter_and_its_vocabulary(tmp_path: Path) -> None:
    checkpoint = make_multilingual(tmp_path / "checkpoint")
    export(checkpoint, tmp_path / "bundle", ExportOptions(target_lang="fra"))
    audio = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    reference = Wav2Vec2ForCTC.from_pretrained(checkpoint, target_lang="fra")
    with torch.inference_mode():
        expected = reference(torch.from_numpy(normalize(audio))[None]).logits[0]
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(checkpoint, target_lang="fra")
    with edgespeech_runtime.load(tmp_path / "bundle") as model:
        assert len(model.manifest.vocabulary.tokens) == LANGUAGES["fra"]
        np.testing.assert_allclose(model.logits(audio), expected.numpy(), atol=1e-4)
        assert model.transcribe(audio).text == tokenizer.decode(expected.argmax(-1), skip_special_tokens=True)


def test_a_language_that_there_is_not_is_named_with_those_there_are(tmp_path: Path) -> None:
    checkpoint = make_multilingual(tmp_path / "checkpoint")
    with pytest.raises(MissingFileError, match=r"'tlh'.*deu, eng, fra"):
        export(checkpoint, tmp_path / "bundle", ExportOptions(target_lang="tlh"))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
