"""Copies of the packages, to which a recipe of docs/architecture.md is applied, and programs that run over them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("runtime/edgespeech_runtime", "edgespeech", "export/edgespeech_export", "calib/edgespeech_calib")


class Copy:
    """The packages side by side in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in PACKAGES:
            left_out = shutil.ignore_patterns("__pycache__", "checkpoints")
            shutil.copytree(ROOT / package, folder / Path(package).name, ignore=left_out)

    def add(self, file: str, text: str) -> None:
        """Write a module that is not there yet."""
        path = self.folder / file
        assert not path.exists()
        path.write_text(text, encoding="utf-8")

    def insert(self, file: str, before: str, text: str) -> None:
        """Put `text` in front of what stands in a module exactly once."""
        path = self.folder / file
        content = path.read_text(encoding="utf-8")
        assert content.count(before) == 1, f"{before!r} stands {content.count(before)} times in {file}"
        path.write_text(content.replace(before, text + before), encoding="utf-8")

    def run(self, *arguments: object) -> str:
        """What Python prints, run with these arguments over the copy."""
        paths = os.pathsep.join([str(self.folder), str(ROOT / "tests")])
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": paths},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def packages(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "packages")
