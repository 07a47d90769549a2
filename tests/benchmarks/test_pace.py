import statistics
from types import SimpleNamespace

import pytest
from rich.console import Console

from benchmarks import bandwidth, timing
from benchmarks.decoders import Reading
from benchmarks.generators import Contender
from benchmarks.pace import differences, measure
from benchmarks.pace_table import notes, remarks, render

READ = Reading(weights=1000, int8=260, int4=150, cross=200, token=10)
SAID = {1: [5, 6, 5], 4: [5, 7, 7]}


CLOCK = [0.0]  # seconds


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few bytes, and a clock that goes on only where a contender says so: fakes take no time that a real one shows."""
    monkeypatch.setattr(bandwidth, "BYTES", 2**16)

    def look():
        CLOCK[0] += 1e-4
        return CLOCK[0]

    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=look, sleep=lambda seconds: None))


def contender(name, said=SAID, engine="torch", calls=None, weights="float32", milliseconds=1):
    def generate(beams, tokens):
        if calls is not None:
            calls.append((name, beams, tokens))
        CLOCK[0] += 1e-3 * milliseconds * beams * tokens
        return said[beams][:tokens]

    return Contender("bert", engine, name, lambda task: generate, weights)


def failing(name, error):
    def load(task):
        raise error

    return Contender("bert", "OpenVINO", name, load)


def measured(*contenders, runs=3):
    return measure(contenders, None, READ, tokens=3, beams=(1, 4), runs=runs)


def printed(result):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render([result]), *notes([result]))
    return capture.get()


def test_every_contender_has_a_row_for_greedy_and_one_for_beams():
    calls = []
    result = measured(contender("a", calls=calls), contender("b", calls=calls))
    assert (result.model, result.reference) == ("bert", "bert, torch, a")
    assert [(row.name, row.beams) for row in result.rows] == [("a", 1), ("a", 4), ("b", 1), ("b", 4)]
    warm_up_and_rounds = 1 + 3
    for name in "ab":
        for beams in (1, 4):
            for tokens in (1, 3):
                assert calls.count((name, beams, tokens)) == warm_up_and_rounds
    assert len(calls) == 8 * warm_up_and_rounds
    assert result.kinds_of_tokens == 2
    assert all(row.agrees and row.different_tokens == 0 for row in result.rows)
    assert remarks([result]) == []


def test_the_numbers_follow_from_the_seconds():
    result = measured(contender("a"), contender("b", milliseconds=4))
    paces = {}
    for row in result.rows:
        assert len(row.seconds) == len(row.seconds_one) == 3
        pace = (statistics.median(row.seconds) - statistics.median(row.seconds_one)) / 2  # 3 tokens less 1
        paces[row.name, row.beams] = pace
        assert row.ms_per_token == pytest.approx(1e3 * pace)
        assert row.min_ms_per_token == pytest.approx(1e3 * (min(row.seconds) - min(row.seconds_one)) / 2)
        assert row.speedup == pytest.approx(paces["a", row.beams] / pace)
        assert pace == pytest.approx(1e-3 * row.beams * {"a": 1, "b": 4}[row.name])
        assert row.over_greedy == pytest.approx(pace / paces[row.name, 1])
        assert row.bytes_per_token == 1000 + 200 + row.beams * 1.5 * 10  # steps read 1 and 2 tokens
        share = row.bytes_per_token / pace / (1e9 * result.read_gb_per_second)
        assert row.bandwidth_share == pytest.approx(share)
    assert result.best_read_gb_per_second >= result.read_gb_per_second > 0


@pytest.mark.parametrize(
    ("found", "wrong"),
    [([1, 2, 3], 0), ([1, 9, 3], 1), ([9, 9, 9], 3), ([1, 2], 1), ([], 3), ([1, 2, 3, 4], 1), ([2, 3, 1], 3)],
)
def test_tokens_that_differ_are_counted(found, wrong):
    assert differences(found, [1, 2, 3]) == wrong


def test_other_tokens_are_wrong_and_named():
    result = measured(contender("a"), contender("b", {**SAID, 4: [5, 7, 8]}, "onnxruntime"))
    assert [row.agrees for row in result.rows] == [True, True, True, False]
    assert result.rows[3].different_tokens == 1
    assert "1 WRONG" in printed(result)
    assert remarks([result]) == ["bert, onnxruntime, b, beams: 4: 1 tokens differ from those of bert, torch, a"]


def test_rounded_weights_may_say_others_and_have_fewer_bytes_to_read():
    result = measured(
        contender("a"), contender("b", {**SAID, 4: [5, 7, 8]}, weights="int8"), contender("c", weights="int4")
    )
    assert [row.agrees for row in result.rows] == [True, True, True, False, True, True]
    assert all(row.is_right for row in result.rows)
    assert remarks([result]) == []
    assert "1 other" in printed(result)
    assert [row.bytes_per_token - row.beams * 15 - 200 for row in result.rows] == [1000, 1000, 260, 260, 150, 150]
    for row in result.rows:
        share = row.bytes_per_token / row.ms_per_token / (1e6 * result.read_gb_per_second)
        assert row.bandwidth_share == pytest.approx(share)


def test_who_cannot_load_or_run_is_named_in_one_line():
    missing = failing("bundle", ModuleNotFoundError("No module named 'openvino'"))
    broken = Contender("bert", "onnxruntime", "broken", lambda task: lambda beams, tokens: [][0])
    result = measured(missing, contender("a"), broken)
    assert result.reference == "bert, torch, a"
    assert [row.name for row in result.rows] == ["a", "a"]
    assert result.unavailable == {
        "bert, OpenVINO, bundle": "ModuleNotFoundError: No module named 'openvino'",
        "bert, onnxruntime, broken": "IndexError: list index out of range",
    }
    assert (
        remarks([result])[0] == "bert, OpenVINO, bundle: not measured, ModuleNotFoundError: No module named 'openvino'"
    )


def test_nobody_can_load():
    result = measured(failing("b", ImportError("no")))
    assert (result.reference, result.rows, result.kinds_of_tokens) == (None, [], 0)


def test_the_reader_reads_every_number_in_every_pass():
    assert [float(total) for total in bandwidth.reader()()] == [2**14] * bandwidth.PASSES
    assert bandwidth.gigabytes_per_second(0.5) == pytest.approx(2 * 2**16 * bandwidth.PASSES / 1e9)
