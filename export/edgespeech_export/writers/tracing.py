"""From a torch module to a simplified and checked ONNX graph, by `torch.onnx.export(dynamo=True)`.

Nothing is patched: what is exported is the reference model itself. Where the graph's files go is not known here.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any

import edgespeech_runtime.engines.onnx  # noqa: F401  # first: onnxsim would import onnxruntime with its telemetry
import onnx
import onnxsim
import torch
from edgespeech_runtime.bundle.contracts import LENGTHS
from edgespeech_runtime.bundle.contracts import Tensor as TensorSpec
from torch import Tensor
from torch.export import Dim

from edgespeech_export.errors import ExportError
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers.reshapes import copy_leading_dimensions
from edgespeech_export.writers.weight_names import name_weights

OPSET = 20  # the first with Gelu as one operator
# Gemm takes matrices only: with a batch, the fusion adds two reshapes around it that engines do not see through. Query,
# key and value in one product would be a weight without a name, of a layer that nobody knows.
UNWANTED = ["fuse_matmul_add_bias_into_gemm", "fuse_matmul_add_bias_into_gemm_batched", "fuse_qkv"]
# Sizes of the example that is traced. torch.export takes a size of 1 for a constant, so no axis may come down to it.
BATCH = 2
FRAMES = 13
FREE = {"batch": BATCH, "new": 3, "slots": 5, "columns": 8, "frames": FRAMES}


def to_onnx(source: GraphSource, samples: Callable[[int], int]) -> onnx.ModelProto:
    """Export, simplify and check one graph; `samples` gives the fewest samples for a number of frames.

    Raises:
        ExportError: a tool in the chain refused the graph, or broke it.
    """
    if source.model is not None:
        return source.model
    try:
        with torch.no_grad(), quiet():
            traced = torch.export.export(
                source.module.eval(),
                tuple(_example(spec, source.fixed, samples(FRAMES)) for spec in source.inputs),
                dynamic_shapes=_dynamic_shapes(source),
                strict=False,
            )
            program = torch.onnx.export(
                traced,
                dynamo=True,
                opset_version=OPSET,
                input_names=[spec.name for spec in source.inputs],
                output_names=[spec.name for spec in source.outputs],
                verbose=False,
            )
    except Exception as error:  # torch's exporter raises errors of many classes; the user sees one line
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"torch.onnx could not export the graph {source.name!r}: {reason}") from error
    if program is None:
        raise ExportError(f"torch.onnx gave no program for the graph {source.name!r}")
    model = program.model_proto
    copy_leading_dimensions(model.graph)
    with quiet():
        model, same = onnxsim.simplify(model, skipped_optimizers=UNWANTED)
    if not same:
        raise ExportError(f"onnxsim changed what the graph {source.name!r} computes; report this")
    _name_axes(model, source)
    name_weights(model.graph, source.module)
    del model.graph.value_info[:]  # inferred again by every engine
    model.producer_name = "edgespeech"
    onnx.checker.check_model(model, full_check=True)
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the export tools' own progress, hints and warnings off the user's screen."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _dynamic_shapes(source: GraphSource) -> tuple[Any, ...]:
    """Which axes are free, as torch.export wants them: of a module that takes `*columns`, those are one more tuple."""
    axes = [
        {index: Dim.DYNAMIC for index, axis in enumerate(spec.axes) if axis not in source.fixed}
        for spec in source.inputs
    ]
    named = [p for p in signature(source.module.forward).parameters.values() if p.kind is not p.VAR_POSITIONAL]
    return (*axes[: len(named)], tuple(axes[len(named) :])) if len(axes) > len(named) else tuple(axes)


def _example(spec: TensorSpec, fixed: Mapping[str, int], samples: int) -> Tensor:
    sizes_of = {**FREE, "samples": samples, **fixed}
    sizes = [sizes_of[axis] for axis in spec.axes]
    if spec.dtype != "float32":
        return torch.full(sizes, samples if spec == LENGTHS else 0, dtype=getattr(torch, spec.dtype))
    return torch.randn(sizes, generator=torch.Generator().manual_seed(0))


def _name_axes(model: onnx.ModelProto, source: GraphSource) -> None:
    """Give the free axes of inputs and outputs the names of the contract."""
    for values, specs in ((model.graph.input, source.inputs), (model.graph.output, source.outputs)):
        by_name = {value.name: value for value in values}
        for spec in specs:
            for dimension, axis in zip(by_name[spec.name].type.tensor_type.shape.dim, spec.axes, strict=True):
                if axis in source.fixed:
                    continue
                if dimension.HasField("dim_value"):
                    raise ExportError(f"the graph {source.name!r} came out with a fixed {axis} axis; report this")
                dimension.dim_param = axis
