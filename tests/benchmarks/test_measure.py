import numpy as np
import pytest
from rich.console import Console

from benchmarks.contenders import Contender
from benchmarks.measure import ALLOWED, measure
from benchmarks.table import remarks, render

LOGITS = np.array([[1.0, -2.0], [0.5, 4.0]], np.float32)


def contender(name, logits, engine="torch", kind="eager", precision="float32"):
    return Contender(name, engine, kind, precision, lambda: lambda: logits)


def failing(name, error):
    def load():
        raise error

    return Contender(name, "onnxruntime", "bundle", "float32", load)


def table(result):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render(result))
    return capture.get()


def test_the_first_is_the_reference_and_everyone_has_a_row():
    result = measure([contender("a", LOGITS), contender("b", LOGITS + 5e-5)], runs=3)
    assert result.reference == "torch, a"
    assert [row.name for row in result.rows] == ["a", "b"]
    assert [row.max_abs_difference for row in result.rows] == pytest.approx([0, 5e-5], rel=0.01)
    assert all(row.agrees and len(row.seconds) == 3 for row in result.rows)
    for row in result.rows:
        assert row.min_seconds == min(row.seconds)
        assert row.median_seconds == sorted(row.seconds)[1]


@pytest.mark.parametrize(
    ("precision", "difference", "agrees"),
    [
        ("float32", 0.9 * ALLOWED["float32"] * 4, True),
        ("float32", 1.1 * ALLOWED["float32"] * 4, False),
        ("float16", 0.9 * ALLOWED["float16"] * 4, True),
        ("float16", 1.1 * ALLOWED["float16"] * 4, False),
        ("float16", np.nan, False),
    ],
)
def test_agreement_is_checked_by_precision(precision, difference, agrees):
    found = LOGITS.copy()
    found[1, 0] += difference
    result = measure([contender("a", LOGITS), contender("b", found, precision=precision)], runs=1)
    assert result.rows[1].agrees is agrees
    assert ("WRONG" in table(result)) is not agrees
    assert [line[:26] for line in remarks(result)] == ([] if agrees else ["torch, b: logits differ by"])


def test_another_number_of_frames_is_no_agreement():
    result = measure([contender("a", LOGITS), contender("b", LOGITS[:1])], runs=1)
    assert not result.rows[1].agrees
    assert result.rows[1].max_abs_difference == np.inf


def test_speedups_are_over_the_first_eager_and_the_plain_export_of_the_engine():
    result = measure(
        [
            contender("a", LOGITS),
            contender("b", LOGITS),
            contender("plain", LOGITS, "onnxruntime", "plain"),
            contender("bundle", LOGITS, "onnxruntime", "bundle"),
            contender("bundle", LOGITS, "OpenVINO", "bundle"),
        ],
        runs=2,
    )
    a, b, plain, onnx, openvino = result.rows
    assert a.speedup_eager == plain.speedup_plain == 1
    for row in (b, plain, onnx, openvino):
        assert row.speedup_eager == pytest.approx(a.median_seconds / row.median_seconds)
    assert onnx.speedup_plain == pytest.approx(plain.median_seconds / onnx.median_seconds)
    assert a.speedup_plain is b.speedup_plain is openvino.speedup_plain is None  # no plain export in these


def test_who_cannot_load_or_run_is_named_in_one_line():
    def run():
        raise RuntimeError("bad kernel\nsomewhere.cpp:12")

    broken = Contender("broken", "OpenVINO", "plain", "float32", lambda: run)
    missing = failing("bundle float32", ModuleNotFoundError("No module named 'onnxruntime'"))
    result = measure([missing, contender("a", LOGITS), broken], runs=1)
    assert result.reference == "torch, a"
    assert result.unavailable == {
        "onnxruntime, bundle float32": "ModuleNotFoundError: No module named 'onnxruntime'",
        "OpenVINO, broken": "RuntimeError: bad kernel",
    }
    assert remarks(result)[1] == "OpenVINO, broken: not measured, RuntimeError: bad kernel"
    assert len(table(result).splitlines()) == 2


def test_nobody_can_load():
    result = measure([failing("b", ImportError("no"))], runs=1)
    assert (result.reference, result.rows) == (None, [])
    assert list(result.unavailable) == ["onnxruntime, b"]


def noisy(ratio):
    """The logits with noise so many dB below them."""
    noise = np.array([[1.0, -1.0], [1.0, 1.0]], np.float32)
    return LOGITS + noise * np.float32(np.linalg.norm(LOGITS) / np.linalg.norm(noise) * 10 ** (-ratio / 20))


@pytest.mark.parametrize(("ratio", "agrees"), [(30.0, True), (10.5, True), (9.5, False)])
def test_int8_is_judged_by_its_noise(ratio, agrees):
    result = measure([contender("a", LOGITS), contender("b", noisy(ratio), precision="int8")], runs=1)
    row = result.rows[1]
    assert row.snr_db == pytest.approx(ratio, abs=1e-4)
    assert row.tolerance is None
    assert row.agrees is agrees
    assert f"{ratio:.1f} dB" in table(result)
    assert [line[:11] for line in remarks(result)] == ([] if agrees else ["torch, b: l"])


@pytest.mark.parametrize("found", [np.full_like(LOGITS, np.nan), np.full_like(LOGITS, np.inf), LOGITS[:1]])
def test_int8_that_is_no_number_or_of_another_length_is_wrong(found):
    result = measure([contender("a", LOGITS), contender("b", found, precision="int8")], runs=1)
    assert not result.rows[1].agrees
    assert "WRONG" in table(result)
    assert len(remarks(result)) == 1


def test_int8_is_compared_with_float32_and_the_tool_of_its_engine(tmp_path):
    sizes = {"float32": 4000, "tool": 1100, "int8": 1000}
    for name, size in sizes.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_bytes(bytes(size))
    result = measure(
        [
            contender("a", LOGITS),
            Contender("tool", "x", "plain", "int8", lambda: lambda: noisy(25), tmp_path / "tool"),
            Contender("float32", "x", "bundle", "float32", lambda: lambda: LOGITS, tmp_path / "float32"),
            Contender("int8", "x", "bundle", "int8", lambda: lambda: noisy(20), tmp_path / "int8"),
            contender("int8", noisy(20), "y", "bundle", "int8"),
        ],
        runs=2,
    )
    first, tool, float32, int8, other = result.rows
    assert int8.speedup_float32 == pytest.approx(float32.median_seconds / int8.median_seconds)
    assert int8.speedup_tool == pytest.approx(tool.median_seconds / int8.median_seconds)
    assert (int8.megabytes, int8.size_share) == (0.001, 0.25)
    assert tool.size_share == pytest.approx(0.275)
    assert float32.speedup_tool is first.megabytes is other.speedup_float32 is other.size_share is None
    assert remarks(result) == ["x, int8: 20.0 dB, less than the 25.0 dB of tool"]
