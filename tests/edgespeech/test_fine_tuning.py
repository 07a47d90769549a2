"""The example that fine-tunes: each kind of checkpoint learns made-up recordings, and the result is exported."""

import io
import json
import runpy
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
import torch
from checkpoints import make_checkpoint
from edgespeech_calib import open_set, score
from edgespeech_export import ExportOptions, export
from encoder_decoders import make_encoder_decoder
from places import ROOT, embedded, real_speech
from safetensors.torch import load_file

SCRIPT = ROOT / "examples" / "fine_tune" / "fine_tune.py"
RATE = 16000
WORDS = ("ON", "UP")  # no letter twice in a row, which the tokenizer of the tests would write once
PITCHES = (300.0, 2000.0)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tones, high and low, by three speakers, with texts and labels."""
    folder = tmp_path_factory.mktemp("tones")
    rows = []
    for index in range(12):
        times = np.arange(int(RATE * (0.5 + 0.02 * index))) / RATE
        tone = 0.3 * np.sin(2 * np.pi * (PITCHES[index % 2] + 10 * index) * times)
        soundfile.write(folder / f"{index}.wav", tone, RATE)
        word = WORDS[index % 2]
        rows.append({"path": f"{index}.wav", "text": word, "label": word.lower(), "speaker": f"s{index // 4}"})
    path = folder / "tones.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run_apart(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script as its user does."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it in this process, which has imported already what takes seconds to import."""
    command = [str(SCRIPT), *map(str, arguments)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
        warnings.simplefilter("default")  # they are for the user of the script
        patch.setattr(sys, "argv", command)
        patch.syspath_prepend(str(SCRIPT.parent))
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            err.write("" if code == end.code else f"{end.code}\n")
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def exported(checkpoint: Path, folder: Path, engine: str = "numpy"):
    export(checkpoint, folder, ExportOptions(engine=engine))  # type: ignore[arg-type]
    return edgespeech_runtime.load(folder)


def test_a_classifier_of_two_labels_learns_them(manifest: Path, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "tiny", weights="edgespeech", mask_time_prob=0.0)
    out = tmp_path / "tuned"
    options = ("--task", "classification", "--steps", 40, "--rate", 1e-3, "--held-out", manifest)
    done = run_apart(checkpoint, manifest, out, *options)
    assert done.returncode == 0, done.stderr
    assert "held out: accuracy 100.0% (12 of 12)" in done.stdout
    held_out = rows(out / "held-out.jsonl")
    with exported(out, tmp_path / "bundle") as model:
        assert [model.classify(row["path"]).label for row in held_out] == [row["label"] for row in held_out]


def test_a_ctc_checkpoint_keeps_its_vocabulary_and_frozen_layers(manifest: Path, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "tiny", "hubert", weights="edgespeech", mask_time_prob=0.0)
    out = tmp_path / "tuned"
    done = run(checkpoint, manifest, out, "--steps", 5, "--freeze-encoder-layers", 1, "--held-out", 3)
    assert done.returncode == 0, done.stderr
    assert "4 recordings held out: word error rate" in done.stdout
    assert {row["speaker"] for row in rows(out / "held-out.jsonl")} == {"s0"}  # every third speaker
    assert {row["speaker"] for row in rows(out / "train.jsonl")} == {"s1", "s2"}
    assert json.loads((out / "vocab.json").read_text()) == json.loads((checkpoint / "vocab.json").read_text())
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoint, out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("layers.1." in name or "lm_head" in name for name in changed)


def test_a_bare_encoder_gets_a_vocabulary_of_the_texts(manifest: Path, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "tiny", head="Model", weights="edgespeech", mask_time_prob=0.0)
    for name in ("vocab.json", "tokenizer_config.json", "special_tokens_map.json"):
        (checkpoint / name).unlink()
    out = tmp_path / "tuned"
    done = run(checkpoint, manifest, out, "--task", "ctc", "--steps", 30, "--rate", 3e-3, "--held-out", manifest)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads((out / "vocab.json").read_text())) == sorted(
        ["<pad>", "<s>", "</s>", "<unk>", "|", *"NOPU"]
    )
    with exported(out, tmp_path / "bundle") as model:
        answers = [model.transcribe(row["path"]).text for row in rows(out / "held-out.jsonl")]
    errors = score([WORDS[index % 2] for index in range(12)], answers).errors
    assert f"({errors} errors in 12 words)" in done.stdout


@pytest.mark.slow
def test_an_encoder_decoder_learns_two_words(manifest: Path, tmp_path: Path) -> None:
    checkpoint = make_encoder_decoder(tmp_path / "tiny", "bart", weights="edgespeech", encoder={"mask_time_prob": 0.0})
    out = tmp_path / "tuned"
    done = run(checkpoint, manifest, out, "--steps", 60, "--rate", 3e-3, "--held-out", manifest)
    assert done.returncode == 0, done.stderr
    assert "word error rate 0.0% (0 errors in 12 words)" in done.stdout
    with exported(out, tmp_path / "bundle") as model:
        assert [model.transcribe(str(manifest.parent / f"{index}.wav")).text for index in range(2)] == list(WORDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--freeze-encoder-layers", 3), "--freeze-encoder-layers 3: the encoder has 2 layers"),
        (("--held-out", 1), "expected two parts"),
    ],
)
def test_bad_options_are_named(manifest: Path, tmp_path: Path, arguments: tuple, message: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "tiny", weights="edgespeech")
    done = run(checkpoint, manifest, tmp_path / "tuned", *arguments)
    assert done.returncode and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "tuned").exists()


@pytest.mark.slow
def test_wake_words_are_told_apart_in_int8_too(tmp_path: Path) -> None:
    wake_words = real_speech("keywords") / "train.tsv"
    options = ("--task", "classification", "--freeze-encoder-layers", 4, "--held-out", 20, "--minutes", 5)
    done = run_apart(embedded("ctc-en"), wake_words, tmp_path / "tuned", *options)
    assert done.returncode == 0, done.stderr
    data = open_set(tmp_path / "tuned" / "held-out.jsonl")
    assert len(data) == 92
    export(tmp_path / "tuned", tmp_path / "float32", ExportOptions(engine="onnx"))
    quantize = ("quantize", tmp_path / "float32", tmp_path / "int8", "--calib", tmp_path / "tuned" / "train.jsonl")
    command = [sys.executable, "-m", "edgespeech.cli", *map(str, quantize)]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("float32", "int8"):
        with edgespeech_runtime.load(tmp_path / name) as model:
            answers = [model.classify(one.audio.read(RATE)).label for one in data]
        right = sum(answer == one.label for answer, one in zip(answers, data, strict=True))
        assert right >= 0.95 * len(data)


def test_a_manifest_without_texts_is_named(manifest: Path, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "tiny", weights="edgespeech")
    untold = manifest.with_name("untold.jsonl")
    untold.write_text(json.dumps({"path": "0.wav", "label": "on"}) + "\n", encoding="utf-8")
    done = run(checkpoint, untold, tmp_path / "tuned")
    assert "error: no text for recordings to train on" in done.stderr
