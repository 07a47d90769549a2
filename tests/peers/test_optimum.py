"""Bundles open unchanged in optimum-onnx and optimum-intel, each in an environment of its own."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
from exported_kinds import Kinds
from places import ROOT

pytestmark = pytest.mark.devices
HERE = Path(__file__).parent
# Tolerance of the logits against the runtime's: another version of the engine, another version of the normalisation.
ATOL = 1e-3

CASES = {
    "CTC": ("wav2vec2-group", "hubert-batch-norm"),
    "AudioClassification": ("class-35",),
    "AudioFrameClassification": ("frames",),
    "AudioXVector": ("xvector",),
}
ROWS = [(head, kind) for head, kinds in CASES.items() for kind in kinds]
FLOAT32 = {"ov_config": {"INFERENCE_PRECISION_HINT": "f32"}}  # its own choice is bfloat16 where the processor has that
Run = Callable[..., list[list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def waveforms() -> list[np.ndarray]:
    """Noise of two lengths."""
    generator = np.random.default_rng(2)
    return [(0.1 * generator.standard_normal(size)).astype(np.float32) for size in (9000, 16000)]


@pytest.fixture(scope="session")
def run(waveforms: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run(package, cases)`: outputs of each case and waveform; prints the versions."""
    folder = tmp_path_factory.mktemp("optimum")

    def asked(package: str, cases: list[tuple[str, Path, dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        python = ROOT / f".venv-{package}" / "bin" / "python"
        if not python.exists():
            pytest.fail(f"there is no {python}: make test-peers sets it up")
        files = [folder / f"{index}.f32" for index in range(len(waveforms))]
        for file, waveform in zip(files, waveforms, strict=True):
            waveform.tofile(file)
        request = {
            "package": package,
            "cases": [(name, str(bundle), options) for name, bundle, options in cases],
            "waveforms": [str(file) for file in files],
            "answer": str(folder / "answer.json"),
        }
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        command = [python, HERE / "run_optimum.py", folder / "request.json"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        print(", ".join(f"{name} {version}" for name, version in found["versions"].items()))
        answers: list[list[dict[str, Any]]] = found["answers"]
        return answers

    return asked


def computed(bundle: Path, waveforms: list[np.ndarray]) -> list[np.ndarray]:
    """What the runtime computes."""
    with edgespeech_runtime.load(bundle) as model:
        if model.manifest.task == "audio-xvector":
            return [model.embed(waveform) for waveform in waveforms]
        return [model.logits(waveform) for waveform in waveforms]


def require_same(head: str, outputs: list[dict[str, Any]], expected: list[np.ndarray]) -> None:
    """The outputs to have transformers' names, and the runtime's values."""
    for output, values in zip(outputs, expected, strict=True):
        name = "embeddings" if head == "AudioXVector" else "logits"
        np.testing.assert_allclose(output[name][0], values, atol=ATOL)


@pytest.fixture(scope="session")
def by_onnx(run: Run, exported_kinds: Kinds) -> dict[str, list[dict[str, Any]]]:
    """Outputs of every bundle in optimum-onnx."""
    cases = [(f"ORTModelFor{head}", exported_kinds.case(kind, "onnx").bundle, {}) for head, kind in ROWS]
    return dict(zip((kind for _, kind in ROWS), run("optimum-onnx", cases), strict=True))


@pytest.fixture(scope="session")
def by_openvino(run: Run, exported_kinds: Kinds) -> dict[str, list[dict[str, Any]]]:
    """Outputs of every bundle in optimum-intel."""
    cases = [(f"OVModelFor{head}", exported_kinds.case(kind, "openvino").bundle, FLOAT32) for head, kind in ROWS]
    return dict(zip((kind for _, kind in ROWS), run("optimum-intel", cases), strict=True))


@pytest.mark.parametrize(("head", "kind"), ROWS)
def test_optimum_onnx(
    by_onnx: dict[str, Any], exported_kinds: Kinds, waveforms: list[np.ndarray], head: str, kind: str
) -> None:
    require_same(head, by_onnx[kind], computed(exported_kinds.case(kind, "onnx").bundle, waveforms))


@pytest.mark.parametrize(("head", "kind"), ROWS)
def test_optimum_intel(
    by_openvino: dict[str, Any], exported_kinds: Kinds, waveforms: list[np.ndarray], head: str, kind: str
) -> None:
    require_same(head, by_openvino[kind], computed(exported_kinds.case(kind, "openvino").bundle, waveforms))


def test_optimum_gives_the_logits_of_an_x_vector(
    by_onnx: dict[str, Any], exported_kinds: Kinds, waveforms: list[np.ndarray]
) -> None:
    import torch
    from edgespeech_runtime.audio.waveform import normalize

    case = exported_kinds.case("xvector", "onnx")
    with torch.inference_mode():
        expected = [case.theirs(torch.from_numpy(normalize(waveform))[None]).logits.numpy() for waveform in waveforms]
    for output, logits in zip(by_onnx["xvector"], expected, strict=True):
        np.testing.assert_allclose(output["logits"], logits, atol=ATOL)
