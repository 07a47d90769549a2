"""Files that other runtimes look for in a bundle: `model.onnx`, `vocab.txt`, `tokens.txt`.

onnx-asr feeds raw audio and lengths and asks for log-probabilities; sherpa-onnx feeds audio alone and takes the first
output; optimum-onnx asks for logits. One graph serves all: its lengths are optional.
"""

from pathlib import Path

import numpy as np
import onnx
from edgespeech_runtime.bundle.contracts import LENGTHS, VALUES
from edgespeech_runtime.bundle.manifest import Vocabulary
from onnx import helper, numpy_helper

BLANK = "<blk>"
SPACE = "\u2581"  # the lower one eighth block, the sign for a space in token tables
WHOLE = 2**31 - 1  # the default length: more samples than any input has


def make_lengths_optional(model: onnx.ModelProto) -> None:
    """Give the input of lengths a default that means all samples; changes the graph.

    An input with an initializer may be left out. The default holds one length; it is limited to the samples there are
    and repeated for the batch.
    """
    graph = model.graph
    (lengths,) = (value for value in graph.input if value.name == LENGTHS.name)
    lengths.type.tensor_type.shape.dim[0].ClearField("dim_param")  # one length, or one per utterance
    inner = f"{LENGTHS.name}_whole"
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == LENGTHS.name:
                node.input[index] = inner
    batch, samples, limited = (f"{LENGTHS.name}_{part}" for part in ("batch", "samples", "limited"))
    nodes = [
        helper.make_node("Shape", [VALUES.name], [batch], start=0, end=1),
        helper.make_node("Shape", [VALUES.name], [samples], start=1, end=2),
        helper.make_node("Min", [LENGTHS.name, samples], [limited]),
        helper.make_node("Expand", [limited, batch], [inner]),
    ]
    for node, name in zip(nodes, (batch, samples, limited, inner), strict=True):
        node.name = f"node_{name}"
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    graph.initializer.append(numpy_helper.from_array(np.array([WHOLE], np.int64), LENGTHS.name))


def token_lines(vocabulary: Vocabulary) -> str:
    """Return the table of tokens, `token id` a line, no line break at the end.

    The blank and the space have names of their own there. White space inside a token would break the table's columns
    and becomes the space's name, which also stands before each token that text separates from the one before.
    """
    lines = []
    for token_id, token in enumerate(vocabulary.tokens):
        if token_id == vocabulary.blank:
            name = BLANK
        elif token == vocabulary.word_delimiter:
            name = SPACE
        else:
            text = token.lower() if vocabulary.lower_case else token
            name = "".join(SPACE if character.isspace() else character for character in text) or f"<{token_id}>"
            name = SPACE + name if vocabulary.separator else name
        lines.append(f"{name} {token_id}")
    return "\n".join(lines)


def write_tables(folder: Path, vocabulary: Vocabulary) -> None:
    """Write `vocab.txt` (onnx-asr), and the same as `tokens.txt` (sherpa-onnx)."""
    for name in ("vocab.txt", "tokens.txt"):
        (folder / name).write_text(token_lines(vocabulary), encoding="utf-8")
