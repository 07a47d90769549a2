"""A tiny encoder-decoder that writes down a language of tones, made by hand: bundles for all engines, and its formula.

At position p the decoder listens to frame p, because keys and queries are waves of the same four frequencies, and says
that frame's tone unless it has said that token before: each earlier token lowers its own logit by an amount that
depends on how far back it is. So logits depend on everything that a cache may get wrong: positions, order, ancestry,
padding. A taste for each token keeps any two from being equally probable.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.contracts import Decoder, contract
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, Audio, File, Frames, Golden, Graph, Manifest
from edgespeech_runtime.text import Detokenizer, Step
from onnx import TensorProto, helper, numpy_helper
from tones import FRAME, GAIN, RATE, TOKENS, spoken, tone_graph, tones

SIZE = len(TOKENS)  # of the vocabulary, and of a head
PAD, START, END = 0, 1, 2
LONGEST = 200  # tokens, and frames
SHARPNESS = 12.0  # of listening
MEMORY = 0.3  # how much the distance matters between a token and an earlier one
BOREDOM = 1.5  # what an earlier token costs
TASTE = np.array([0.31, -0.83, 1.27, -0.41, 0.13, 0.59, 0.37, -0.07], np.float32)
GRAPHS = ("encoder", "encoder_batch", "decoder")
FACTS = Decoder(
    layers=1,
    heads=1,
    head_dim=SIZE,
    vocabulary_size=SIZE,
    longest=LONGEST,
    text="detokenizer.json",
    generation={"decoder_start_token_id": START, "eos_token_id": END, "pad_token_id": PAD, "max_length": 12},
)
DETOKENIZER = Detokenizer(
    tokens=TOKENS,
    steps=(Step("characters", {"blank": "<pad>", "delimiter": "|", "replacement": " "}),),
    special=(0, 1, 2, 3),
    languages={"aa_XX": 5, "bb_XX": 6},
)


def waves() -> np.ndarray:
    """Four frequencies at each position, float32 [positions, 8]; the products of two rows are largest for the same."""
    angles = np.outer(np.arange(LONGEST), [2.399, 1.271, 0.517, 0.083])
    return np.concatenate((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32) / 2


def heard(samples: np.ndarray) -> np.ndarray:
    """What the encoder makes of normalised samples [samples]: [frames, vocabulary]."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return frames @ (tones().T * (2 * GAIN / FRAME)) + np.eye(SIZE)[0] + np.mean(samples**2)


def expected(samples: np.ndarray, tokens: list[int]) -> np.ndarray:
    """Logits after the last of the tokens, by the formula: [vocabulary]."""
    values, table, position = heard(samples), waves(), len(tokens) - 1
    scores = SHARPNESS * table[: len(values)] @ table[position]
    listening = np.exp(scores - scores.max())
    logits = listening / listening.sum() @ values + TASTE
    for place, token in enumerate(tokens):
        logits[token] -= BOREDOM * np.exp(MEMORY * table[place] @ table[position])
    return logits.astype(np.float32)


def encoder_graph(with_lengths: bool) -> onnx.ModelProto:
    """The tones of all frames as values, the waves of the frames' places as keys."""
    model = tone_graph(with_lengths)
    graph = model.graph
    graph.node.extend(
        [
            helper.make_node("Unsqueeze", ["logits", "axis1"], ["cross.0.value"]),
            helper.make_node("Shape", ["logits"], ["batch_size"], start=0, end=1),
            helper.make_node("Shape", ["logits"], ["frame_count"], start=1, end=2),
            helper.make_node("Slice", ["places", "zero", "frame_count", "last"], ["here"]),
            helper.make_node("Concat", ["batch_size", "ones"], ["repeats"], axis=0),
            helper.make_node("Tile", ["here", "repeats"], ["cross.0.key"]),
        ]
    )
    graph.initializer.extend(
        [
            numpy_helper.from_array(waves().T[None, None].copy(), "places"),
            numpy_helper.from_array(np.array([0]), "zero"),
            numpy_helper.from_array(np.array([3]), "last"),
            numpy_helper.from_array(np.array([1, 1, 1]), "ones"),
        ]
    )
    del graph.output[:]
    graph.output.extend(_info(tensor) for tensor in contract("encoder-decoder", FACTS)["encoder"][1])
    onnx.checker.check_model(model, full_check=True)
    return model


