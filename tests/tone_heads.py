"""Tiny bundles of the three heads over the language of `tones`, on all engines, and what they compute by numpy.

A frame's score for each of the tones A, B and C is its projection on them, plus a bias. Frames: those are the logits.
The other heads take their mean over the real frames: of a padded batch that is right only if the lengths are used.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from edgespeech_runtime.bundle.contracts import HEADS, VALUES, Static, static_contract
from edgespeech_runtime.bundle.manifest import Audio, Frames, Graph
from onnx import numpy_helper
from tone_bundles import WRITERS, finish
from tones import FRAME, GAIN, NAMES, RATE, spoken, tones

LABELS = ("A", "B", "C")
BIAS = -4.0
STATIC = Static(buckets=(4 * FRAME, 10 * FRAME), masks=(1,), hidden=-1e4)
FRAMES = Frames((FRAME,), (FRAME,), (0,))
TASKS = ("audio-classification", "audio-frame-classification", "audio-xvector")
FEATURES = "feature-extraction"  # likewise by frame; what it says of its features is the tests' business
BY_FRAME = ("audio-frame-classification", FEATURES)
FACTS = {
    "audio-classification": {"labels": LABELS},
    "audio-frame-classification": {"labels": LABELS},
    "audio-xvector": {"dimensions": len(LABELS), "audio": Audio(RATE, True, FRAME, 2 * FRAME)},
}

# What is true of frames: told by a mask, or by lengths, or all of them.
REAL = {
    "mask": "count = Identity(mask)",
    "lengths": """
        shape = Shape(by_frame)
        frames = Gather(shape, one)
        order = Range(zero, frames, one)
        counts = Div(input_lengths, hop)
        upto = Unsqueeze(counts, axis1)
        is_real = Less(order, upto)
        count = Cast <to: int = 1> (is_real)""",
}


def head_graph(task: str, told: str = "", samples: int | None = None) -> onnx.ModelProto:
    """The graph of a task, `told` which frames are real by "lengths" or a "mask"; of a fixed shape for `samples`."""
    more = {"": "", "lengths": ", int64[batch] input_lengths", "mask": f", float[1, {(samples or 0) // FRAME}] mask"}
    shape = "batch, samples" if samples is None else f"1, {samples}"
    output, frames = HEADS[task], "frames" if samples is None else str(samples // FRAME)  # type: ignore[index]
    sizes = {"batch": "batch" if samples is None else "1", "frames": frames}
    axes = ", ".join(sizes.get(axis, str(len(LABELS))) for axis in output.axes)
    if task in BY_FRAME:
        head = f"{output.name} = Identity(by_frame)"
        head += "\nunused = Identity(input_lengths)" if told == "lengths" else ""
    elif told:
        head = f"""{REAL[told]}
        weight = Unsqueeze(count, axis2)
        weighted = Mul(by_frame, weight)
        sums = ReduceSum <keepdims: int = 0> (weighted, axis1)
        number = ReduceSum <keepdims: int = 1> (count, axis1)
        {output.name} = Div(sums, number)"""
    else:
        head = f"{output.name} = ReduceMean <keepdims: int = 0> (by_frame, axis1)"
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["": 18]>
        tones (float[{shape}] input_values{more[told]}) => (float[{axes}] {output.name}) {{
        channel = Unsqueeze(input_values, axis1)
        scores = Conv <strides: ints = [{FRAME}], kernel_shape: ints = [{FRAME}]> (channel, kernel, bias)
        by_frame = Transpose <perm: ints = [0, 2, 1]> (scores)
        {head}
        }}""")
    if told == "mask":  # the parser takes no dots in names
        model.graph.input[1].name = "mask.1"
        model.graph.node.insert(0, onnx.helper.make_node("Identity", ["mask.1"], ["mask"]))
    constants = {
        "kernel": tones()[[NAMES[label] for label in LABELS], None] * np.float32(2 * GAIN / FRAME),
        "bias": np.full(len(LABELS), BIAS, np.float32),
        "axis1": np.array([1]),
        "axis2": np.array([2]),
        "zero": np.array(0),
        "one": np.array(1),
        "hop": np.array(FRAME),
    }
    used = {name for node in model.graph.node for name in node.input}
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used]
    model.graph.initializer.extend(tensors)
    onnx.checker.check_model(model, full_check=True)
    return model


def scores(values: np.ndarray, task: str = "audio-frame-classification") -> np.ndarray:
    """What the graph of a task gives for normalised samples, float64 [frames, labels] or [labels]."""
    heard = values[: len(values) // FRAME * FRAME].astype(np.float64).reshape(-1, FRAME)
    found = heard @ tones()[[NAMES[label] for label in LABELS]].T * (2 * GAIN / FRAME) + BIAS
    return found if task in BY_FRAME else found.mean(axis=0)


def build_head(engine: str, task: str, folder: Path, **facts: Any) -> Path:
    """Write the whole bundle of a task for an engine into an empty folder."""
    output = HEADS[task]  # type: ignore[index]
    graphs = WRITERS[engine](folder, lambda is_batch: head_graph(task, "lengths" if is_batch else ""), output)
    return finish(engine, folder, graphs, _golden(task), task=task, **{**FACTS.get(task, {}), **facts})


def build_static_head(task: str, folder: Path, **facts: Any) -> Path:
    """The same with graphs of fixed shapes, for ONNX Runtime."""
    graphs = {}
    for (name, (inputs, outputs)), samples in zip(
        static_contract(task, STATIC).items(),  # type: ignore[arg-type]
        STATIC.buckets,
        strict=True,
    ):
        onnx.save_model(head_graph(task, "mask", samples), folder / f"{name}.onnx")
        graphs[name] = Graph(f"{name}.onnx", None, inputs, outputs)
    known = {**FACTS.get(task, {}), **facts}
    return finish("onnx", folder, graphs, _golden(task), task=task, static=STATIC, **known)


def _golden(task: str) -> dict[str, np.ndarray]:
    values = spoken("AAB")[None]
    found = scores(values[0], task)[None].astype(np.float32)
    return {VALUES.name: values, HEADS[task].name: found}  # type: ignore[index]
