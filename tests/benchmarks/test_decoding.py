"""The benchmark of generation as its user runs it, on tiny decoders. How fast anything is, is not asserted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from click.testing import CliRunner

from benchmarks.decoders import SIZES, Family, audio_seconds, random_model, reading
from benchmarks.decoding import EVERYONE, main
from benchmarks.workload import waveform

ROOT = Path(__file__).parents[2]
FAMILIES = get_args(Family)
KINDS = ["bundle", "INT8 bundle", "INT4 bundle"]
NAMES = ["torch, transformers", *(f"{engine}, {kind}" for engine in ("onnxruntime", "OpenVINO") for kind in KINDS)]


def decoding(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.decoding", "--size", "tiny", "--runs", "1", "--threads", "1"]
    return subprocess.run([*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=900)


def check(done, file, titles, frames, tokens, beams):
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    rows = {
        (f"{row['model']}, {row['engine']}, {row['name']}", row["beams"]): row
        for decoder in found["decoders"]
        for row in decoder["rows"]
    }
    assert list(rows) == [(title, count) for title in titles for count in (1, beams)]
    for decoder in found["decoders"]:
        assert decoder["unavailable"] == {}
        assert decoder["reference"] == f"{decoder['model']}, torch, transformers"
        assert decoder["kinds_of_tokens"] > tokens // 3  # or the check of tokens would prove little
        assert {"load_before", "load_after", "read_gb_per_second", "bytes_read"} <= decoder.keys()
    for row in rows.values():
        assert row["weights"] == {"INT8": "int8", "INT4": "int4"}.get(row["name"][:4], "float32")
        assert row["agrees"] == (row["different_tokens"] == 0)
        assert row["agrees"] or row["weights"] != "float32"
        assert len(row["seconds"]) == len(row["seconds_one"]) == 1
        printed = [f"{row['ms_per_token']:.2f}", f"{row['speedup']:.2f}", f"{row['over_greedy']:.2f}"]
        printed.append("same" if row["agrees"] else "other")
        assert any(set(printed) <= set(line.split()) for line in done.stdout.splitlines()), printed
    assert found["versions"]["torch"] == torch.__version__
    assert (found["benchmark"], found["size"], found["runs"], found["threads"]) == ("decoding", "tiny", 1, 1)
    assert (found["frames"], found["tokens"], found["beams"]) == (frames, tokens, [1, beams])
    assert found["machine"] in done.stdout
    assert "load average before" in done.stdout


@pytest.mark.slow
def test_some(tmp_path):
    file = tmp_path / "new" / "bench.json"
    titles = [f"gpt2, {name}" for name in (NAMES[0], "onnxruntime, INT4 bundle")]
    only = [part for title in titles for part in ("--only", title)]
    done = decoding("--frames", 40, "--tokens", 24, "--beams", 3, "--json", file, *only)
    check(done, file, titles, 40, 24, 3)


@pytest.mark.slow
def test_all(tmp_path):
    titles = [f"{family}, {name}" for family in FAMILIES for name in NAMES]
    check(decoding("--json", tmp_path / "bench.json"), tmp_path / "bench.json", titles, 500, 64, 4)


def test_all_are_offered():
    assert [each.title for each in EVERYONE] == [f"{family}, {name}" for family in FAMILIES for name in NAMES]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "tensorflow"], "no contender's title has tensorflow in it"),
        (["--runs", "0"], "--runs"),
        (["--frames", "0"], "--frames"),
        (["--tokens", "1"], "--tokens"),
        (["--beams", "1"], "--beams"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(arguments, said):
    done = CliRunner().invoke(main, ["--size", "tiny", "--threads", "1", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_models_of_somebody_else_are_not_used(tmp_path):
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "mine.txt").touch()
    done = CliRunner().invoke(main, ["--size", "tiny", "--threads", "1", "--models", str(tmp_path)])
    assert done.exit_code == 2
    assert "delete it, or name another" in done.stderr


def test_sizes_are_the_published_ones():
    sizes = {}
    for family in FAMILIES:
        with torch.device("meta"):
            model = random_model(family, "base")
        sizes[family] = (*model.decoder.geometry, model.decoder.vocab_size, model.decoder.architecture.inner)
    assert sizes == {
        "bert": (12, 12, 64, 30522, 3072),
        "gpt2": (12, 12, 64, 50257, 3072),
        "bart": (6, 12, 64, 50265, 3072),
    }
    assert SIZES.keys() == {"base", "tiny"}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_reads_the_weights_that_its_logits_depend_on_and_no_table(family):
    frames = 7
    model = random_model(family, "tiny")
    decoder = model.decoder
    cross = tuple((key.detach(), value.detach()) for key, value in decoder.cross(torch.randn(1, frames, 32)))
    zero = torch.zeros(1, 1, dtype=torch.long)
    logits, new = decoder.step(zero, zero, torch.zeros(1, 1, 1, 1), (), cross)
    logits.square().sum().backward()
    tables = ("position_embeddings.weight", "token_type_embeddings.weight", "wpe.weight", "embed_positions.weight")
    used = {
        name: parameter
        for name, parameter in decoder.named_parameters()
        if parameter.grad is not None and not name.endswith(tables)
    }
    found = reading(decoder, frames)
    assert found.weights == sum(tensor.nbytes for tensor in used.values())  # the token table is the head: read whole
    matrices = sum(tensor.numel() for tensor in used.values() if tensor.ndim == 2)
    assert found.weights - found.int8 == 3 * matrices  # of 4 bytes each, one is left
    assert found.int8 - found.int4 == (matrices - 60 * 32) / 2  # all but the head's are halved again
    assert any(tensor.shape == (60, 32) for tensor in used.values())
    assert found.cross == sum(tensor.nbytes for pair in cross for tensor in pair)
    assert found.token == sum(tensor.nbytes for pair in new for tensor in pair)
    for weights, size in (("float32", found.weights), ("int8", found.int8), ("int4", found.int4)):
        assert found.total(4, 2.5, weights) == size + found.cross + 10 * found.token


def test_a_table_apart_from_the_head_is_not_read():
    decoder = random_model("gpt2", "tiny").decoder
    tied = reading(decoder, 1).weights
    decoder.untie()
    assert reading(decoder, 1).weights == tied


@pytest.mark.parametrize("family", FAMILIES)
def test_the_checkpoint_is_seeded_speaks_and_never_ends(family):
    first, second = (random_model(family, "tiny") for _ in range(2))
    weights = second.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in first.state_dict().items())
    values = torch.from_numpy(waveform(audio_seconds(11)))[None]
    states, _ = first.encode(values)
    assert states.shape[1] == 11
    said = first.generate(values, max_new_tokens=40)[0]
    assert len(said) == 41
    assert len(set(said.tolist())) > 12
