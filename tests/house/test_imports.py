"""Imports run one way through the packages. What the runtime may import and load at all is held by
tests/runtime/test_package.py.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOMES = {
    "edgespeech_runtime": ROOT / "runtime" / "edgespeech_runtime",
    "edgespeech": ROOT / "edgespeech",
    "edgespeech_export": ROOT / "export" / "edgespeech_export",
    "edgespeech_calib": ROOT / "calib" / "edgespeech_calib",
}
ORDER = (*HOMES, "edgespeech.cli")  # each may import those to its left
FOREIGN = {
    "benchmarks",
    "examples",
    "tests",
    "transformers",
    "jiwer",
    "onnx_asr",
    "sherpa_onnx",
}  # no package's business


def modules():
    """Every module of the packages: dotted name, file."""
    for package, home in HOMES.items():
        for file in sorted(home.rglob("*.py")):
            parts = [package, *file.relative_to(home).with_suffix("").parts]
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def imported(module, file, is_run=False):
    """Dotted names of all that a module imports, wherever in its code, relative imports resolved.

    With `is_run`, without those that only type checkers see.
    """
    base = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    unseen = type_checking(tree) if is_run else set()
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(
                [*base[: len(base) - node.level + 1], *filter(None, [node.module])] if node.level else [node.module]
            )
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def type_checking(tree):
    """Nodes that only type checkers see."""
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    return {part for block in blocks for statement in block.body for part in ast.walk(statement)}


def graph(files):
    """Which modules each module imports when it runs; `files` are pairs (dotted name, file)."""
    known = dict(files)

    def home(name):
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name

    return {
        module: {home(name) for name in imported(module, file, is_run=True)} - {"", module}
        for module, file in known.items()
    }


def circles(edges):
    """Sets of modules that import each other, by Tarjan's strongly connected components (1972)."""
    order, lowest, stack, found = {}, {}, [], []

    def visit(module):
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for other in sorted(edges[module]):
            if other not in order:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            found.append(circle)

    for module in sorted(edges):
        if module not in order:
            visit(module)
    return [circle for circle in found if len(circle) > 1]


def test_no_modules_import_each_other():
    found = circles(graph(modules()))
    assert not found, "; ".join(" <-> ".join(circle) for circle in found)


def test_a_circle_is_seen(tmp_path):
    texts = {
        "a": "from . import b",
        "b": "def later():\n    from .c import x",
        "c": "import p.a",
        "d": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import e",
        "e": "from . import d",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    edges = graph([(f"p.{name}", tmp_path / f"{name}.py") for name in texts])
    assert edges["p.e"] == {"p.d"}
    assert [sorted(circle) for circle in circles(edges)] == [["p.a", "p.b", "p.c"]]


def place(name):
    """Place in the order of the package that a dotted name belongs to; None for everybody else's."""
    if name == "edgespeech.cli" or name.startswith("edgespeech.cli."):
        return ORDER.index("edgespeech.cli")
    package = name.split(".")[0]
    return ORDER.index(package) if package in ORDER else None


@pytest.mark.parametrize(("module", "file"), [pytest.param(*pair, id=pair[0]) for pair in modules()])
def test_nothing_imports_to_its_right(module, file):
    own = place(module)
    wrong = [name for name in imported(module, file) if (other := place(name)) is not None and other > own]
    assert not wrong, f"{module} imports {', '.join(wrong)}; imports run {' <- '.join(ORDER)}"
    foreign = [name for name in imported(module, file) if name.split(".")[0] in FOREIGN]
    assert not foreign, f"{module} imports {', '.join(foreign)}, which are for development only"


def test_the_scan_sees_every_way_to_import(tmp_path):
    file = tmp_path / "auto.py"
    file.write_text(
        "import os.path, edgespeech_calib\n"
        "from edgespeech import cli\n"
        "from . import ctc\n"
        "from ..errors import InputError\n"
        "def later():\n    from edgespeech_export.export import export\n"
    )
    found = list(imported("edgespeech.models.auto", file))
    assert found == [
        "os.path",
        "edgespeech_calib",
        "edgespeech.cli",
        "edgespeech.models.ctc",
        "edgespeech.errors.InputError",
        "edgespeech_export.export.export",
    ]
    assert [place(name) for name in found] == [None, 3, 4, 1, 1, 2]


def loaded(code):
    """Top-level names of all modules loaded after `code` ran in a fresh interpreter."""
    code += "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_edgespeech_loads_no_torch():
    assert not loaded("import edgespeech; edgespeech.__version__; dir(edgespeech)") & {
        "torch",
        "numpy",
        "onnxruntime",
        "openvino",
        "transformers",
    }


@pytest.mark.parametrize("module", ["edgespeech_export.writers.tracing", "edgespeech_calib.quantization.onnx.session"])
def test_the_telemetry_of_onnxruntime_is_off(module, tmp_path):
    """It would keep a database in the home folder, from the import on, and send it."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", f"import {module}"], env=kept, check=True, timeout=120)
    assert not [str(path) for path in tmp_path.rglob("*") if "onnxruntime" in path.name.lower()]
