"""From a torch module to a simplified and checked ONNX graph, by `torch.onnx.export(dynamo=True)`.

Nothing is patched: what is exported is the reference model itself. Weights are inputs of the graph while it is worked
on, so that no tool copies them; of layers that are alike, two are traced and the rest are copies of the second's nodes
(`repetition`). At the end, what is computed of weights alone is computed, and they become weights again
(`weight_folding`). Where the graph's files go is not known here.
"""

import contextlib
import functools
import gc
import io
import logging
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

import edgespeech_runtime.engines.onnx  # noqa: F401  # first: onnxsim would import onnxruntime with its telemetry
import onnx
import onnxsim
import torch
from edgespeech_runtime.bundle.contracts import LENGTHS
from edgespeech_runtime.bundle.contracts import Tensor as TensorSpec
from torch import Tensor, nn
from torch.export import Dim

from edgespeech_export.errors import ExportError
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers.joining import joined
from edgespeech_export.writers.repetition import TRACED, Names, repeated, shortened
from edgespeech_export.writers.reshapes import copy_leading_dimensions
from edgespeech_export.writers.traced_graph import TracedGraph
from edgespeech_export.writers.unmasked import unmasked
from edgespeech_export.writers.weight_folding import fold

OPSET = 20  # the first with Gelu as one operator
# Gemm takes matrices only: with a batch, the fusion adds two reshapes around it that engines do not see through. Query,
# key and value in one product would be a weight without a name, of a layer that nobody knows.
UNWANTED = ["fuse_matmul_add_bias_into_gemm", "fuse_matmul_add_bias_into_gemm_batched", "fuse_qkv"]
# Sizes of the example that is traced. torch.export takes a size of 1 for a constant, so no axis may come down to it.
BATCH = 2
FRAMES = 13
FEATURES = 4001  # frames of a conv stack, enough for whatever shortens them; nothing is computed of the example
FREE = {"batch": BATCH, "new": 3, "slots": 5, "columns": 8, "frames": FRAMES, "conv_frames": FEATURES}


def trace(source: GraphSource, samples: Callable[[int], int]) -> TracedGraph:
    """Export, simplify and check one graph; `samples` gives the fewest samples for a number of frames.

    Raises:
        ExportError: a tool in the chain refused the graph, or broke it.
    """
    if source.model is not None:
        return TracedGraph(source.model, {})
    parts = source.parts or (source,)
    traced = {"" if part is source else part.name: _traced(part, samples) for part in parts}
    model = joined(traced, [spec.name for spec in source.outputs])
    _name_axes(model, source)
    source.edit(model)
    del model.graph.value_info[:]  # inferred again by every engine
    model.producer_name = "edgespeech"
    onnx.checker.check_model(model, full_check=True)
    named = {name: tensor for part in parts for name, tensor in tensors(part.module).items()}
    return fold(model, {name: tensor.detach().numpy() for name, tensor in named.items()})


def _traced(source: GraphSource, samples: Callable[[int], int]) -> onnx.ModelProto:
    """The graph of a module, traced once, with the names of the source for what it takes and gives."""
    model = onnx.ModelProto()
    model.CopyFrom(_kept(source, samples))
    ports = (
        *zip(model.graph.input, source.inputs, strict=False),
        *zip(model.graph.output, source.outputs, strict=True),
    )
    renamed = {port.name: spec.name for port, spec in ports}  # behind the inputs stand weights
    for port in (*model.graph.input, *model.graph.output):
        port.name = renamed.get(port.name, port.name)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return model


