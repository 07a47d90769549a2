"""Times the contenders on one CTC checkpoint, and checks that they compute the same. It prints nothing.

Floating-point logits must be within a tolerance. INT8 ones are another matter: what counts is how far their noise lies
below them.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from edgespeech_runtime.choices import FloatPrecision, Precision

from benchmarks.contenders import Call, Contender, Logits
from benchmarks.timing import Timing
from benchmarks.trial import Progress, run

# Of the largest logit. An export's proof is finer: it knows what float32 itself is off by, which contenders do not say.
ALLOWED: dict[FloatPrecision, float] = {"float32": 1e-4, "float16": 5e-3}
WARM_UPS = 2  # calls before the first measured round
LEAST_SNR = 10.0  # dB that INT8 must keep: below, its noise is a third of the logits and it says other things
MB = 1e6  # bytes


@dataclass(frozen=True)
class Row:
    """What was measured of one contender.

    Attributes:
        median_seconds: of the measured calls, as `min_seconds`.
        seconds: every measured call, in the order of the rounds.
        speedup_eager: how many times as fast as the first eager contender, by medians.
        speedup_plain: the same for the plain export in this contender's engine; None where there is none.
        speedup_float32: the same for our float32 bundle in this contender's engine.
        speedup_tool: of INT8, the same for what the engine's own tool makes of the plain export.
        max_abs_difference: of any logit from the reference's.
        tolerance: what is allowed of it at this precision; None for INT8.
        snr_db: power of the reference's logits over that of the difference, in dB; None where there is no difference,
            or another number of frames.
        agrees: whether the difference is within the tolerance or, for INT8, `snr_db` is `LEAST_SNR` or more.
        megabytes: of the files that it is loaded from; None where that is not known.
        size_share: `megabytes` over those of our float32 bundle in this engine; None where there is none.
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
    speedup_float32: float | None
    speedup_tool: float | None
    max_abs_difference: float
    tolerance: float | None
    snr_db: float | None
    agrees: bool
    megabytes: float | None
    size_share: float | None


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
        timing = timings[contender.title]
        plain, float32, tool = (_first(contenders, engine=contender.engine, **facts) for facts in COMPARED)
        rows.append(
            Row(
                name=contender.name,
                engine=contender.engine,
                kind=contender.kind,
                precision=contender.precision,
                median_seconds=timing.median,
                min_seconds=timing.minimum,
                seconds=list(timing.seconds),
                speedup_eager=_speedup(timing, _first(contenders, kind="eager"), timings),
                speedup_plain=_speedup(timing, plain, timings),
                speedup_float32=_speedup(timing, float32, timings),
                speedup_tool=_speedup(timing, tool, timings) if contender.precision == "int8" else None,
                **_agreement(contender.precision, logits[contender.title], logits[contenders[0].title]),
                megabytes=_megabytes(contender),
                size_share=_share(contender, float32),
            )
        )
    return rows


# Plain export, our float32 and the engine's own INT8: what a contender is compared with in its engine.
COMPARED: tuple[dict[str, str], ...] = (
    {"kind": "plain", "precision": "float32"},
    {"kind": "bundle", "precision": "float32"},
    {"kind": "plain", "precision": "int8"},
)


def _first(contenders: Sequence[Contender], **facts: str) -> Contender | None:
    """The first contender of which all this is true."""
    matching = (each for each in contenders if all(getattr(each, name) == value for name, value in facts.items()))
    return next(matching, None)


def _speedup(timing: Timing, other: Contender | None, timings: dict[str, Timing]) -> float | None:
    """How many times as fast as the other one."""
    return None if other is None else timings[other.title].median / timing.median


def _agreement(precision: Precision, found: Logits, reference: Logits) -> dict[str, Any]:
    """The fields of a row that say how far logits are from the reference's."""
    same_shape = found.shape == reference.shape
    difference = float(np.abs(found - reference).max()) if same_shape else float("inf")
    snr = _snr(found, reference) if same_shape else None
    if precision == "int8":
        allowed, agrees = None, same_shape and (snr is None or snr >= LEAST_SNR)
    else:
        allowed = ALLOWED[precision] * float(np.abs(reference).max())
        agrees = difference <= allowed  # NaN is not
    return {"max_abs_difference": difference, "tolerance": allowed, "snr_db": snr, "agrees": agrees}


def _snr(found: Logits, reference: Logits) -> float | None:
    """Signal-to-noise ratio in dB; None without noise."""
    noise = np.square(found - reference, dtype=np.float64).sum()
    if noise == 0:
        return None
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.square(reference, dtype=np.float64).sum() / noise))


def _share(contender: Contender, float32: Contender | None) -> float | None:
    """Size over that of our float32 bundle."""
    ours, whole = _megabytes(contender), _megabytes(float32)
    return ours / whole if ours and whole else None


def _megabytes(contender: Contender | None) -> float | None:
    if contender is None or contender.folder is None:
        return None
    return sum(file.stat().st_size for file in contender.folder.iterdir()) / MB
