"""Microphones: what needs none, and what sounddevice says where there is none."""

import subprocess
import sys

import numpy as np
import pytest
from edgespeech_runtime import live
from edgespeech_runtime.errors import AudioPackageError, MicrophoneError
from edgespeech_runtime.live.levels import SILENT, ZeroWatch, level


def test_levels():
    tone = np.sin(np.arange(16000) * 0.1).astype(np.float32)
    assert level(np.ones(100, np.float32)) == pytest.approx(0)
    assert level(tone) == pytest.approx(-3.01, abs=0.05)
    assert level(0.01 * tone) == pytest.approx(-43.01, abs=0.05)
    assert level(np.zeros(100, np.float32)) == level(np.zeros(0, np.float32)) == SILENT


def test_zeros_from_the_first_sample_on_are_no_sound():
    zeros, noise = np.zeros(1600, np.float32), np.full(1600, 1e-5, np.float32)
    watch = ZeroWatch(0.3, 16000)
    assert [watch.is_dead(zeros) for _ in range(4)] == [False, False, True, True]
    watch = ZeroWatch(0.3, 16000)
    assert not any(watch.is_dead(block) for block in [zeros, noise, *[zeros] * 20])


def devices():
    """The inputs that there are; None without sounddevice or its library."""
    try:
        return live.input_devices()
    except (AudioPackageError, MicrophoneError):
        return None


def test_no_microphone():
    if devices() != []:
        pytest.skip("needs sounddevice and PortAudio on a machine without a microphone")
    for device in (None, 0, "USB"):
        with pytest.raises(MicrophoneError, match=r"^no microphone: this machine has no sound input; connect one$"):
            live.Microphone(device)


def test_a_number_that_is_no_microphone():
    if not devices():
        pytest.skip("needs a microphone")
    with pytest.raises(MicrophoneError, match="device 999 is no microphone: there are 0"):
        live.Microphone(999)
    with pytest.raises(MicrophoneError, match="No input device matching"):
        live.Microphone("there is no such name")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.modules['sounddevice'] = None", r"needs the package sounddevice: pip install edgespeech-runtime\[mic\]"),
        (
            "import ctypes.util; ctypes.util.find_library = lambda name: None",
            "needs the library PortAudio .*: apt install libportaudio2",
        ),
    ],
)
def test_what_is_missing_is_named(code, message):
    pytest.importorskip("cffi")
    program = f"import sys; {code}; from edgespeech_runtime import live; live.Microphone()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode
    import re

    assert re.search(message, done.stderr.splitlines()[-1])
