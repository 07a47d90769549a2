"""A language of tones, and graphs that understand it.

Each token of the vocabulary has a frequency; a frame of 320 samples (kernel = stride = 320) holds one tone. All
frequencies are multiples of 50 Hz, so their sines are orthogonal over a frame and start in phase: what a waveform says
is known exactly. Each logit also carries the power of the whole utterance, so that the padded graph is right only if it
uses the lengths.
"""

import numpy as np
import onnx
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
