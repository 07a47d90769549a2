"""Times the contenders on one CTC checkpoint, and checks that they compute the same. It prints nothing."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from edgespeech_export.proof import tolerance

from benchmarks.contenders import Call, Contender, Logits
from benchmarks.timing import Timing
from benchmarks.trial import Progress, run

WARM_UPS = 2  # calls before the first measured round


@dataclass(frozen=True)
class Row:
    """What was measured of one contender.

    Attributes:
        median_seconds: of the measured calls, as `min_seconds`.
        seconds: every measured call, in the order of the rounds.
        speedup_eager: how many times as fast as the first eager contender, by medians.
        speedup_plain: the same for the plain export in this contender's engine; None where there is none.
        max_abs_difference: of any logit from the reference's.
        tolerance: what is allowed of it at this precision.
        agrees: whether it is within.
    """

    name: str
    engine: str
    kind: str
    precision: str
    median_seconds: float
    min_seconds: float
    seconds: list[float]
    speedup_eager: float | None
    speedup_plain: float | None
    max_abs_difference: float
    tolerance: float
    agrees: bool


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        reference: title of the contender whose logits the others were compared with.
        rows: in the contenders' order.
        unavailable: who could not take part: title and reason, one line.
        load_before: the machine's load averages when the first round began, `load_after` when the last had ended.
    """

    reference: str | None
    rows: list[Row]
    unavailable: dict[str, str]
    load_before: list[float] | None
    load_after: list[float] | None

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def measure(contenders: Sequence[Contender], runs: int, progress: Progress = lambda step: None) -> Result:
    """Load and warm up all, then time `runs` interleaved rounds. Who cannot be loaded or run is named, not timed."""

    def loader(contender: Contender) -> Callable[[], dict[str, Call]]:
        return lambda: {contender.title: contender.load()}

    trial = run({contender.title: loader(contender) for contender in contenders}, runs, WARM_UPS, progress)
    present = [contender for contender in contenders if contender.title in trial.found]
    return Result(
        reference=present[0].title if present else None,
        rows=_rows(present, trial.timings, trial.found),
        unavailable=trial.unavailable,
        load_before=trial.load_before,
        load_after=trial.load_after,
    )


def _rows(contenders: Sequence[Contender], timings: dict[str, Timing], logits: dict[str, Logits]) -> list[Row]:
    rows = []
    for contender in contenders:
        reference = logits[contenders[0].title]
        timing, found = timings[contender.title], logits[contender.title]
        same_shape = found.shape == reference.shape
        difference = float(np.abs(found - reference).max()) if same_shape else float("inf")
        allowed = tolerance(contender.precision, float(np.abs(reference).max()))
        rows.append(
            Row(
                name=contender.name,
                engine=contender.engine,
                kind=contender.kind,
                precision=contender.precision,
                median_seconds=timing.median,
                min_seconds=timing.minimum,
                seconds=list(timing.seconds),
                speedup_eager=_speedup(timing, contenders, timings, "eager", None),
                speedup_plain=_speedup(timing, contenders, timings, "plain", contender.engine),
                max_abs_difference=difference,
                tolerance=allowed,
                agrees=difference <= allowed,  # NaN does not
            )
        )
    return rows


def _speedup(
    timing: Timing, contenders: Sequence[Contender], timings: dict[str, Timing], kind: str, engine: str | None
) -> float | None:
    """How many times as fast as the first contender of a kind, in an engine or (None) in any."""
    for other in contenders:
        if other.kind == kind and engine in (None, other.engine):
            return timings[other.title].median / timing.median
    return None
