"""Every environment that the Makefile sets up has the versions of constraints.txt."""

import re

import pytest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
INSTALL = re.compile(r"pip install (.*)")
OURS = {"edgespeech", "edgespeech-runtime"}


def named(requirement):
    """The package's name in the one form in which two spellings of it are alike."""
    return re.sub(r"[-_.]+", "-", NAME.match(requirement)[0]).lower()


@pytest.fixture(scope="module")
def pinned(root):
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {named(line) for line in lines if re.match(r"[\w.-]+==[\w.]+( *;|$)", line)}


def test_every_install_is_constrained_and_names_no_version_itself(root):
    installs = INSTALL.findall((root / "Makefile").read_text(encoding="utf-8"))
    assert len(installs) >= 4
    for arguments in installs:
        assert "--constraint constraints.txt" in arguments
        assert "=" not in arguments


def test_every_package_that_is_asked_for_has_a_version(root, pinned):
    tomllib = pytest.importorskip("tomllib", reason="Python's own reader of TOML came with 3.11")
    wanted = {"pip"}
    for file in ("pyproject.toml", "runtime/pyproject.toml"):
        content = tomllib.loads((root / file).read_text(encoding="utf-8"))
        lists = [content["build-system"]["requires"], content["project"]["dependencies"]]
        lists += content["project"]["optional-dependencies"].values()
        wanted |= {named(requirement) for one in lists for requirement in one}
    for arguments in INSTALL.findall((root / "Makefile").read_text(encoding="utf-8")):
        words = arguments.replace("constraints.txt", "").replace('"', "").split()
        wanted |= {named(word) for word in words if not word.startswith(("-", ".", "runtime["))}
    assert "onnxruntime-webgpu" in wanted
    assert wanted - OURS <= pinned
