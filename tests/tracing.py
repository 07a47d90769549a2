"""Tracing each graph once, however many checkpoints of the same form the tests export: an export waits for tracing.

What is kept has no weights: they are inputs of the graph at that point, and every export puts in its own. A graph is
found by the form of its module, which is all that tracing reads: classes and their code, settings, the names, shapes
and types of weights, and which of them are the same. Processes that share the tests share the graphs.
"""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import onnx
import pytest
import torch
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers import tracing
from filelock import FileLock
from torch import nn

OWN = vars(nn.Module()).keys()  # attributes of every module
# Settings that a model in evaluation mode does not read, or that show in its modules as well.
UNREAD = re.compile(r"architectures|dtype|transformers_version|num_\w*layers|mask_\w+|\w*_?dropout\w*|layerdrop")
PLAIN = (type(None), bool, int, float, str, bytes, torch.dtype, Enum)
FUNCTIONS = (functools.partial, MethodType, FunctionType, BuiltinFunctionType, type)


EXPORTED = tracing._exported  # traces anew, for tests of tracing itself


@contextmanager
def tracing_once(folder: Path) -> Iterator[None]:
    """Within, graphs are traced unless one of the same form is in `folder`, and put there."""

    def kept(source: GraphSource, samples: Callable[[int], int]) -> onnx.ModelProto:
        path = folder / f"{key(source, samples(tracing.FRAMES))}.onnx"
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                partial = path.with_suffix(".partial")
                onnx.save(EXPORTED(source, samples), partial)
                partial.replace(path)
        return onnx.load(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "_exported", kept)
        yield


def key(source: GraphSource, samples: int) -> str:
    """Return a digest of what tracing a graph reads, for an example of so many samples."""
    seen: dict[int, int] = {}
    parts = (source.module.eval(), source.inputs, source.outputs, dict(source.fixed), samples)
    return hashlib.sha256("\n".join(_form(parts, seen)).encode()).hexdigest()


def _form(value: Any, seen: dict[int, int]) -> Iterator[str]:
    """Lines that are equal for what is traced alike; `seen` numbers the modules, tensors and other objects so far."""
    yield type(value).__qualname__
    if isinstance(value, PLAIN):
        yield repr(value)
    elif isinstance(value, dict):
        for name, part in value.items():
            if not (isinstance(name, str) and UNREAD.fullmatch(name)):
                yield from (*_form(name, seen), *_form(part, seen))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _form(part, seen)
    elif isinstance(value, set | frozenset):
        yield from sorted(map(repr, value))
    elif isinstance(value, FUNCTIONS):
        yield from _function(value, seen)
    elif id(value) in seen:
        yield f"the same as {seen[id(value)]}"
    else:
        seen[id(value)] = len(seen)
        yield from _object(value, seen)


def _function(value: Any, seen: dict[int, int]) -> Iterator[str]:
    if isinstance(value, functools.partial):
        yield from _form((value.func, value.args, value.keywords), seen)
    elif isinstance(value, MethodType):
        yield from _form((value.__func__, value.__self__), seen)
    elif isinstance(value, FunctionType):
        yield _code(value)
        yield from _form([cell.cell_contents for cell in value.__closure__ or ()], seen)
    else:
        yield f"{value.__module__}.{value.__qualname__}"


def _object(value: Any, seen: dict[int, int]) -> Iterator[str]:
    if isinstance(value, nn.Module):
        yield from _module(value, seen)
    elif isinstance(value, torch.Tensor):
        yield f"{tuple(value.shape)} {value.dtype}"
        data = value.detach().contiguous().reshape(-1).view(torch.uint8)
        yield hashlib.sha256(data.numpy().tobytes()).hexdigest()
    elif dataclasses.is_dataclass(value):
        yield from _form({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, seen)
    elif isinstance(value, Path):
        return  # where a checkpoint lies is not traced
    elif hasattr(value, "__dict__"):
        yield from _form(vars(value), seen)
    else:
        raise TypeError(f"what tracing reads of a {type(value)} is not known: add it to tests/tracing.py")


def _module(module: nn.Module, seen: dict[int, int]) -> Iterator[str]:
    for kind in type(module).__mro__:
        yield f"{kind.__module__}.{kind.__qualname__}"
        if kind is nn.Module:
            break
        yield from (_code(part) for part in vars(kind).values() if isinstance(part, FunctionType))
    settings = {name: value for name, value in vars(module).items() if name not in OWN}
    for tensors in (module._parameters, module._buffers):
        for name, tensor in tensors.items():
            if tensor is not None and tensor.is_floating_point() and id(tensor) not in seen:
                yield f"{name} {tuple(tensor.shape)} {tensor.dtype}"  # an input of the graph: its values do not matter
                seen[id(tensor)] = len(seen)
            else:
                yield from _form((name, tensor), seen)
    for parts in (settings, dict(module._modules), module._forward_hooks, module._forward_pre_hooks):
        yield from _form(parts, seen)


def _code(function: FunctionType) -> str:
    code = function.__code__
    constants = [constant for constant in code.co_consts if isinstance(constant, PLAIN)]
    return f"{function.__qualname__} {code.co_code.hex()} {code.co_names} {constants} {function.__defaults__}"
