"""Names in the packages are words that engineers know."""

import ast
import re

import pytest

FORBIDDEN = {
    "wish", "wishes", "verdict", "verdicts", "resident", "made",
    "hear", "hears", "heard", "hearing", "spoken", "marks",
    "dear", "desk", "making", "sure",
}  # fmt: skip
PACKAGES = ("edgespeech/", "export/", "runtime/", "calib/")


def words(name):
    """The words of an identifier, in lower case."""
    return {word.lower() for part in name.split("_") for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part)}


def identifiers(text):
    """Every name that a module gives to something, with its line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def test_no_name_is_a_word_of_our_own(tracked, root):
    wrong = []
    for file in tracked:
        name = file.relative_to(root).as_posix()
        if file.suffix == ".py" and name.startswith(PACKAGES):
            lines = dict(identifiers(file.read_text(encoding="utf-8")))
            wrong += [f"{name}:{line} {each}" for each, line in lines.items() if words(each) & FORBIDDEN]
            wrong += [name] if words(file.stem) & FORBIDDEN else []
    assert not wrong, "; ".join(wrong)


TEXT = re.compile(r"\b(wish|wishes|verdicts?|hearing|dear|desk|is_apart|run_there)\b", re.IGNORECASE)


def test_no_document_and_no_message_has_one(tracked, root):
    """Of those that mean nothing else there: docstrings, messages, help texts and docs/."""
    wrong = []
    for file in tracked:
        name = file.relative_to(root).as_posix()
        if name.endswith(".md") and name.startswith(("docs/", "README")):
            texts = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        elif file.suffix == ".py" and name.startswith(PACKAGES):
            nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            constants = (node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
            texts = ((node.lineno, node.value) for node in constants)
        else:
            continue
        wrong += [f"{name}:{line} {match[0]}" for line, text in texts if (match := TEXT.search(text))]
    assert not wrong, "; ".join(wrong)


@pytest.mark.parametrize(("name", "found"), [("_heard", True), ("HeardText", True), ("measured", False)])
def test_words_of_a_name_are_found(name, found):
    assert bool(words(name) & FORBIDDEN) == found
