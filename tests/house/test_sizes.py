"""Modules and functions small enough to read at once, and a repository small enough to clone."""

import ast
from statistics import median

import pytest

MODULE = 400  # lines
MEDIAN = 130
FUNCTION = 60
FOLDER = 16  # modules
FAMILY = 120  # lines
WEIGHTS = 80_000_000  # bytes, all weight files together
FILE = 50_000_000  # bytes, of any file
BINARY = {".safetensors", ".onnx", ".bin", ".npz", ".data", ".pt", ".pth", ".npy", ".lm"}


@pytest.fixture(scope="session")
def sources(root, tracked):
    """Python files that are in git, and those that would be."""
    folders = ("edgespeech", "export", "calib", "runtime", "tests", "benchmarks", "examples")
    return sorted({*tracked, *(file for folder in folders for file in (root / folder).rglob("*.py"))})


def long_functions(text):
    """Name and lines of each function that is too long, its decorators and docstring counted."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = node.end_lineno - first + 1
            if lines > FUNCTION:
                yield node.name, lines


def test_no_module_is_too_long(sources, root):
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in sources if file.suffix == ".py"}
    assert len(lines) > 100
    wrong = [f"{file.relative_to(root)} has {count} lines" for file, count in lines.items() if count > MODULE]
    assert not wrong, f"more than {MODULE} lines; split by what changes together: {'; '.join(wrong)}"


def test_half_of_the_modules_are_small(root):
    homes = [root / name for name in ("edgespeech", "export", "calib", "runtime")]
    files = [file for home in homes for file in home.rglob("*.py") if "build" not in file.parts]
    lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in files if file.name != "__init__.py"]
    assert median(lines) <= MEDIAN


def test_no_function_is_too_long(sources, root):
    wrong = [
        f"{name} in {file.relative_to(root)} has {lines} lines"
        for file in sources
        if file.suffix == ".py"
        for name, lines in long_functions(file.read_text(encoding="utf-8"))
    ]
    assert not wrong, f"more than {FUNCTION} lines; name the steps: {'; '.join(wrong)}"


def test_no_folder_holds_too_many_modules(root):
    homes = [root / name for name in ("edgespeech", "export", "calib", "runtime")]
    folders = {file.parent for home in homes for file in home.rglob("*.py") if "build" not in file.parts}
    counts = {folder: sum(file.name != "__init__.py" for file in folder.glob("*.py")) for folder in folders}
    wrong = [f"{folder.relative_to(root)} holds {count}" for folder, count in counts.items() if count > FOLDER]
    assert not wrong, f"more than {FOLDER} modules; group them by what they are about: {'; '.join(wrong)}"


def test_a_family_of_models_is_a_small_file(root):
    files = [*root.glob("edgespeech/models/encoders/*.py"), *root.glob("edgespeech/models/decoders/*.py")]
    assert len(files) > 12
    lines = {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    wrong = [f"{name} has {count} lines" for name, count in lines.items() if count > FAMILY]
    assert not wrong, f"more than {FAMILY} lines; a family says only what differs: {'; '.join(wrong)}"


@pytest.mark.parametrize(("lines", "found"), [(FUNCTION, []), (FUNCTION + 1, [("f", FUNCTION + 1)])])
def test_lines_of_a_function_are_counted_from_its_decorator(lines, found):
    text = "\n".join(["class C:", "    @property", "    def f(self):", *["        pass"] * (lines - 2)])
    assert list(long_functions(text)) == found


def test_weights_in_git_stay_small(tracked, root):
    sizes = {file: file.stat().st_size for file in tracked if file.suffix in BINARY}
    listed = ", ".join(f"{file.relative_to(root)} {size:,}" for file, size in sizes.items())
    assert sum(sizes.values()) <= WEIGHTS, f"more than {WEIGHTS:,} bytes of weights: {listed}"


def test_no_file_in_git_is_large(tracked, root):
    large = [str(file.relative_to(root)) for file in tracked if file.stat().st_size > FILE]
    assert not large, f"more than {FILE:,} bytes: {', '.join(large)}"
