"""Takes the picture of docs/desktop.md: the app with the embedded model, in the middle of live captions.

python examples/captions/picture.py BUNDLE docs/captions.png
"""

import sys
import tempfile
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from settings import Settings
from window import MainWindow

SAMPLES = Path(__file__).resolve().parents[2] / "edgespeech" / "checkpoints" / "samples"
NAMES = ("sentence", "wake-word", "names")  # recordings that are played one after the other
SEEN = 5  # words of the last one, of which some are committed


def main() -> None:
    """Play recordings to the app and take the picture while the last one is being said."""
    import soundfile

    app = QApplication([])
    app.setStyle("Fusion")  # as on every system
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "talk.wav"
        with soundfile.SoundFile(file, "w", 16000, 1, "PCM_16") as out:
            for name in NAMES:
                samples, _ = soundfile.read(SAMPLES / f"{name}.flac", dtype="int16")
                out.write(samples)
                out.write(samples[:24000] * 0)
        window = MainWindow(Settings(Path(folder) / "settings"))
        window.resize(760, 470)
        window.controls.choose_bundle(sys.argv[1])
        window.controls.choose_file(str(file), "played")
        window.controls.latency.setCurrentText("low")
        window.ready.connect(window.start_or_stop)
        window.show()
        QTimer.singleShot(0, window.open_bundle)

        def look() -> None:
            tail = window.view.toPlainText().splitlines()[-1:]
            if len(window.finals) == len(NAMES) - 1 and tail and len(tail[0].split()) >= SEEN:
                window.grab().save(sys.argv[2])
                window.close()

        timer = QTimer(interval=50, timeout=look)
        timer.start()
        app.exec()


if __name__ == "__main__":
    main()
