"""What docs/architecture.md names is there."""

import importlib
import re

import pytest

PACKAGES = ("edgespeech_runtime", "edgespeech", "edgespeech_export", "edgespeech_calib")
DOTTED = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`")
STEP = re.compile(r"^(\d+)\. `", re.MULTILINE)
MOST = {"Waveform to text": 8, "Checkpoint to float bundle": 10}  # modules of a walk


@pytest.fixture(scope="module")
def text(root):
    return (root / "docs" / "architecture.md").read_text(encoding="utf-8")


def resolved(name):
    """The module, and what follows its name as attributes of it."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        item = module
        for part in parts[count:]:
            item = getattr(item, part)
        return module.__name__, item
    raise AssertionError(name)


def test_every_function_that_it_names_exists(text):
    names = DOTTED.findall(text)
    assert len(names) >= sum(MOST.values())
    for name in names:
        assert resolved(name)


@pytest.mark.parametrize(("title", "most"), MOST.items())
def test_a_walk_goes_through_few_modules(text, title, most):
    section = text.split(title, 1)[1].split("\n\n")[1]
    modules = [resolved(name)[0] for name in DOTTED.findall(section)]
    assert len(modules) == len(STEP.findall(section))
    assert 1 < len(set(modules)) <= most


def test_every_file_that_it_names_exists(text, tracked):
    named = [name for name in re.findall(r"`([\w./-]+\.py)`", text) if "..." not in name]
    assert len(named) > 10
    paths = [path.as_posix() for path in tracked]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in paths)] == []
