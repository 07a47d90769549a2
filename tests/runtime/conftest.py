"""Tiny bundles that understand a language of tones, on both engines.

Each token of the vocabulary has a frequency; a frame of 320 samples (kernel = stride = 320) holds one tone. All
frequencies are multiples of 50 Hz, so their sines are orthogonal over a frame and start in phase: what a waveform says
is known exactly. Each logit also carries the power of the whole utterance, so that the padded graph is right only if it
uses the lengths.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgespeech_runtime.bundle import sha256
from edgespeech_runtime.manifest import (
    LENGTHS,
    LOGITS,
    MANIFEST_FILE,
    VALUES,
    Audio,
    File,
    Frames,
    Golden,
    Graph,
    Manifest,
    Vocabulary,
)
from onnx import TensorProto, helper, numpy_helper

RATE = 16000
FRAME = 320  # samples
TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "|", "A", "B", "C")
NAMES = {"_": 0, "<": 1, "?": 3, "|": 4, "A": 5, "B": 6, "C": 7}  # one letter a token, to write frames down
GAIN = 10.0  # logit of the token that a full tone says


def tones() -> np.ndarray:
    """One frame of each token's tone, float32 [vocabulary, 320], at amplitude 1."""
    time = np.arange(FRAME) / RATE
    return np.sin(2 * np.pi * 200 * (np.arange(len(TOKENS))[:, None] + 1) * time).astype(np.float32)


def spoken(frames: str, tail: int = 0) -> np.ndarray:
    """The waveform that says one letter of `NAMES` a frame ("." is silence), with `tail` silent samples behind."""
    table = {name: tones()[token_id] for name, token_id in NAMES.items()} | {".": np.zeros(FRAME, np.float32)}
    return 0.5 * np.concatenate([*(table[name] for name in frames), np.zeros(tail, np.float32)])


def tone_graph(with_lengths: bool) -> onnx.ModelProto:
    """Convolution with the tones, plus the power of the utterance; the blank has a bias, so silence is blank."""
    initializers = [
        numpy_helper.from_array(tones()[:, None, :] * np.float32(2 * GAIN / FRAME), "kernel"),
        numpy_helper.from_array(np.array([1.0] + [0.0] * (len(TOKENS) - 1), np.float32), "bias"),
    ]
    one, two = (helper.make_tensor(f"axis{i}", TensorProto.INT64, [1], [i]) for i in (1, 2))
    nodes = [
        helper.make_node("Constant", [], ["axis1"], value=one),
        helper.make_node("Constant", [], ["axis2"], value=two),
        helper.make_node("Unsqueeze", ["input_values", "axis1"], ["channel"]),
        helper.make_node("Conv", ["channel", "kernel", "bias"], ["scores"], strides=[FRAME], kernel_shape=[FRAME]),
        helper.make_node("Transpose", ["scores"], ["by_frame"], perm=[0, 2, 1]),
        helper.make_node("Mul", ["input_values", "input_values"], ["squares"]),
    ]
    if with_lengths:
        nodes += [
            helper.make_node("ReduceSum", ["squares", "axis1"], ["energy"], keepdims=1),
            helper.make_node("Cast", ["input_lengths"], ["counts"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["counts", "axis1"], ["count"]),
            helper.make_node("Div", ["energy", "count"], ["power"]),
        ]
    else:
        nodes.append(helper.make_node("ReduceMean", ["squares", "axis1"], ["power"], keepdims=1))
    nodes += [
        helper.make_node("Unsqueeze", ["power", "axis2"], ["offset"]),
        helper.make_node("Add", ["by_frame", "offset"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("input_values", TensorProto.FLOAT, ["batch", "samples"])]
    if with_lengths:
        inputs.append(helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]))
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "frames", len(TOKENS)])
    graph = helper.make_graph(nodes, "tones", inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def write_onnx(folder: Path) -> dict[str, Graph]:
    """single.onnx and batch.onnx, which share weights.data."""
    for name in ("batch", "single"):
        (folder / "weights.data").unlink(missing_ok=True)
        onnx.save_model(
            tone_graph(name == "batch"),
            folder / f"{name}.onnx",
            save_as_external_data=True,
            location="weights.data",
            size_threshold=0,
        )
    return {
        "single": Graph("single.onnx", "weights.data", (VALUES,), (LOGITS,)),
        "batch": Graph("batch.onnx", "weights.data", (VALUES, LENGTHS), (LOGITS,)),
    }


def write_openvino(folder: Path) -> dict[str, Graph]:
    """The same graphs as OpenVINO's .xml and .bin."""
    from edgespeech_runtime.engines.openvino import openvino

    for name, stem in (("single", "openvino_model"), ("batch", "openvino_batch")):
        source = folder / f"{name}.onnx"
        onnx.save_model(tone_graph(name == "batch"), source)
        openvino.save_model(openvino.convert_model(source), folder / f"{stem}.xml", compress_to_fp16=False)
        source.unlink()
    return {
        "single": Graph("openvino_model.xml", "openvino_model.bin", (VALUES,), (LOGITS,)),
        "batch": Graph("openvino_batch.xml", "openvino_batch.bin", (VALUES, LENGTHS), (LOGITS,)),
    }


def golden_arrays() -> tuple[np.ndarray, np.ndarray]:
    """An input [1, samples] and its logits [1, frames, vocabulary], by numpy alone."""
    values = spoken("A_B|C")[None]
    frames = values.reshape(-1, FRAME)
    logits = frames @ (tones().T * (2 * GAIN / FRAME)) + np.eye(len(TOKENS))[0] + np.mean(values**2)
    return values, logits[None].astype(np.float32)


def make_manifest(engine: str, graphs: dict[str, Graph], files: dict[str, File]) -> Manifest:
    return Manifest(
        task="ctc",
        engine=engine,
        precision="float32",
        audio=Audio(sampling_rate=RATE, normalize=True, hop=FRAME, shortest=FRAME),
        graphs=graphs,
        files=files,
        frames=Frames((FRAME,), (FRAME,), (0,)),
        vocabulary=Vocabulary(TOKENS, 0, "|", " ", (0, 1, 2, 3), False),
        golden=Golden("golden.npz", 1e-4),
    )


@pytest.fixture(scope="session")
def _pristine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def build(engine: str) -> Path:
        if engine not in made:
            folder = tmp_path_factory.mktemp(engine)
            graphs = {"onnx": write_onnx, "openvino": write_openvino}[engine](folder)
            values, logits = golden_arrays()
            np.savez(folder / "golden.npz", input_values=values, logits=logits)
            files = {path.name: File(path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
            (folder / MANIFEST_FILE).write_text(make_manifest(engine, graphs, files).to_json(), encoding="utf-8")
            made[engine] = folder
        return made[engine]

    return build


@pytest.fixture
def tiny_bundle(_pristine: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """`tiny_bundle(engine)`: a fresh copy of the tone bundle, for a test to use or to damage."""

    def copy(engine: str = "onnx") -> Path:
        return Path(shutil.copytree(_pristine(engine), tmp_path / f"bundle-{engine}", dirs_exist_ok=True))

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


@pytest.fixture(params=["onnx", "openvino"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "edgespeech_runtime.engines.openvino"}[request.param])
    return request.param
