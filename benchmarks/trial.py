"""Loads those who compete, warms them up and times them in interleaved rounds. It knows neither tasks nor results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from benchmarks.timing import Timing, interleave, load_average

Found = TypeVar("Found")
Calls = Mapping[str, Callable[[], Found]]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trial(Generic[Found]):
    """What came of a run; who could not take part is in `unavailable` alone.

    Attributes:
        found: what each call gave when it was last warmed up, by the call's name.
        timings: of each call, by its name.
        unavailable: who could not be loaded or run: title and reason, one line.
        load_before: the machine's load averages when the first round began, `load_after` when the last had ended.
    """

    found: dict[str, Found]
    timings: dict[str, Timing]
    unavailable: dict[str, str]
    load_before: list[float] | None
    load_after: list[float] | None


def run(
    loaders: Mapping[str, Callable[[], Calls[Found]]],
    runs: int,
    warm_ups: int,
    progress: Progress,
    others: Mapping[str, Callable[[], object]] | None = None,
) -> Trial[Found]:
    """Load and warm up all, by title, then time `runs` interleaved rounds of every call that they gave.

    `others` are timed along with them; what they give is dropped.
    """
    calls: dict[str, Callable[[], object]] = {}
    found: dict[str, Found] = {}
    unavailable: dict[str, str] = {}
    for title, load in loaders.items():
        progress(f"loading {title}")
        try:
            loaded = load()
            results = {name: [call() for _ in range(warm_ups)][-1] for name, call in loaded.items()}
        except Exception as error:  # exporters and engines raise what they like; the others shall still be measured
            unavailable[title] = f"{type(error).__name__}: {first_line(error)}"
            continue
        calls |= loaded
        found |= results
    for call in (others or {}).values():
        call()
    load_before = load_average()
    rounds = iter(range(1, runs + 1))
    timings = interleave({**calls, **(others or {})}, runs, lambda: progress(f"round {next(rounds)} of {runs}"))
    return Trial(found, timings, unavailable, load_before, load_average())


def first_line(error: Exception) -> str:
    """Return what an error says, without the lines of places and hints below."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
