"""`edgespeech export --static` and `--target npu`: what is refused, in one line and before any work."""

import pytest
from click.testing import CliRunner
from places import SENTENCES

from edgespeech.cli.commands.export import export
from edgespeech.cli.display.quantization import npu_rows

INT8 = ("--precision", "int8", "--calib", "speech")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--buckets", "2,5"), "--buckets is for graphs of fixed shapes; add --static"),
        (("--slots", "64"), "--slots is for graphs of fixed shapes; add --static"),
        (("--static", "--buckets", "2,x"), "expected seconds with commas between them, as 2,5,10, got '2,x'"),
        (("--static", "--slots", "3"), "3 is not in the range"),
        (("--static", *INT8), "INT8 with fixed shapes is for NPUs; add --target npu"),
        (("--target", "npu", "--engine", "openvino", *INT8), "written for ONNX Runtime"),
        (("--target", "npu", "--scheme", "dynamic", *INT8), "--scheme does not go with --target npu"),
        (("--target", "npu", "--no-revert", *INT8), "--no-revert does not go with --target npu"),
        (("--target", "arm"), "--target is for --precision int8"),
        (("--static", "--compile"), "--compile is for --target npu --precision int8"),
        (("--target", "npu", "--compile"), "--compile is for --target npu --precision int8"),
        (("--target", "npu", "--soc-model", "60", *INT8), "--soc-model is for --compile"),
        (("--target", "npu", "--compile", "--soc-model", "0", *INT8), "0 is not in the range"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, options, message):
    found = CliRunner().invoke(export, [str(tmp_path), str(tmp_path / "bundle"), *options])
    said = found.output if found.exception is None or isinstance(found.exception, SystemExit) else str(found.exception)
    assert found.exit_code != 0
    assert message in said
    assert not (tmp_path / "bundle").exists()


def test_the_package_that_compiles_is_named(refused, checkpoint, tmp_path):
    options = ("--target", "npu", "--precision", "int8", "--calib", SENTENCES, "--compile", "--quiet")
    said = refused("export", checkpoint, tmp_path / "bundle", *options)
    assert said == (
        "compiling for Qualcomm's NPU needs its compiler: pip install onnxruntime-qnn, or compile on the device"
    )
    assert not any(tmp_path.glob("*bundle*"))


def test_nodes_that_the_cpu_runs_are_named():
    quantization = {"float_nodes": {"step": ["a", "b"]}}
    assert npu_rows({"quantization": {"float_nodes": {}}}) == [("not quantized", "no node")]
    compiled = {"device": "D", "library": "L", "bytes": 2000, "nodes_elsewhere": {"step": ["a", "b", "c"]}}
    assert npu_rows({"quantization": quantization, "compiled": compiled}) == [
        ("not quantized", "a, b of step"),
        ("compiled", "for D by L, 2.0 kB"),
        ("left to the CPU", "a, b, c of step"),
    ]
