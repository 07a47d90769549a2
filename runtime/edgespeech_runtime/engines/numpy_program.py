"""A graph as the numpy engine runs it: a list of steps, read from a JSON file that people can read too.

The file: `inputs` and `outputs` as in the manifest, `constants` (type and values), `weights` (what each is called in
the archive), and `steps` in the order in which they run. What a step does is said in `numpy_operators`.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.contracts import Tensor
from ..bundle.manifest import MANIFEST_FILE
from ..bundle.schema import build
from ..errors import BundleError
from .numpy_operators import OPERATORS, Array, Operator, keywords
from .numpy_operators.workers import Workers
from .numpy_weights import Wanted

FORMAT = 1


@dataclass(frozen=True)
class Constant:
    """A small constant: numpy's name of its type, and its values as a number or lists of numbers."""

    dtype: str
    values: Any

    def array(self) -> Array:
        """As an array, read-only."""
        array = np.array(self.values, self.dtype)
        array.flags.writeable = False
        return array


@dataclass(frozen=True)
class StepSpec:
    """A step as the file has it: the module that it belongs to, the operator, names of values and attributes.

    An input that is left out is called "".
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Program:
    """The file. Raises BundleError for what this runtime does not know, and for what does not fit together."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    constants: dict[str, Constant]
    weights: dict[str, str]
    steps: tuple[StepSpec, ...]
    format: int = FORMAT

    def __post_init__(self) -> None:
        _require(self.format == FORMAT, f"expected format {FORMAT}, got {self.format}: upgrade edgespeech-runtime")
        available = {*self.constants, *self.weights, *(tensor.name for tensor in self.inputs)}
        for step in self.steps:
            _check(step, {*self.weights})
            for name in step.inputs:
                _require(
                    not name or name in available, f"step {step.name} reads {name!r}, which no step before it gives"
                )
            for name in step.outputs:
                _require(name not in available, f"step {step.name} gives {name!r} once more")
                available.add(name)
        for tensor in self.outputs:
            _require(tensor.name in available, f"no step gives the output {tensor.name!r}")

    @classmethod
    def read(cls, path: Path) -> "Program":
        """Read a file. Raises OSError or ValueError where it is not JSON, BundleError for what is in it."""
        data = json.loads(path.read_text(encoding="utf-8"))
        try:
            program: Program = build(cls, data, "")
        except BundleError as error:
            raise BundleError(f"{path.name}: {str(error).removeprefix(f'{MANIFEST_FILE}: ')}") from None
        return program

    def wanted(self) -> dict[str, Wanted]:
        """What to read from the archive, by the names of this program's values."""
        needed: dict[str, Wanted] = {name: (key, "", lambda array: array) for name, key in self.weights.items()}
        for step in self.steps:
            for position, arrange in OPERATORS[step.op].arranges.items():
                given = {name: value for name, value in step.attributes.items() if name in keywords(arrange)}
                way = f"{arrange.__name__} {sorted(given.items())}"
                needed[step.inputs[position]] = (self.weights[step.inputs[position]], way, partial(arrange, **given))
        return needed


@dataclass(frozen=True)
class Step:
    """A step made ready.

    Attributes:
        call: the operator with its attributes.
        spare: places of inputs whose memory nobody needs any more, so that the result may be written there.
        is_mapped: of those only the first, whatever the shapes of the others.
        done: values to let go of afterwards.
    """

    spec: StepSpec
    call: Any
    spare: tuple[int, ...]
    is_mapped: bool
    done: tuple[str, ...]


def plan(program: Program, workers: Workers) -> tuple[tuple[Step, ...], frozenset[str]]:
    """The steps made ready, and those outputs that share memory with something that is not the caller's."""
    roots = _roots(program)
    given = {tensor.name for tensor in program.inputs} | {*program.constants, *program.weights}
    outputs = [tensor.name for tensor in program.outputs]
    last = {name: index for index, step in enumerate(program.steps) for name in (*step.inputs, *step.outputs) if name}
    freed: dict[str, int] = {}
    for name, index in last.items():
        freed[roots[name]] = max(index, freed.get(roots[name], 0))
    kept = {roots[name] for name in (*given, *outputs)}
    steps = []
    for index, spec in enumerate(program.steps):
        operator = OPERATORS[spec.op]
        positions = (
            () if operator.in_place == "none" else (0,) if operator.in_place == "first" else range(len(spec.inputs))
        )
        free = (position for position in positions if (name := spec.inputs[position]) and freed[roots[name]] == index)
        spare = tuple(position for position in free if roots[spec.inputs[position]] not in kept)
        names = {*spec.inputs, *spec.outputs} - given - {*outputs, ""}
        done = tuple(sorted(name for name in names if last[name] == index))
        steps.append(Step(spec, _call(spec, operator, workers), spare, operator.in_place == "first", done))
    shared = Counter(roots[name] for name in outputs)
    return tuple(steps), frozenset(name for name in outputs if roots[name] in given or shared[roots[name]] > 1)


def _roots(program: Program) -> dict[str, str]:
    """For each value the one in whose memory it may lie."""
    roots = {name: name for name in (*(tensor.name for tensor in program.inputs), *program.constants, *program.weights)}
    for step in program.steps:
        is_view = OPERATORS[step.op].is_view
        roots.update((name, roots[step.inputs[0]] if is_view else name) for name in step.outputs)
    return roots


def _call(spec: StepSpec, operator: Operator, workers: Workers) -> Any:
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in spec.attributes.items()}
    if not isinstance(operator.function, np.ufunc) and "workers" in keywords(operator.function):
        given["workers"] = workers
    return partial(operator.function, **given) if given else operator.function


def _check(step: StepSpec, weights: set[str]) -> None:
    where = f"step {step.name}: the operator {step.op}"
    operator = OPERATORS.get(step.op)
    if operator is None:
        raise BundleError(f"{where} is not known to this runtime: upgrade edgespeech-runtime")
    expected = operator.attributes()
    for name in step.attributes:
        _require(name in expected, f"{where} has the attribute {name}, which this runtime does not know: upgrade it")
    for name, default in expected.items():
        _require(default is not Parameter.empty or name in step.attributes, f"{where} lacks the attribute {name}")
    for index in operator.arranges:
        is_weight = index < len(step.inputs) and step.inputs[index] in weights
        _require(is_weight, f"{where} must have a weight as its input {index}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise BundleError(message)


def unknown(step: Mapping[str, Any], weights: set[str]) -> str | None:
    """Why this runtime could not run a step of a program that has these weights; None where it could."""
    try:
        _check(build(StepSpec, dict(step), ""), weights)
    except BundleError as error:
        return str(error)
    return None
