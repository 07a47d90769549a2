"""Tiny bundles that understand the language of `tones`, on all engines."""

from pathlib import Path

import numpy as np
import onnx
from edgespeech_runtime.bundle import sha256
from edgespeech_runtime.contracts import LENGTHS, LOGITS, VALUES
from edgespeech_runtime.manifest import (
    MANIFEST_FILE,
    Audio,
    File,
    Frames,
    Golden,
    Graph,
    Manifest,
    Vocabulary,
)
from tones import FRAME, GAIN, RATE, TOKENS, spoken, tone_graph, tones


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


def write_numpy(folder: Path) -> dict[str, Graph]:
    """The same graphs as programs, which share weights.npz."""
    from edgespeech_export.graphs import GraphSource
    from edgespeech_export.numpy_graph import Archive, to_program
    from torch import nn

    graphs = {
        "single": Graph("single.json", "weights.npz", (VALUES,), (LOGITS,)),
        "batch": Graph("batch.json", "weights.npz", (VALUES, LENGTHS), (LOGITS,)),
    }
    with Archive(folder / "weights.npz") as archive:
        for name, graph in graphs.items():
            source = GraphSource(name, nn.Identity(), graph.inputs, graph.outputs)
            program = to_program(tone_graph(name == "batch"), source, archive, "float32")
            (folder / graph.file).write_text(program, encoding="utf-8")
    return graphs


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


def build(engine: str, folder: Path) -> Path:
    """Write the whole bundle of an engine into an empty folder."""
    graphs = {"onnx": write_onnx, "openvino": write_openvino, "numpy": write_numpy}[engine](folder)
    values, logits = golden_arrays()
    np.savez(folder / "golden.npz", input_values=values, logits=logits)
    files = {path.name: File(path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
    (folder / MANIFEST_FILE).write_text(make_manifest(engine, graphs, files).to_json(), encoding="utf-8")
    return folder
