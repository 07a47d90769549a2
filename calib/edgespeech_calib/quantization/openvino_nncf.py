"""NNCF as the teacher: it runs calibration audio through a float graph and says how to quantize each layer.

What it learns is read from the graph that it gives: ranges, smoothing, corrected biases. That graph is not used.
"""

import contextlib
import functools
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from edgespeech_runtime.engines.openvino import TELEMETRY

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import Utterances, spaced
from edgespeech_calib.quantization.openvino_forms import Floats, Learnt
from edgespeech_calib.quantization.openvino_network import MOVES, Model, Node, Port, Product, bias, named, source
from edgespeech_calib.quantization.options import Ranges, Types

# Evenly spaced in the set. NNCF passes over them three times, which is most of the time of a quantization, and keeps a
# mean of each layer's input for every one.
MOST_UTTERANCES = 64
SMOOTHED = "nncf_smooth_quant"  # what NNCF calls its factors
LEFT_OUT = (1 - 0.9999) / 2  # of the values at either end, for "percentile"
# What NNCF would quantize beside the layers.
QUANTIZED = frozenset(
    {"Add", "AvgPool", "Interpolate", "MVN", "MatMul", "MaxPool", "Multiply", "ReduceMean", "Subtract"}
)


def _import_nncf() -> Any:
    """Import NNCF without the telemetry that it shares with OpenVINO."""
    is_blocked = TELEMETRY not in sys.modules and "nncf" not in sys.modules
    if is_blocked:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        import nncf
        import nncf.quantization.advanced_parameters
        import nncf.quantization.range_estimator
    except ImportError as error:
        raise QuantizationError(
            f"INT8 for OpenVINO needs the package nncf; install it with pip install 'edgespeech[openvino]' ({error})"
        ) from error
    finally:
        if is_blocked:
            del sys.modules[TELEMETRY]
    return nncf


nncf = _import_nncf()


class _Stream:
    """Utterances as NNCF reads them, from the beginning whenever it wants."""

    def __init__(self, utterances: Utterances, name: str) -> None:
        self._utterances, self._name = spaced(utterances, MOST_UTTERANCES), name

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return ({self._name: values} for values in self._utterances())


def learn(
    model: Model, products: Sequence[Product], utterances: Utterances, ranges: Ranges | None, types: Types
) -> dict[str, Learnt]:
    """Calibrate a float graph; returns what was learnt of each layer that NNCF quantizes.

    Raises:
        QuantizationError: there is no utterance, or NNCF refused the graph.
    """
    if next(iter(utterances()), None) is None:
        raise QuantizationError("there is no utterance to calibrate on")
    chosen = {product.node.friendly_name for product in products}
    others = [node.friendly_name for node in model.get_ordered_ops() if _is_other(node, chosen)]
    with _quiet():
        try:
            quantized = nncf.quantize(
                model,
                nncf.Dataset(_Stream(utterances, model.inputs[0].get_any_name())),
                subset_size=MOST_UTTERANCES,
                model_type=nncf.ModelType.TRANSFORMER,
                ignored_scope=nncf.IgnoredScope(names=others, validate=False),
                advanced_parameters=_parameters(ranges, types),
            )
        except (nncf.InternalError, nncf.ValidationError, RuntimeError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise QuantizationError(f"NNCF could not quantize the graph: {reason}") from error
    nodes = named(quantized.get_ordered_ops())
    found: dict[str, Learnt] = {}
    for product in products:
        learnt = _learnt(product, nodes[product.node.friendly_name])
        if learnt is not None:
            found[product.name] = learnt
    return found


def _is_other(node: Node, chosen: set[str]) -> bool:
    return node.get_type_name() in QUANTIZED and node.friendly_name not in chosen


def _parameters(ranges: Ranges | None, types: Types) -> Any:
    advanced, estimator = nncf.quantization.advanced_parameters, nncf.quantization.range_estimator
    parameters = advanced.AdvancedQuantizationParameters(
        overflow_fix=advanced.OverflowFix.ENABLE if types.reduce_range else advanced.OverflowFix.DISABLE
    )
    if ranges == "minmax":
        parameters.activations_range_estimator_params = estimator.RangeEstimatorParametersSet.MINMAX
    elif ranges == "percentile":
        kind, mean = estimator.StatisticsType.QUANTILE, estimator.AggregatorType.MEAN
        end = functools.partial(estimator.StatisticsCollectorParameters, kind, mean, quantile_outlier_prob=LEFT_OUT)
        parameters.activations_range_estimator_params = estimator.RangeEstimatorParameters(end(), end())
    return parameters


def _learnt(product: Product, node: Node) -> Learnt | None:
    limits, smooth = [], None
    for port in product.ports:
        found = _range(node.input_value(port))
        if found is None:
            return None
        limits.append(found[0])
        smooth = found[1]
    return Learnt(tuple(limits), smooth, _shift(product.node, node))


def _range(port: Port) -> tuple[tuple[float, float], Floats | None] | None:
    """Range and smoothing of an activation before a layer; None where NNCF put nothing there."""
    node = port.get_node()
    while node.get_type_name() in MOVES:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "FakeQuantize":
        return None
    low, high = (np.asarray(node.input_value(index).get_node().data) for index in (1, 2))
    if low.size != 1 or high.size != 1:
        return None
    before = node.input_value(0).get_node()
    while before.get_type_name() in MOVES:
        before = before.input_value(0).get_node()
    smooth = None
    if before.friendly_name.endswith(SMOOTHED):
        smooth = np.asarray(before.input_value(1).get_node().data, np.float32).ravel()
    return (float(low.item()), float(high.item())), smooth


def _shift(before: Node, after: Node) -> Floats | None:
    """By how much NNCF moved the bias that follows a product."""
    old, new = bias(before), bias(after)
    if old is None or new is None:
        return None
    values = [np.asarray(source(add.input_value(port)).data) for add, port in (old, new)]
    shift: Floats = (values[1] - values[0]).astype(np.float32).ravel()
    return shift if shift.any() else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF's log and progress bars off the screen; it has no switch for the latter."""
    from nncf.common.logging.track_progress import track

    logger, begin = logging.getLogger("nncf"), track.__init__
    level = logger.level
    logger.setLevel(logging.ERROR)
    track.__init__ = functools.partialmethod(begin, disable=True)
    try:
        yield
    finally:
        track.__init__ = begin
        logger.setLevel(level)
