"""`edgespeech lm build`, `convert` and `inspect`."""

import json
from pathlib import Path

import pytest
from edgespeech_runtime.ctc.language_model import open_language_model

from edgespeech.cli.commands.lm import FALLBACK
from edgespeech.ngrams import discounts

GOLDENS = Path(__file__).parents[1] / "goldens" / "ngrams"
SENTENCES = GOLDENS / "sentences.txt"


def test_the_help_names_the_discounts():
    assert discounts.parse_fallback(FALLBACK) == discounts.FALLBACK


def test_build_writes_a_compact_file(run, tmp_path):
    result = run("lm", "build", SENTENCES, tmp_path / "lm", "--prune", "0,0,1")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == f"{tmp_path / 'lm'}: compact, order 3, 309 words, 14.2 kB"
    assert "  3-grams               25" in result.stdout.splitlines()
    model, lmplz = open_language_model(tmp_path / "lm"), open_language_model(GOLDENS / "pruned.arpa")
    assert model.words == lmplz.words
    assert model.score(model.begin(), "I")[0] == pytest.approx(lmplz.score(lmplz.begin(), "I")[0], abs=1e-6)


def test_build_writes_arpa_and_json(run, tmp_path):
    result = run("lm", "build", SENTENCES, tmp_path / "lm.arpa", "--order", 2, "--prune", "0", "--prune", "1", "--json")
    found = json.loads(result.stdout)
    assert found["tokens"] == len(SENTENCES.read_text().split())
    assert found["order"] == 2
    assert (found["ngrams"], found["words"]) == ([312, 62], 309)
    assert (tmp_path / "lm.arpa").read_text().startswith("\\data\\\nngram 1=312\nngram 2=62\n\n\\1-grams:\n")


def test_convert_and_back(run, tmp_path):
    assert run("lm", "convert", GOLDENS / "three.arpa", tmp_path / "lm").exit_code == 0
    back = run("lm", "convert", tmp_path / "lm", tmp_path / "back.arpa.gz", "--json")
    assert json.loads(back.stdout)["kind"] == "ARPA"
    again = run("lm", "convert", tmp_path / "back.arpa.gz", tmp_path / "again")
    assert again.exit_code == 0
    assert (tmp_path / "again").read_bytes() == (tmp_path / "lm").read_bytes()
    run("lm", "convert", tmp_path / "lm", tmp_path / "small", "--quantize")
    assert (tmp_path / "small").stat().st_size < (tmp_path / "lm").stat().st_size


@pytest.mark.parametrize(
    ("file", "kind", "words"),
    [
        ("three.arpa", "ARPA", 309),
        ("three.probing", "KenLM probing", 309),
        ("three.quantized-array-trie", "KenLM quantized array trie", 309),
        ("three.no-words", "KenLM trie", None),
    ],
)
def test_inspect(run, file, kind, words):
    facts = json.loads(run("lm", "inspect", GOLDENS / file, "--json").stdout)
    assert (facts["kind"], facts["words"], facts["order"]) == (kind, words, 3)
    assert facts["ngrams"][0] == 312
    assert run("lm", "inspect", GOLDENS / file).stdout.startswith(f"{GOLDENS / file}: {kind}, order 3, ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lm", "none.arpa"), "none.arpa: no such language model; expected an ARPA, KenLM binary or compact file"),
        (("--lm", "lm.arpa", "--no-lm"), "--lm and --no-lm exclude each other"),
        (("--lm-alpha", "1"), "--lm-alpha is for --lm; name a language model there"),
        (("--no-lm", "--lm-beta", "1"), "--lm-beta is for --lm"),
    ],
)
def test_export_refuses_options_that_contradict_each_other(refused, tmp_path, options, message):
    assert message in refused("export", tmp_path, tmp_path / "bundle", *options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "TEXT", "there.lm"), "there.lm exists; name another file, or replace it with --force"),
        (("build", "none.txt", "lm"), "none.txt' does not exist"),
        (("build", "TEXT", "lm", "--order", "7"), "order: expected 1 to 6, got 7"),
        (("build", "TEXT", "lm", "--prune", "a"), "--prune: expected numbers such as 0,0,1, got 'a'"),
        (("build", "TEXT", "lm", "--memory", "much"), "--memory: expected a size such as 500M or 2G, got 'much'"),
        (("build", "there.lm", "lm"), "has no words"),
        (("build", "TEXT", "lm.arpa", "--quantize"), "--quantize is for compact files"),
        (("convert", "TEXT", "lm"), "has no line \\data\\"),
        (("convert", "none.arpa", "lm"), "none.arpa: no such language model"),
        (("convert", "KENLM", "lm"), "holds hashes of n-grams, not their words"),
        (("inspect", "there.lm"), "has no line \\data\\"),
    ],
)
def test_what_is_refused(refused, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.lm").touch()
    named = {"TEXT": str(SENTENCES), "KENLM": str(GOLDENS / "three.probing")}
    assert message in refused("lm", *(named.get(each, each) for each in arguments))
    assert [path.name for path in tmp_path.iterdir()] == ["there.lm"]
