from benchmarks.timing import Timing, interleave, load_average


def test_each_round_calls_everyone_once_and_begins_one_further_on():
    called, rounds = [], []
    calls = {name: lambda name=name: called.append(name) for name in "abc"}
    timings = interleave(calls, 4, lambda: rounds.append(len(called)))
    assert "".join(called) == "abcbcacababc"
    assert rounds == [0, 3, 6, 9]
    assert list(timings) == ["a", "b", "c"]
    assert all(len(timing.seconds) == 4 and timing.minimum >= 0 for timing in timings.values())


def test_nobody_to_time():
    assert interleave({}, 3) == {}


def test_median_and_minimum():
    timing = Timing((3.0, 1.0, 2.0, 10.0))
    assert (timing.median, timing.minimum) == (2.5, 1.0)


def test_load_average_has_three_numbers_where_the_system_counts():
    assert load_average() is None or len(load_average()) == 3
