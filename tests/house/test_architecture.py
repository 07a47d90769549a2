"""What docs/architecture.md names is there."""

import importlib
import re
import sys

import edgespeech_runtime
import pytest
import tone_bundles
from checkpoints import make_checkpoint
from click.testing import CliRunner

from edgespeech.cli import program

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


def called(names, run):
    """These functions in the order in which `run` first calls them."""
    codes, order = {}, []
    for name in names:
        function = resolved(name)[1]
        function = getattr(function, "callback", function)  # of a command of click
        codes[getattr(function, "__wrapped__", function).__code__] = name

    def watch(frame, event, argument):
        name = codes.get(frame.f_code) if event == "call" else None
        if name is not None and name not in order:
            order.append(name)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(before)
    return order


def walk(text, title):
    return DOTTED.findall(text.split(title, 1)[1].split("\n\n")[1])


def test_the_walk_of_a_waveform_is_what_happens(text, tmp_path):
    names = walk(text, "Waveform to text")
    with edgespeech_runtime.load(tone_bundles.build("onnx", tmp_path), threads=1) as model:
        assert called(names, lambda: model.transcribe(tone_bundles.spoken("AA_B"))) == names


@pytest.mark.slow
def test_the_walk_of_a_checkpoint_is_what_happens(text, tmp_path):
    names = walk(text, "Checkpoint to float bundle")
    arguments = ["export", str(make_checkpoint(tmp_path / "tiny", weights="edgespeech")), str(tmp_path / "bundle")]
    assert called(names, lambda: CliRunner().invoke(program, arguments, catch_exceptions=False)) == names


def test_every_file_that_it_names_exists(text, tracked):
    named = [name for name in re.findall(r"`([\w./-]+\.py)`", text) if "..." not in name]
    assert len(named) > 10
    paths = [path.as_posix() for path in tracked]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in paths)] == []
