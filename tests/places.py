"""Where checkpoints and recordings lie: those that come with edgespeech, the fixtures of the tests, and real speech."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EMBEDDED = ROOT / "edgespeech" / "checkpoints"
SAMPLES = EMBEDDED / "samples" / "samples.tsv"
SENTENCES = EMBEDDED / "calibration" / "sentences-en.tsv"
FIXTURES = ROOT / "tests" / "fixtures"
DIGITS = FIXTURES / "calibration" / "digits-en-de.tsv"
SPEECH = Path(os.environ.get("EDGESPEECH_SPEECH", ROOT.parent / "shared" / "speech"))


def embedded(name: str) -> Path:
    """The folder of a checkpoint that comes with edgespeech; the test is skipped where it is not there."""
    if not (EMBEDDED / name / "config.json").is_file():
        pytest.skip(f"needs the checkpoint {EMBEDDED / name}")
    return EMBEDDED / name


def real_speech(name: str) -> Path:
    """A set of real recordings; the test is skipped where it is not there."""
    if not (SPEECH / name).exists():
        pytest.skip(f"needs real speech, {name}: set EDGESPEECH_SPEECH to the folder of speech data")
    return SPEECH / name
