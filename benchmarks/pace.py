"""Times the contenders in generation, and checks that they say the same tokens. It prints nothing.

What is measured is the loop alone: the time for all tokens less the time for one, over the tokens between. So for
everyone alike neither the encoder counts, nor the first step, in which transformers computes the keys and values of the
encoder's states.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks import bandwidth
from benchmarks.decoders import Reading, Weights
from benchmarks.generators import Contender, Generate, Task
from benchmarks.timing import Timing
from benchmarks.trial import Progress, Trial, run

WARM_UPS = 1  # calls before the first measured round
READ = "read"


@dataclass(frozen=True)
class Row:
    """What was measured of one contender with so many beams.

    Attributes:
        model: family of the decoder.
        ms_per_token: milliseconds of a step of the loop, by medians over the rounds.
        min_ms_per_token: the same by the fastest calls.
        seconds: every measured call that generated all tokens, in the order of the rounds.
        seconds_one: every measured call that generated one token.
        speedup: how many times as fast as the reference with as many beams, by medians.
        over_greedy: how many times the time of this contender's greedy search; None where that was not measured.
        bytes_per_token: what a step has to read on the average.
        bandwidth_share: of the bandwidth, by medians, that this makes.
        different_tokens: of the sequence, from the reference's.
        agrees: whether there are none. Rounded weights may well say others, and one leads to more.
        weights: how the decoder's are stored.
    """

    model: str
    engine: str
    name: str
    beams: int
    ms_per_token: float
    min_ms_per_token: float
    seconds: list[float]
    seconds_one: list[float]
    speedup: float
    over_greedy: float | None
    bytes_per_token: int
    bandwidth_share: float
    different_tokens: int
    agrees: bool
    weights: Weights

    @property
    def is_right(self) -> bool:
        """Whether it says what it must: with weights in float32 the reference's tokens."""
        return self.agrees or self.weights != "float32"


@dataclass(frozen=True)
class Result:
    """What came of a run with one decoder.

    Attributes:
        model: family of the decoder.
        reference: title of the contender whose tokens and times the others were compared with.
        bytes_read: what a step reads: `weights` (in float32; `int8`, `int4`), `cross` (the cache of the encoder's
            states) and `token` (each token in the cache).
        read_gb_per_second: bandwidth of reading memory, the median of the same rounds; `best_read_gb_per_second` of the
            fastest.
        kinds_of_tokens: how many different ones the reference's greedy sequence has.
        rows: in the contenders' order, and by beams.
        unavailable: who could not take part: title and reason, one line.
        load_before: the machine's load averages when the first round began, `load_after` when the last had ended.
    """

    model: str
    reference: str | None
    bytes_read: Reading
    read_gb_per_second: float
    best_read_gb_per_second: float
    kinds_of_tokens: int
    rows: list[Row]
    unavailable: dict[str, str]
    load_before: list[float] | None
    load_after: list[float] | None

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def measure(
    contenders: Sequence[Contender],
    task: Task,
    read: Reading,
    tokens: int,
    beams: Sequence[int],
    runs: int,
    progress: Progress = lambda step: None,
) -> Result:
    """Load and warm up all contenders for one decoder, then time `runs` interleaved rounds of `tokens` tokens.

    Who cannot be loaded or run is named, not timed. `tokens` is at least 2, and the first number of beams is the
    greedy search's, 1.
    """
    loaders = {contender.title: _loader(contender, task, tokens, beams) for contender in contenders}
    trial = run(loaders, runs, WARM_UPS, progress, {READ: bandwidth.reader()})
    present = [each for each in contenders if _call(each, beams[0], tokens) in trial.found]
    reading = trial.timings[READ]
    first = trial.found[_call(present[0], beams[0], tokens)] if present else []
    return Result(
        model=contenders[0].model,
        reference=present[0].title if present else None,
        bytes_read=read,
        read_gb_per_second=bandwidth.gigabytes_per_second(reading.median),
        best_read_gb_per_second=bandwidth.gigabytes_per_second(reading.minimum),
        kinds_of_tokens=len(set(first)),
        rows=[_row(each, present[0], count, trial, tokens, read) for each in present for count in beams],
        unavailable=trial.unavailable,
        load_before=trial.load_before,
        load_after=trial.load_after,
    )


def differences(found: list[int], expected: list[int]) -> int:
    """How many tokens of two sequences are not the same; those that one lacks are not."""
    wrong = sum(a != b for a, b in zip(found, expected, strict=False))
    return wrong + abs(len(found) - len(expected))


def _call(contender: Contender, beams: int, tokens: int) -> str:
    return f"{contender.title}, beams: {beams}, tokens: {tokens}"


def _loader(
    contender: Contender, task: Task, tokens: int, beams: Sequence[int]
) -> Callable[[], Mapping[str, Callable[[], list[int]]]]:
    def call(generate: Generate, count: int, length: int) -> Callable[[], list[int]]:
        return lambda: generate(count, length)

    def load() -> Mapping[str, Callable[[], list[int]]]:
        generate = contender.load(task)
        pairs = [(count, length) for count in beams for length in (1, tokens)]
        return {_call(contender, count, length): call(generate, count, length) for count, length in pairs}

    return load


def _row(
    contender: Contender, reference: Contender, beams: int, trial: Trial[list[int]], tokens: int, read: Reading
) -> Row:
    def timing(each: Contender, count: int, length: int) -> Timing:
        return trial.timings[_call(each, count, length)]

    def pace(each: Contender, count: int) -> float:
        return (timing(each, count, tokens).median - timing(each, count, 1).median) / (tokens - 1)

    own = pace(contender, beams)
    fastest = timing(contender, beams, tokens).minimum - timing(contender, beams, 1).minimum
    wanted = read.total(beams, tokens / 2, contender.weights)  # a step reads 1 to tokens - 1 of them
    wrong = differences(trial.found[_call(contender, beams, tokens)], trial.found[_call(reference, beams, tokens)])
    greedy = _call(contender, 1, tokens)
    return Row(
        model=contender.model,
        engine=contender.engine,
        name=contender.name,
        beams=beams,
        ms_per_token=1e3 * own,
        min_ms_per_token=1e3 * fastest / (tokens - 1),
        seconds=list(timing(contender, beams, tokens).seconds),
        seconds_one=list(timing(contender, beams, 1).seconds),
        speedup=pace(reference, beams) / own,
        over_greedy=own / pace(contender, 1) if greedy in trial.timings else None,
        bytes_per_token=round(wanted),
        bandwidth_share=wanted / own / 1e9 / bandwidth.gigabytes_per_second(trial.timings[READ].median),
        different_tokens=wrong,
        agrees=wrong == 0,
        weights=contender.weights,
    )
