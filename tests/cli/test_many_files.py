"""Commands on many files: some are read while others run, and results come in the order of the files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from edgespeech_runtime.cli.recognition import streams_for
from tone_bundles import build
from tones import RATE, spoken

soundfile = pytest.importorskip("soundfile")

TEXTS = ["A_B", "A", "B|C_", "A_B|C_", "C"] * 8
LONG = 17  # the recording that is run in windows
ENDS = 300  # seconds, after which something hangs
STOPPED = """
import os, signal
from edgespeech.cli import main
from edgespeech_runtime.tasks.batches import HeadRunner
run, calls = HeadRunner.run_batch, []
def and_signal(self, *arguments):
    calls.append(0)
    if len(calls) == 8:
        os.kill(os.getpid(), signal.SIGINT)
    return run(self, *arguments)
HeadRunner.run_batch = and_signal
main()
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return build("onnx", tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 recordings, one of them long, and a file that is none."""
    folder = tmp_path_factory.mktemp("recordings")
    for index, text in enumerate(TEXTS):
        samples = spoken(text)
        if index == LONG:
            samples = np.concatenate([samples, np.zeros(50 * RATE, np.float32)])
        soundfile.write(folder / f"{index:02}.wav", samples, RATE)
    (folder / "20b.wav").write_text("no sound")
    return folder


@pytest.mark.parametrize("batch_size", [2, 16])
@pytest.mark.parametrize("streams", [(), ("--streams", 1), ("--streams", 3)])
def test_many_files_give_what_each_gives(run, bundle, folder, streams, batch_size):
    result = run("transcribe", bundle, folder, "--batch-size", batch_size, "--json", *streams)
    assert result.exit_code == 1
    assert "20b.wav" in result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert Path(rows.pop(21)["audio"]).name == "20b.wav"
    assert [Path(row["audio"]).name for row in rows] == [f"{index:02}.wav" for index in range(len(TEXTS))]
    assert [row["text"] for row in rows] == [text.replace("_", "").replace("|", " ") for text in TEXTS]


@pytest.mark.parametrize(
    ("files", "options", "streams"),
    [
        (1000, {"streams": 7}, 7),
        (15, {}, 1),
        (16, {"threads": 3}, 3),
        (16, {"threads": 64}, 4),
        (99, {"device": "gpu"}, 1),
    ],
)
def test_how_many_run_at_the_same_time(files, options, streams):
    given = {"streams": None, "threads": None, **options}
    assert streams_for(files, {**given, "device": (options.get("device", "cpu"),)}) == streams


def test_an_interrupt_ends_all_and_keeps_what_was_printed(bundle, folder):
    command = [sys.executable, "-c", STOPPED, "transcribe", bundle, folder, "--streams", "2", "--batch-size", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS, start_new_session=True)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) < len(TEXTS)
    assert [Path(line.split("\t")[0]).name for line in lines] == [f"{index:02}.wav" for index in range(len(lines))]