def decoder_graph() -> onnx.ModelProto:
    """See the module; bias and cache as the contract has them."""
    weights = {
        "table": waves(),
        "one_hot": np.eye(SIZE, dtype=np.float32),
        "axis1": np.array([1]),
        "axes12": np.array([1, 2]),
        "zero": np.array([0]),
        "end": np.array([2**31 - 1]),
        "last": np.array([3]),
        "sharpness": np.float32(SHARPNESS),
        "memory": np.float32(MEMORY),
        "boredom": np.float32(BOREDOM),
        "taste": TASTE,
    }
    nodes = [
        ("Gather", ["table", "positions"], "wave", {}),  # (batch, new, 8)
        ("Unsqueeze", ["wave", "axis1"], "query", {}),
        ("Transpose", ["query"], "new.0.key", {"perm": [0, 1, 3, 2]}),
        ("Gather", ["one_hot", "tokens"], "said", {}),
        ("Unsqueeze", ["said", "axis1"], "new.0.value", {}),
        ("Unsqueeze", ["bias", "axis1"], "masks", {}),
        ("Shape", ["cache.0.value"], "slots", {"start": 2, "end": 3}),
        ("Slice", ["masks", "zero", "slots", "last"], "mask_of_cache", {}),
        ("Slice", ["masks", "slots", "end", "last"], "mask_of_new", {}),
        ("Mul", ["query", "memory"], "remembering", {}),
        *[
            node
            for part, key, value in (("cache", "cache.0.key", "cache.0.value"), ("new", "new.0.key", "new.0.value"))
            for node in (
                ("MatMul", ["remembering", key], f"likeness_{part}", {}),
                ("Add", [f"likeness_{part}", f"mask_of_{part}"], f"score_{part}", {}),
                ("Exp", [f"score_{part}"], f"weight_{part}", {}),
                ("MatMul", [f"weight_{part}", value], f"memory_of_{part}", {}),
            )
        ],
        ("Add", ["memory_of_cache", "memory_of_new"], "memories", {}),
        ("Mul", ["memories", "boredom"], "tired", {}),
        ("Mul", ["query", "sharpness"], "listening", {}),
        ("MatMul", ["listening", "cross.0.key"], "match", {}),
        ("Unsqueeze", ["cross_bias", "axes12"], "cross_mask", {}),
        ("Add", ["match", "cross_mask"], "real", {}),
        ("Softmax", ["real"], "attention", {"axis": -1}),
        ("MatMul", ["attention", "cross.0.value"], "tones", {}),
        ("Sub", ["tones", "tired"], "possible", {}),
        ("Add", ["possible", "taste"], "wanted", {}),
        ("Squeeze", ["wanted", "axis1"], "logits", {}),
    ]
    inputs, outputs = contract("encoder-decoder", FACTS)["decoder"]
    graph = helper.make_graph(
        [helper.make_node(kind, given, [name], **options) for kind, given, name, options in nodes],
        "writer",
        [_info(tensor) for tensor in inputs],
        [_info(tensor) for tensor in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def _info(tensor):
    kind = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}[tensor.dtype]
    fixed = {"heads": 1, "head_dim": SIZE, "vocabulary": SIZE}
    return helper.make_tensor_value_info(tensor.name, kind, [fixed.get(axis, axis) for axis in tensor.axes])


def graph(name: str) -> onnx.ModelProto:
    return decoder_graph() if name == "decoder" else encoder_graph(name == "encoder_batch")


def make_manifest(engine: str, graphs: dict[str, Graph], files: dict[str, File]) -> Manifest:
    return Manifest(
        task="encoder-decoder",
        engine=engine,
        precision="float32",
        audio=Audio(sampling_rate=RATE, normalize=False, hop=FRAME, shortest=FRAME),
        graphs=graphs,
        files=files,
        frames=Frames((FRAME,), (FRAME,), (0,)),
        golden=Golden("golden.npz", 1e-4),
        decoder=FACTS,
    )


def write_bundle(folder: Path, engine: str) -> Path:
    """Write the bundle for an engine."""
    graphs = {}
    for name in GRAPHS:
        path = folder / f"{name}.onnx"
        onnx.save_model(graph(name), path)
        weights = None
        if engine == "openvino":
            from edgespeech_runtime.engines.openvino import openvino

            openvino.save_model(openvino.convert_model(path), folder / f"{name}.xml", compress_to_fp16=False)
            path.unlink()
            path, weights = folder / f"{name}.xml", f"{name}.bin"
        elif engine == "numpy":
            path.unlink()
            path, weights = folder / f"{name}.json", f"{name}.npz"
            write_program(name, path, folder / weights)
        graphs[name] = Graph(path.name, weights, *contract("encoder-decoder", FACTS)[name])
    if engine == "onnx":
        from edgespeech_export.graphs.cache import cache_graph

        source = cache_graph(FACTS)
        onnx.save_model(source.model, folder / "cache.onnx")
        graphs["cache"] = Graph("cache.onnx", None, source.inputs, source.outputs)
    (folder / FACTS.text).write_text(DETOKENIZER.to_json(), encoding="utf-8")
    values, tokens = spoken("AB|C"), [START, 5, 6, 4]
    logits = np.stack([expected(values, tokens[: n + 1]) for n in range(len(tokens))])
    np.savez(folder / "golden.npz", input_values=values[None], tokens=[tokens], logits=logits[None])
    files = {path.name: File(path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
    (folder / MANIFEST_FILE).write_text(make_manifest(engine, graphs, files).to_json(), encoding="utf-8")
    return folder


def write_program(name: str, path: Path, weights: Path) -> None:
    """Write a graph as the numpy engine takes it."""
    from edgespeech_export.graphs.graphs import GraphSource
    from edgespeech_export.writers.numpy import Archive, to_program
    from torch import nn

    source = GraphSource(name, nn.Identity(), *contract("encoder-decoder", FACTS)[name])
    with Archive(weights) as archive:
        path.write_text(to_program(graph(name), source, archive, "float32"), encoding="utf-8")


def manifest_data() -> dict:
    """The manifest of such a bundle as JSON data, of files that are not there."""
    names = [*(f"{name}.onnx" for name in GRAPHS), "golden.npz", FACTS.text]
    graphs = {name: Graph(f"{name}.onnx", None, *contract("encoder-decoder", FACTS)[name]) for name in GRAPHS}
    return json.loads(make_manifest("onnx", graphs, {name: File(1, "0" * 64) for name in names}).to_json())
