"""The folder that holds a run's checkpoint and what was exported from it: temporary, or kept for the next run.

A kept folder says what made it. Were it used after a change of the code, the numbers would be those of the old code.
"""

import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import edgespeech_calib
import edgespeech_export
import edgespeech_runtime

import benchmarks
import edgespeech

CHECKPOINT = "checkpoint"
MADE_BY = "made-by.json"
PACKAGES = ("torch", "transformers", "onnx", "onnxscript", "onnxsim", "onnxruntime", "openvino", "nncf", "numpy")


class StaleModelsError(ValueError):
    """A kept folder that other code or other versions filled."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is not what this code and these versions would write: delete it, or name another")


@contextmanager
def models(folder: Path | None, facts: Mapping[str, object], write: Callable[[Path], None]) -> Iterator[Path]:
    """Give a folder with `checkpoint/` in it: `folder`, made where needed, or None for one that goes away again.

    `write` writes the checkpoint into the folder that it gets, and `facts` are what it goes by. Raises StaleModelsError
    where `folder` was filled by something else than what runs now.
    """
    with tempfile.TemporaryDirectory(prefix="edgespeech-bench-") as temporary:
        place = folder or Path(temporary)
        made_by = made(facts)
        if not place.is_dir() or not any(place.iterdir()):
            write(place / CHECKPOINT)
            (place / MADE_BY).write_text(json.dumps(made_by, indent=1), encoding="utf-8")
        elif not (place / MADE_BY).is_file() or json.loads((place / MADE_BY).read_text(encoding="utf-8")) != made_by:
            raise StaleModelsError(place)
        yield place


def made(facts: Mapping[str, object]) -> dict[str, object]:
    """All that decides what the files are."""
    return {**facts, "sources": _sources(), "versions": versions()}


def versions() -> dict[str, str | None]:
    """Versions of python, edgespeech and the packages that are compared; None for one that is not installed."""
    ours = {"python": platform.python_version(), "edgespeech": edgespeech.__version__}
    return {**ours, **{name: _version(name) for name in PACKAGES}}


def _sources() -> str:
    """One SHA-256 over the Python files of all packages that take part; the command line does not."""
    packages = (benchmarks, edgespeech, edgespeech_export, edgespeech_calib, edgespeech_runtime)
    folders = [Path(package.__file__).parent for package in packages if package.__file__]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py")) if file.parent.name != "cli"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