def _kept(source: GraphSource, samples: Callable[[int], int]) -> onnx.ModelProto:
    """The graph of a module as it was traced first, or derived from one with lengths."""
    if "graph" not in source.kept:
        model = None
        if source.masked is not None:
            (lengths,) = {spec.name for spec in source.masked.inputs} - {spec.name for spec in source.inputs}
            model = unmasked(_kept(source.masked, samples), lengths)
        source.kept["graph"] = model or _of_two_layers(source, samples) or _exported(source, samples)
    return source.kept["graph"]


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers of a module, under each of their names."""
    buffers = module.named_buffers(remove_duplicate=False)
    return {**dict(module.named_parameters(remove_duplicate=False)), **dict(buffers)}


def _of_two_layers(source: GraphSource, samples: Callable[[int], int]) -> onnx.ModelProto | None:
    """The graph by tracing two of its layers; None where they are not alike, and it must be traced whole."""
    layers = source.layers
    module = None if layers is None else shortened(source.module, layers)
    if layers is None or module is None:
        return None
    path = next(name for name, part in source.module.named_modules() if part is layers)
    columns = {spec.name.split(".")[0] for spec in (*source.inputs, *source.outputs) if spec.name.count(".") == 2}
    names = Names((path, *sorted(columns)))
    inputs, outputs = (
        tuple(spec for spec in specs if (names.layer(spec.name) or 0) < TRACED)
        for specs in (source.inputs, source.outputs)
    )
    model = repeated(
        _exported(replace(source, module=module, inputs=inputs, outputs=outputs), samples), names, len(layers)
    )
    if model is not None:
        for ports, specs in ((model.graph.input, source.inputs), (model.graph.output, source.outputs)):
            order = {spec.name: index for index, spec in enumerate(specs)}
            ordered = sorted(ports, key=lambda port: order.get(port.name, len(order)))
            del ports[:]
            ports.extend(ordered)
    return model


def _exported(source: GraphSource, samples: Callable[[int], int]) -> onnx.ModelProto:
    """A simplified graph whose weights are inputs, behind those of the source."""
    try:
        with torch.no_grad(), quiet(), _uncollected():
            traced = torch.export.export(
                source.module.eval(),
                tuple(_example(spec, source.fixed, samples(FRAMES)) for spec in source.inputs),
                dynamic_shapes=_dynamic_shapes(source),
                strict=False,
            )
            program = _program(traced)
            if program is None:
                raise ExportError(f"torch.onnx gave no program for the graph {source.name!r}")
            _weights_as_inputs(program.model.graph, tensors(source.module).keys())
            program.optimize()
            for values, specs in (
                (program.model.graph.inputs, source.inputs),
                (program.model.graph.outputs, source.outputs),
            ):
                for value, spec in zip(values, specs, strict=False):  # behind inputs stand weights
                    value.name = spec.name
    except ExportError:
        raise
    except Exception as error:  # torch's exporter raises errors of many classes; the user sees one line
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"torch.onnx could not export the graph {source.name!r}: {reason}") from error
    model = program.model_proto
    copy_leading_dimensions(model.graph)
    with quiet():
        model, same = onnxsim.simplify(model, skipped_optimizers=UNWANTED)
    if not same:
        raise ExportError(f"onnxsim changed what the graph {source.name!r} computes; report this")
    simplified: onnx.ModelProto = model
    return simplified


def _program(traced: torch.export.ExportedProgram) -> Any:
    """The ONNX program of what was traced, not yet optimized.

    `torch.onnx.export` reads the sources of all its operators anew each time, a third of what a small graph takes. What
    it calls with them takes them from here; where a version of torch has it otherwise, it is called itself.
    """
    try:
        from torch.onnx._internal.exporter import _core

        return _core.export(traced, registry=_operators(), opset_version=OPSET, optimize=False, verbose=False)
    except (ImportError, AttributeError, TypeError):
        return torch.onnx.export(traced, dynamo=True, opset_version=OPSET, optimize=False, verbose=False)


@functools.cache
def _operators() -> Any:
    """What torch.onnx has for each operator of torch's."""
    from torch.onnx._internal.exporter import _registration

    return _registration.ONNXRegistry.from_torchlib(OPSET)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Put off the search for garbage in cycles, which goes through millions of nodes again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _weights_as_inputs(graph: Any, names: Collection[str]) -> None:
    """Turn the initializers of these names into inputs; changes a graph of onnx_ir's."""
    for name in [name for name in graph.initializers if name in names]:
        value = graph.initializers.pop(name)
        value.const_value = None
        graph.inputs.append(value)


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
