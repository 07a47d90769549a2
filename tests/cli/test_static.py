"""`edgespeech export --static` and `--target npu`: what is refused, in one line and before any work."""

import pytest
from click.testing import CliRunner

from edgespeech.cli.export import export

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
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, options, message):
    found = CliRunner().invoke(export, [str(tmp_path), str(tmp_path / "bundle"), *options])
    said = found.output if found.exception is None or isinstance(found.exception, SystemExit) else str(found.exception)
    assert found.exit_code != 0
    assert message in said
    assert not (tmp_path / "bundle").exists()
