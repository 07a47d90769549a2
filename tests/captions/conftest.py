"""A display that nobody sees, the app's window on it, a bundle, and recordings."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "examples" / "captions"
LIBRARIES = (
    "libegl1 libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libdbus-1-3"
)
BUNDLES = Path(os.environ.get("EDGESPEECH_BUNDLES", ROOT / "build"))
SAMPLES = ROOT / "edgespeech" / "checkpoints" / "samples"


@pytest.fixture(scope="session")
def display():
    """An X server of the tests' own; Qt's platform "offscreen", which draws nowhere, where there is no Xvfb."""
    pytest.importorskip("PySide6", reason="needs PySide6: make test-app sets it up")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(APP)
        from virtual_display import display as virtual_display
    with virtual_display() as name:
        os.environ["QT_QPA_PLATFORM"] = "xcb" if name else "offscreen"
        if name:
            os.environ["DISPLAY"] = name
        code = "from PySide6.QtWidgets import QApplication; QApplication([])"
        probe = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        if probe.returncode:
            pytest.skip(f"Qt cannot open a window here; on Debian and Ubuntu: apt-get install xvfb {LIBRARIES}")
        yield os.environ["QT_QPA_PLATFORM"]


@pytest.fixture(scope="session")
def qt(display):
    """The application object, of which there is one in a process."""
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    app.setQuitOnLastWindowClosed(False)
    yield app
    app.processEvents()


@pytest.fixture(scope="session")
def bundle():
    """`bundle("ctc-en")`: the bundle of an embedded model; the test is skipped where it was not exported."""

    def find(name="ctc-en"):
        if not (BUNDLES / name / "edgespeech.json").is_file():
            pytest.skip(f"needs the bundle {BUNDLES / name}, which make demo writes")
        return BUNDLES / name

    return find


@pytest.fixture(scope="session")
def sentence():
    """A recording: "The train to the coast leaves at a quarter past nine."."""
    return SAMPLES / "sentence.flac"


@pytest.fixture(scope="session")
def long_recording(sentence, tmp_path_factory):
    """The same sentence again and again, for some minutes."""
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(sentence, dtype="int16")
    file = tmp_path_factory.mktemp("sound") / "long.wav"
    with soundfile.SoundFile(file, "w", rate, 1, "PCM_16") as out:
        for _ in range(120):
            out.write(samples)
    return file


@pytest.fixture
def wait(qt):
    """`wait(condition)`: let the window work until it holds; `seconds` is how long a broken app may take to fail."""

    def until(condition, seconds=60.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "nothing came of it"
            qt.processEvents()
            time.sleep(0.005)

    return until


@pytest.fixture
def window(qt, wait, tmp_path, monkeypatch):
    """`window(bundle)`: the app's window with a model that is loaded; it is closed at the end."""
    monkeypatch.setenv("EDGESPEECH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(APP)
    from settings import Settings
    from window import MainWindow

    opened = []

    def make(bundle=None, speed=1.0):
        made = MainWindow(Settings(tmp_path / "settings"), speed)
        opened.append(made)
        made.show()
        if bundle is not None:
            made.controls.choose_bundle(str(bundle))
            made.open_bundle()
            wait(lambda: made.job is None)
        return made

    yield make
    for made in opened:
        made.close()
        wait(lambda made=made: not made._jobs)
