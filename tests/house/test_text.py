"""What the repository's text promises, and what must not stand in it."""

import re

import pytest

PRIVATE = re.compile(rb"(?<![\w.$}/])/(?:work|root|home/\w+|Users/\w+)/")  # absolute paths of somebody's machine


# "|" stands for "/", so that this file does not name such paths.
@pytest.mark.parametrize("line", ["|work|main", "cd |root|x", '"|home|anna|x"', "(|Users|anna|x)"])
def test_private_paths_are_recognised(line):
    assert PRIVATE.search(line.replace("|", "/").encode())


@pytest.mark.parametrize("line", ["a|work|b", "$HOME|work|", "https:||x.org|work|", "|workshop|", "rootless|"])
def test_other_paths_are_not(line):
    assert not PRIVATE.search(line.replace("|", "/").encode())


def test_no_file_names_a_path_of_somebodys_machine(tracked, root):
    wrong = []
    for file in tracked:
        content = file.read_bytes()
        if b"\0" not in content[:1024]:  # text
            lines = enumerate(content.splitlines(), start=1)
            wrong += [f"{file.relative_to(root)}:{number}" for number, line in lines if PRIVATE.search(line)]
    assert not wrong, f"absolute paths of one machine in {', '.join(wrong)}"


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_says_how_to_begin(root, command):
    assert command in (root / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench"])
def test_every_target_is_short(root, target):
    recipes = re.split(r"\n(?=\S)", (root / "Makefile").read_text(encoding="utf-8"))
    (recipe,) = [text for text in recipes if text.startswith(f"{target}:")]
    assert 1 <= sum(line.startswith("\t") for line in recipe.splitlines()) < 10


def test_nothing_that_ships_loads_or_advises_to_load_unsafely(root):
    """Neither code nor messages nor documents; torch's own advice to do so is never passed on."""
    homes = ("edgespeech", "export", "calib/edgespeech_calib", "runtime/edgespeech_runtime", "docs", "examples")
    files = [file for home in homes for kind in ("py", "md") for file in (root / home).rglob(f"*.{kind}")]
    assert len(files) > 300
    advice = re.compile(r"(weights_only|use_safetensors) ?= ?False|(trust_remote_code|allow_pickle) ?= ?True")
    wrong = [str(file.relative_to(root)) for file in files if advice.search(file.read_text(encoding="utf-8"))]
    assert not wrong, f"unsafe loading in {', '.join(wrong)}"
