"""Captions: a window that writes down what a microphone or a sound file says, with a bundle of edgespeech.

python app.py [BUNDLE]
"""

import argparse
import importlib
import os
import signal
import sys
import threading
from pathlib import Path

from controls import PLAYED
from PySide6.QtCore import QCoreApplication, QTimer
from PySide6.QtWidgets import QApplication
from settings import Settings, usual_folder

CACHE = "EDGESPEECH_CACHE"  # where the runtime remembers self-checks and compiled graphs


def main() -> int:
    """Run the app and return its exit code."""
    QCoreApplication.setApplicationName("edgespeech-captions")
    options = _options()
    folder = options.settings or usual_folder()
    os.environ.setdefault(CACHE, str(folder / "cache"))
    threading.Thread(target=_import_runtime, daemon=True).start()
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)  # the window says when all its work has ended
    from window import MainWindow  # here, behind the application: the first window is what takes time

    try:
        settings = Settings(folder)
    except OSError as error:
        print(
            f"captions: no settings can be kept in {folder} ({error.strerror}): name a folder with --settings",
            file=sys.stderr,
        )
        return 2
    window = MainWindow(settings, options.speed)
    if options.bundle is not None:
        window.controls.choose_bundle(str(options.bundle))
    if options.microphone is not None:
        window.controls.choose_file(str(options.microphone), PLAYED)
    if options.file is not None:
        window.controls.choose_file(str(options.file))
    if options.start:
        window.ready.connect(window.start_or_stop)
    if options.exit:
        window.idle.connect(window.close)
    if options.log:
        _log(window)
    window.show()
    QTimer.singleShot(0, window.open_bundle)
    return _run(app, window)


def _import_runtime() -> None:
    """Import what loads models while Qt starts, so that the first one is there sooner."""
    importlib.import_module("edgespeech_runtime.bundle.loading")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="captions", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, help="folder of a bundle; the last one if not given")
    parser.add_argument("--file", type=Path, help="sound file to transcribe")
    parser.add_argument("--microphone", type=Path, metavar="FILE", help="play this sound file in place of a microphone")
    parser.add_argument("--speed", type=float, default=1.0, help="play it so many times faster")
    parser.add_argument("--settings", type=Path, metavar="FOLDER", help="where settings are kept")
    parser.add_argument("--start", action="store_true", help="start at once")
    parser.add_argument("--exit", action="store_true", help="leave when the sound has ended")
    parser.add_argument("--log", action="store_true", help="print what happens, a line each")
    return parser.parse_args()


def _log(window) -> None:
    """Print when things are there: `shown`, `ready`, `text ...`, `done ...`, `error ...`."""
    last = []

    def tell(*words: str) -> None:
        print(*words, flush=True)

    def text() -> None:
        shown = " ".join(window.view.toPlainText().split())
        if shown and not last:
            last.append(shown)
            tell("text", shown)

    QTimer.singleShot(0, lambda: tell("shown"))
    window.ready.connect(lambda: tell("ready"))
    window.view.textChanged.connect(text)
    window.idle.connect(lambda: tell("done", window.transcript.text if window.transcript else window.message.text()))


def _run(app: QApplication, window) -> int:
    """Run until the window has ended its work; Ctrl-C closes it as a click does."""
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda number, frame: window.close())
    timer = QTimer(interval=200, timeout=lambda: None)  # lets Python look for signals
    timer.start()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
