"""Small sets of recordings, and a bundle that understands them."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tone_bundles
from tone_bundles import spoken

RATE = 16000  # Hz
SAID = {  # by id: what is said, one letter a frame; "|" parts words
    "19-198-0000": "A_A|B",
    "19-198-0001": "C|C_C|A|B",
    "26-495-0000": "B|B",
    "87-121-0003": "A|B|C|A_B_C|A",
    "87-121-0010": "C_A",
}
TEXTS = {"19-198-0000": "AA B", "19-198-0001": "C CC A B", "26-495-0000": "B B", "87-121-0003": "A B C ABC A"}
TEXTS["87-121-0010"] = "CA"


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """float32 [samples]."""
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


@pytest.fixture
def write() -> Callable[..., Path]:
    """`write(path, samples, rate)`: a sound file, folders made."""

    def make(path: Path, samples: np.ndarray | None = None, rate: int = RATE) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(0.1) if samples is None else samples, rate)
        return path

    return make


@pytest.fixture
def corpus(tmp_path: Path, write: Callable[..., Path]) -> Path:
    """LibriSpeech's layout: three speakers, one chapter in WAVE, transcripts beside them."""
    root = tmp_path / "LibriSpeech"
    for name, frames in SAID.items():
        speaker, chapter, _ = name.split("-")
        suffix = ".wav" if speaker == "26" else ".flac"
        folder = root / "dev-clean" / speaker / chapter
        write(folder / f"{name}{suffix}", spoken(frames))
        with (folder / f"{speaker}-{chapter}.trans.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{name} {TEXTS[name]}\n")
    (root / "SPEAKERS.TXT").write_text("19 | F | dev-clean\n", encoding="utf-8")
    return root


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """`pack(folder, "x.tar.gz")`: an archive of a folder."""

    def make(folder: Path, name: str = "corpus.tar.gz") -> Path:
        target = tmp_path / name
        with tarfile.open(target, "w:gz" if name.endswith("gz") else "w") as archive:
            archive.add(folder, folder.name)
        return target

    return make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tone bundle, to read."""
    return tone_bundles.build("onnx", tmp_path_factory.mktemp("tones"))


@pytest.fixture(autouse=True)
def _no_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody has fetched on this machine must not be found."""
    monkeypatch.setenv("EDGESPEECH_DATA", str(tmp_path / "fetched"))


@pytest.fixture
def texts() -> dict[str, str]:
    """What is said in `corpus`, by id."""
    return dict(TEXTS)
