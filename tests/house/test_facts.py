"""What an engine and what a task is stands in one place each: nobody else decides by their names or classes."""

import ast
from typing import get_args

import pytest
from edgespeech_runtime.choices import EngineName

PACKAGES = ("edgespeech/", "export/", "calib/", "runtime/")
# Where a name of an engine may be compared with: in the tables of engines, and in the engine's own module.
TABLES = ("runtime/edgespeech_runtime/choices.py", "runtime/edgespeech_runtime/engines/", "edgespeech/engines.py")
RUNTIME = "runtime/edgespeech_runtime/"  # its loader returns these classes; everybody else calls their methods
MODELS = {"Model", "CtcModel", "EncoderDecoderModel", "HeadModel", "Classifier", "FrameClassifier", "EmbeddingModel"}


def engines_compared(text):
    """Lines that compare something with the name of an engine."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            values = [node.left, *node.comparators]
            if any(isinstance(value, ast.Constant) and value.value in get_args(EngineName) for value in values):
                yield node.lineno


def tasks_told_by_class(text):
    """Lines that ask which class a model of the runtime is."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            names = {
                part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in ast.walk(node)
            }
            if names & MODELS:
                yield node.lineno


def lines(tracked, root, find, excepted):
    for file in tracked:
        name = file.relative_to(root).as_posix()
        if file.suffix == ".py" and name.startswith(PACKAGES) and not name.startswith(excepted):
            yield from (f"{name}:{line}" for line in find(file.read_text(encoding="utf-8")))


def test_nothing_is_decided_by_an_engine_s_name(tracked, root):
    assert list(lines(tracked, root, engines_compared, TABLES)) == []


def test_nothing_is_decided_by_a_model_s_class(tracked, root):
    assert list(lines(tracked, root, tasks_told_by_class, (RUNTIME,))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("if engine == 'openvino': pass", [1]),
        ("x = 'numpy' in y", [1]),
        ("engine = 'openvino'", []),
    ],
)
def test_comparisons_with_engines_are_found(text, found):
    assert list(engines_compared(text)) == found


@pytest.mark.parametrize(
    ("text", "found"), [("isinstance(model, runtime.CtcModel)", [1]), ("isinstance(model, dict)", [])]
)
def test_questions_for_classes_are_found(text, found):
    assert list(tasks_told_by_class(text)) == found
