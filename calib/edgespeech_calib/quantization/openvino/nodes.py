"""Making nodes of an OpenVINO graph, each with a name, so that a graph that is made again is the same bit for bit."""

from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.engines.openvino import openvino  # without its telemetry

op = openvino.opset13


def named(node: Any, name: str) -> Any:
    """Name a node: names that OpenVINO makes up count the nodes that the process has made."""
    node.friendly_name = name
    return node


def constant(values: npt.NDArray[Any], name: str) -> Any:
    """Return a constant of the type and shape of an array."""
    return named(op.constant(np.ascontiguousarray(values).reshape(np.shape(values))), name)


def integers(values: list[int] | int, name: str) -> Any:
    """Return a constant of axes, sizes or indices."""
    return constant(np.array(values, np.int64), name)


def number(value: float, name: str) -> Any:
    """Return a constant of one number, without axes."""
    return constant(np.array(value, np.float32), name)


def replace(node: Any, replacement: Any) -> None:
    """Let all that take a node's output take another one."""
    for consumer in list(node.output(0).get_target_inputs()):
        consumer.replace_source_output(replacement)
