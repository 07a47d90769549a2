"""Tiny bundles that understand the language of `tones`, on all engines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.contracts import LENGTHS, LOGITS, VALUES, Tensor
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, Audio, File, Frames, Golden, Graph, Manifest, Vocabulary
from tones import FRAME, GAIN, RATE, TOKENS, spoken, tone_graph, tones

Make = Callable[[bool], onnx.ModelProto]  # of a graph with or without lengths


def write_onnx(folder: Path, make: Make = tone_graph, output: Tensor = LOGITS) -> dict[str, Graph]:
    """single.onnx and batch.onnx, which share weights.data."""
    for name in ("batch", "single"):
        (folder / "weights.data").unlink(missing_ok=True)
        onnx.save_model(
            make(name == "batch"),
            folder / f"{name}.onnx",
            save_as_external_data=True,
            location="weights.data",
            size_threshold=100,  # bytes: axes must stay in the graph
        )
    return {
        "single": Graph("single.onnx", "weights.data", (VALUES,), (output,)),
        "batch": Graph("batch.onnx", "weights.data", (VALUES, LENGTHS), (output,)),
    }


def write_openvino(folder: Path, make: Make = tone_graph, output: Tensor = LOGITS) -> dict[str, Graph]:
    """The same graphs as OpenVINO's .xml and .bin."""
    from edgespeech_runtime.engines.openvino import openvino

    for name, stem in (("single", "openvino_model"), ("batch", "openvino_batch")):
        source = folder / f"{name}.onnx"
        onnx.save_model(make(name == "batch"), source)
        openvino.save_model(openvino.convert_model(source), folder / f"{stem}.xml", compress_to_fp16=False)
        source.unlink()
    return {
        "single": Graph("openvino_model.xml", "openvino_model.bin", (VALUES,), (output,)),
        "batch": Graph("openvino_batch.xml", "openvino_batch.bin", (VALUES, LENGTHS), (output,)),
    }


def write_numpy(folder: Path, make: Make = tone_graph, output: Tensor = LOGITS) -> dict[str, Graph]:
    """The same graphs as programs, which share weights.npz."""
    from edgespeech_export.graphs.graphs import GraphSource
    from edgespeech_export.writers.numpy import Archive, to_program
    from torch import nn

    graphs = {
        "single": Graph("single.json", "weights.npz", (VALUES,), (output,)),
        "batch": Graph("batch.json", "weights.npz", (VALUES, LENGTHS), (output,)),
    }
    with Archive(folder / "weights.npz") as archive:
        for name, graph in graphs.items():
            source = GraphSource(name, nn.Identity(), graph.inputs, graph.outputs)
            program = to_program(make(name == "batch"), source, archive, "float32")
            (folder / graph.file).write_text(program, encoding="utf-8")
    return graphs


def golden_arrays() -> tuple[np.ndarray, np.ndarray]:
    """An input [1, samples] and its logits [1, frames, vocabulary], by numpy alone."""
    values = spoken("A_B|C")[None]
    frames = values.reshape(-1, FRAME)
    logits = frames @ (tones().T * (2 * GAIN / FRAME)) + np.eye(len(TOKENS))[0] + np.mean(values**2)
    return values, logits[None].astype(np.float32)


def make_manifest(engine: str, graphs: dict[str, Graph], files: dict[str, File], **own: Any) -> Manifest:
    """Of the tone language's CTC model, or of what `own` says."""
    facts = own or {"task": "ctc", "vocabulary": Vocabulary(TOKENS, 0, "|", " ", (0, 1, 2, 3), False)}
    return Manifest(
        engine=engine,
        precision="float32",
        graphs=graphs,
        files=files,
        golden=Golden("golden.npz", 1e-4),
        **{
            "audio": Audio(sampling_rate=RATE, normalize=True, hop=FRAME, shortest=FRAME),
            "frames": Frames((FRAME,), (FRAME,), (0,)),
            **facts,
        },
    )


WRITERS = {"onnx": write_onnx, "openvino": write_openvino, "numpy": write_numpy}


def build(engine: str, folder: Path) -> Path:
    """Write the whole bundle of an engine into an empty folder."""
    values, logits = golden_arrays()
    return finish(engine, folder, WRITERS[engine](folder), {"input_values": values, "logits": logits})


def finish(engine: str, folder: Path, graphs: dict[str, Graph], golden: dict[str, np.ndarray], **own: Any) -> Path:
    """Write the golden file and the manifest beside the graphs."""
    np.savez(folder / "golden.npz", **golden)  # type: ignore[arg-type]  # numpy's stub mistakes it for allow_pickle
    files = {path.name: File(path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
    (folder / MANIFEST_FILE).write_text(make_manifest(engine, graphs, files, **own).to_json(), encoding="utf-8")
    return folder
