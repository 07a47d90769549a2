"""What the app remembers from one start to the next, in a file `captions.ini`."""

import os
import sys
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSettings, QStandardPaths

FILE = "captions.ini"


def program_folder() -> Path:
    """Where the program lies: the folder of the frozen one, or that of this file."""
    return Path(sys.executable).resolve().parent if getattr(sys, "frozen", False) else Path(__file__).resolve().parent


def usual_folder() -> Path:
    """Where the system keeps a user's settings; for a user without a home, a folder beside the program."""
    if os.name == "posix" and not os.environ.get("HOME"):
        return program_folder() / "settings"
    return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppConfigLocation))


class Settings:
    """Values by name; each has a default, whose type is that of the value."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._stored = QSettings(str(folder / FILE), QSettings.Format.IniFormat)

    def get(self, name: str, default: Any) -> Any:
        """The value that was stored last; the default where there is none, or one of another type."""
        try:
            return self._stored.value(name, default, type(default))
        except (TypeError, ValueError):
            return default

    def put(self, **values: Any) -> None:
        """Store values at once."""
        for name, value in values.items():
            self._stored.setValue(name, value)
        self._stored.sync()
