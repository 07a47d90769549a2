"""Bundles whose decoder has INT8 or INT4 weights, beside an encoder in float, whose time the benchmark leaves out."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import edgespeech_runtime
import numpy as np
import numpy.typing as npt
import onnx
from edgespeech_calib.quantization import QuantizationOptions
from edgespeech_calib.quantization.backends import open_decoder
from edgespeech_calib.quantization.targets import detect, types
from edgespeech_export.writers.openvino import share_weights
from edgespeech_export.writers.weight_store import WeightStore
from edgespeech_runtime import EncoderDecoderModel
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.folder import Bundle, open_bundle
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, File, Golden, Graph
from edgespeech_runtime.choices import EngineName
from edgespeech_runtime.engines.openvino import openvino

DECODER = "decoder"
LEAST_DECIBELS = 10.0  # of logits over the error in them; below, speed is that of noise
ANY = 1e30  # tolerance of the golden output


def quantized_model(
    exact: EncoderDecoderModel,
    folder: Path,
    engine: EngineName,
    weights: Literal["int8", "int4"],
    waveform: npt.NDArray[np.float32],
    threads: int,
) -> EncoderDecoderModel:
    """Our bundle with a quantized decoder, made in `folder` from the float32 one that lies there unless it is there.

    Raises ValueError where its logits, on the float bundle's own tokens for `waveform`, are not those of the model.
    """
    bundle = folder / f"{engine}-{weights}-decoder"
    if not (bundle / MANIFEST_FILE).exists():
        write(open_bundle(folder / f"{engine}-float32"), bundle, weights)
    model = edgespeech_runtime.load(bundle, threads=threads)
    if not isinstance(model, EncoderDecoderModel):
        raise TypeError(f"{bundle.name} opens as {type(model).__name__}")
    tokens = np.array(exact.generate([waveform], max_new_tokens=8, min_new_tokens=8, num_beams=1))
    (expected,), (found,) = (each.step_logits([waveform], tokens) for each in (exact, model))
    expected = expected - expected.mean(-1, keepdims=True)
    error = found - found.mean(-1, keepdims=True) - expected
    ratio = 10 * np.log10(np.square(expected).sum() / np.square(error).sum())
    if not ratio >= LEAST_DECIBELS:
        raise ValueError(f"its logits are {ratio:.1f} dB over their error, expected at least {LEAST_DECIBELS:g}")
    return model


def write(source: Bundle, folder: Path, weights: Literal["int8", "int4"]) -> None:
    """Write the bundle: the encoder's graphs as they are, the decoder's quantized."""
    manifest = source.manifest
    folder.mkdir()
    encoders = {name: graph for name, graph in manifest.graphs.items() if name != DECODER}
    copy = _copy_onnx if manifest.engine == "onnx" else _copy_openvino
    copy(source, folder, encoders)
    options = QuantizationOptions(decoder_weights=weights)
    decoder = open_decoder(source, options, types(detect(), manifest.engine))
    if decoder is None:
        raise ValueError(f"{source.folder.name} has no decoder")
    graphs = {**encoders, **decoder.write(folder)}
    kept = manifest.files.keys() - {file for graph in manifest.graphs.values() for file in (graph.file, graph.weights)}
    for name in kept:
        (folder / name).write_bytes(source.path(name).read_bytes())
    files = {path.name: File(path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
    golden = Golden(manifest.golden.file, ANY)
    written = replace(manifest, precision="int8", graphs=graphs, files=files, golden=golden)
    (folder / MANIFEST_FILE).write_text(written.to_json(), encoding="utf-8")


def _copy_onnx(source: Bundle, folder: Path, graphs: dict[str, Graph]) -> None:
    for graph in graphs.values():
        store = WeightStore(folder / (graph.weights or ""))
        store.save(onnx.load(source.path(graph.file)), folder / graph.file)


def _copy_openvino(source: Bundle, folder: Path, graphs: dict[str, Graph]) -> None:
    for graph in graphs.values():
        model = openvino.Core().read_model(source.path(graph.file), source.path(graph.weights or ""))
        openvino.save_model(model, folder / graph.file, compress_to_fp16=False)
    share_weights([folder / graph.file for graph in graphs.values()])
