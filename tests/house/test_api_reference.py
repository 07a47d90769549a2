"""docs/api.md has what the docstrings say."""

import importlib.util
import re

import edgespeech_runtime
import pytest
from edgespeech_runtime import live


@pytest.fixture(scope="module")
def made(root):
    """The script that writes the page, as a module."""
    spec = importlib.util.spec_from_file_location("make_api", root / "docs" / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(made):
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "docs/api.md is not up to date: run make api"


def test_the_page_has_every_public_name(made):
    listed = set(re.findall(r"^### (\w+)$", made.page(), re.MULTILINE))
    assert set(edgespeech_runtime.__all__) - {"EdgeSpeechRuntimeError"} <= listed  # which stands in the tree of errors
    assert set(live.__all__) <= listed


def test_a_signature_is_as_it_is_written(made):
    def example(audio: "list[float]", *, beams: int | None = None, **options: object) -> "str":
        """One."""

    assert made.signature(example) == "(audio: list[float], *, beams: int | None = None, **options: object) -> str"
