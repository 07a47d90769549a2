"""The scripts that made the embedded checkpoints: a short run of all stages gives checkpoints that load and learn."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgespeech import AutoTokenizer, SpeechEncoderDecoderModel, Wav2Vec2ForCTC

HOME = Path(__file__).parents[2]
SPEECH = Path(os.environ.get("EDGESPEECH_SPEECH", HOME.parent / "shared" / "speech"))
MINUTES = 7  # 5 of them for the two models


@pytest.mark.slow
def test_a_short_run_makes_both_checkpoints(tmp_path: Path) -> None:
    if not (SPEECH / "LibriSpeech").is_dir():
        pytest.skip("needs the recordings: set EDGESPEECH_SPEECH to the folder of speech data")
    script = HOME / "examples" / "english_models" / "build.py"
    command = [sys.executable, str(script), str(SPEECH), str(tmp_path), "--minutes", str(MINUTES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    errors = [float(value) for value in re.findall(r"stem: .* relative error ([\d.]+)", done.stdout)]
    assert errors[-1] < 0.4
    losses = [float(value) for value in re.findall(r": loss ([\d.]+)", done.stdout)]
    assert losses[-1] < losses[0] / 1.5
    labels = [float(value) for value in re.findall(r"labels ([\d.]+)", done.stdout)]
    assert labels[-1] < labels[0]
    assert len(AutoTokenizer.from_pretrained(tmp_path / "dictation-en")) == 12000
    assert SpeechEncoderDecoderModel.from_pretrained(tmp_path / "dictation-en").decoder.config.vocab_size == 12000
    assert Wav2Vec2ForCTC.from_pretrained(tmp_path / "ctc-en").config.num_conv_pos_embeddings == 3000
