"""Two tiny checkpoints, one of each kind, their bundles, sound files, and the program run in this process.

Graphs are traced once per run of the tests and kept: everything else of an export is real, each time.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import text_vocabularies
import torch
from checkpoints import make_checkpoint
from click.testing import CliRunner, Result
from edgespeech_export import ExportOptions, export
from encoder_decoders import make_encoder_decoder
from sharing import once

from edgespeech import AutoTokenizer
from edgespeech.cli import program

RATE = 16000  # Hz

torch.set_num_threads(1)  # the models are tiny


@pytest.fixture(scope="session")
def checkpoint(shared: Path) -> Path:
    """A wav2vec2 checkpoint of one layer; 64 samples a frame, 66 for the first."""

    def make(folder: Path) -> None:
        make_checkpoint(
            folder,
            weights="edgespeech",
            num_hidden_layers=1,
            conv_dim=[16, 16],
            conv_kernel=[10, 8],
            conv_stride=[8, 8],
        )

    return once(shared / "tiny", make)


@pytest.fixture
def a_checkpoint(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))


@pytest.fixture(scope="session")
def bundle_of(checkpoint: Path, shared: Path) -> Callable[[str], Path]:
    """Export the bundle of an engine, once."""

    def make(engine: str) -> Path:
        if engine == "openvino":
            pytest.importorskip("edgespeech_runtime.engines.openvino")
        options = ExportOptions(engine=engine)  # type: ignore[arg-type]
        return once(shared / f"tiny-{engine}", lambda folder: export(checkpoint, folder, options))

    return make


@pytest.fixture
def bundle(bundle_of: Callable[[str], Path]) -> Path:
    """The ONNX bundle, to read."""
    return bundle_of("onnx")


@pytest.fixture
def a_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def translator(shared: Path) -> Path:
    """An encoder-decoder that writes the languages of mBART-50: a layer in each half, 64 samples a frame."""
    return once(shared / "translator", write_translator)


def write_translator(folder: Path) -> None:
    tokenizer = folder.with_name("translator-tokenizer")
    tokenizer.mkdir()
    text_vocabularies.write_checkpoint(tokenizer, "mbart50")
    make_encoder_decoder(
        folder,
        "mbart",
        weights="edgespeech",
        encoder={"num_hidden_layers": 1, "conv_dim": [16, 16], "conv_kernel": [10, 8], "conv_stride": [8, 8]},
        decoder={
            "decoder_layers": 1,
            "vocab_size": len(AutoTokenizer.from_pretrained(tokenizer)),
            "bos_token_id": 0,
            "pad_token_id": 1,
            "eos_token_id": 2,
        },
        seed=1,  # its texts are of some length, and end
        pad_token_id=1,
        decoder_start_token_id=2,
    )
    for name in ("vocab.json", "special_tokens_map.json"):
        (folder / name).unlink()
    shutil.copytree(tokenizer, folder, dirs_exist_ok=True)


@pytest.fixture
def a_translator(translator: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(translator, tmp_path / "translator"))


@pytest.fixture(scope="session")
def exported_translator(translator: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Its ONNX bundle, exported once, and what the program told of it."""
    folder = tmp_path_factory.mktemp("bundles") / "translator"
    return folder, CliRunner().invoke(program, ["export", str(translator), str(folder)], catch_exceptions=False)


@pytest.fixture
def translator_bundle(exported_translator: tuple[Path, Result]) -> Path:
    """Its ONNX bundle, to read."""
    return exported_translator[0]


@pytest.fixture
def run() -> Callable[..., Result]:
    """`run("inspect", folder)`: the program in this process, with its error handling."""

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(program, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """`refused("inspect", folder)`: run, check exit code 2, nothing on stdout, one line on stderr; return the line."""

    def invoke(*arguments: object, code: int = 2) -> str:
        result = run(*arguments)
        lines = [line for line in result.stderr.splitlines() if not line.startswith("  ")]  # but progress
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("edgespeech: ")
        return lines[0].removeprefix("edgespeech: ")

    return invoke


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """`start("export", ...)`: the program as a process of its own, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def popen(*arguments: object, env: dict[str, str] | None = None, **options: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "edgespeech.cli", *map(str, arguments)],
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(params=["onnx", "openvino"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "edgespeech_runtime.engines.openvino"}[request.param])
    return str(request.param)


@pytest.fixture
def speech() -> Callable[..., np.ndarray]:
    """`speech(seconds, seed=0)`: noise that swells and falls, float32 [samples]; the tiny model hears words in it."""

    def make(seconds: float, seed: int = 0) -> np.ndarray:
        time = np.arange(int(seconds * RATE)) / RATE
        noise = np.random.default_rng(seed).standard_normal(len(time))
        return (0.2 * noise * np.sin(7 * time) ** 2).astype(np.float32)

    return make


@pytest.fixture
def labelled(tmp_path: Path, speech: Callable[..., np.ndarray]) -> Callable[[str], Path]:
    """`labelled("set.tsv")`: a manifest of three recordings; the tiny model hears something else in them."""
    soundfile = pytest.importorskip("soundfile")

    def write(name: str) -> Path:
        folder = tmp_path / "set"
        folder.mkdir()
        rows = ["path\ttext\tspeaker"]
        for index, file in enumerate(("a.wav", "b.flac", "c.wav")):
            soundfile.write(folder / file, speech(0.3 + 0.2 * index, seed=index), RATE)
            rows.append(f"{file}\thello there\t{index}")
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
        return folder / name

    return write


@pytest.fixture
def recordings(tmp_path: Path, speech: Callable[..., np.ndarray]) -> list[Path]:
    """Three recordings of different lengths: WAVE, FLAC, stereo WAVE at another rate."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path / "recordings"
    folder.mkdir()
    paths = [folder / "a.wav", folder / "b.flac", folder / "c.wav"]
    soundfile.write(paths[0], speech(0.5), RATE)
    soundfile.write(paths[1], speech(0.8, seed=1), RATE)
    soundfile.write(paths[2], np.stack([speech(0.3, seed=2), speech(0.3, seed=3)], axis=1), 2 * RATE)
    return paths
