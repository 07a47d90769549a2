"""The bundles of `tone_bundles`, to use and to damage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tone_bundles
import tone_heads
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE
from tone_bundles import spoken


@pytest.fixture(scope="session")
def _pristine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def build(engine: str) -> Path:
        if engine not in made:
            made[engine] = tone_bundles.build(engine, tmp_path_factory.mktemp(engine))
        return made[engine]

    return build


@pytest.fixture
def tiny_bundle(_pristine: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """`tiny_bundle(engine)`: a fresh copy of the tone bundle, for a test to use or to damage."""

    def copy(engine: str = "onnx") -> Path:
        return Path(shutil.copytree(_pristine(engine), tmp_path / f"bundle-{engine}", dirs_exist_ok=True))

    return copy


@pytest.fixture(scope="session")
def _pristine_heads(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    made: dict[tuple[str, str], Path] = {}

    def build(task: str, engine: str) -> Path:
        if (task, engine) not in made:
            folder = tmp_path_factory.mktemp(f"{task}-{engine}")
            is_static = engine == "static"
            made[task, engine] = (
                tone_heads.build_static_head(task, folder) if is_static else tone_heads.build_head(engine, task, folder)
            )
        return made[task, engine]

    return build


@pytest.fixture
def head_bundle(_pristine_heads: Callable[[str, str], Path], tmp_path: Path) -> Callable[..., Path]:
    """`head_bundle(task, engine)`: a fresh copy of a head's bundle; the engine "static" is ONNX with fixed shapes."""

    def copy(task: str, engine: str = "onnx") -> Path:
        return Path(shutil.copytree(_pristine_heads(task, engine), tmp_path / f"{task}-{engine}", dirs_exist_ok=True))

    return copy


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """`rewrite(folder, change)`: let `change(data)` alter the manifest's JSON, then list the files as they are now."""
    import json

    def apply(folder: Path, change: Callable[[dict], object], relist: bool = True) -> None:
        data = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        change(data)
        if relist:
            for name in data["files"]:
                data["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
        (folder / MANIFEST_FILE).write_text(json.dumps(data), encoding="utf-8")

    return apply


@pytest.fixture
def say() -> Callable[..., np.ndarray]:
    """`say("AA_B", tail=0)`: the waveform that says one token a frame."""
    return spoken


@pytest.fixture
def manifest_data(tiny_bundle: Callable[..., Path]) -> dict:
    """The tone bundle's manifest as JSON data."""
    import json

    return json.loads((tiny_bundle() / MANIFEST_FILE).read_text(encoding="utf-8"))


@pytest.fixture(params=["onnx", "openvino", "numpy"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    packages = {"onnx": "onnxruntime", "openvino": "edgespeech_runtime.engines.openvino", "numpy": "numpy"}
    pytest.importorskip(packages[request.param])
    return request.param
