"""The measure of answers that are texts: word errors, and characters beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgespeech_calib.errors import DataError
from edgespeech_calib.evaluation.systems import Facts
from edgespeech_calib.scoring.alignment import Pair, align
from edgespeech_calib.scoring.bootstrap import Interval, interval
from edgespeech_calib.scoring.labelled_frames import Answer
from edgespeech_calib.scoring.measure import Measure, Measured, Row, rate_row, shares
from edgespeech_calib.scoring.normalisation import DESCRIPTIONS, Normalisation, normalise
from edgespeech_calib.scoring.scoring import Counts, Score, UtteranceScore, score
from edgespeech_calib.speech.sets import SpeechSet
from edgespeech_calib.speech.utterance import Utterance


@dataclass(frozen=True)
class MeasuredWords(Measured):
    """Texts against what is said; `raw` are the answers as they came, not as they are compared."""

    score: Score
    character_interval: Interval
    raw: tuple[str, ...]
    normalisation: Normalisation

    @property
    def utterances(self) -> tuple[UtteranceScore, ...]:
        """See `Measured.utterances`."""
        return self.score.utterances

    @property
    def counts(self) -> Counts:
        """See `Measured.counts`."""
        return self.score.counts

    def figures(self) -> dict[str, Any]:
        """See `Measured.figures`."""
        return {
            "wer": self.score.wer,
            **_counts(self.score.counts, "words"),
            "wer_interval": asdict(self.interval),
            "cer": self.score.cer,
            "characters": _counts(self.score.characters, "characters"),
            "cer_interval": asdict(self.character_interval),
        }

    def result(self, index: int) -> dict[str, Any]:
        """See `Measured.result`."""
        one = self.score.utterances[index]
        texts = {"reference": one.reference, "hypothesis": one.hypothesis, "heard": self.raw[index]}
        return {**texts, **_counts(one.counts, "words")}

    def rows(self) -> list[Row]:
        """See `Measured.rows`."""
        counts = self.score.counts
        parts = f"{counts.substitutions} substitutions, {counts.insertions} insertions, {counts.deletions} deletions"
        words = f"{counts.total:,} word{'' if counts.total == 1 else 's'}".replace(",", " ")
        return [
            ("texts", f"compared as {self.normalisation}"),
            rate_row("word errors", self.score.wer, self.interval, is_of_errors=True),
            ("", f"{parts} in {words}"),
            rate_row("character errors", self.score.cer, self.character_interval, is_of_errors=True),
        ]

    def cells(self) -> list[str]:
        """See `Measured.cells`."""
        counts, bounds = self.score.counts, self.interval
        numbers = [counts.substitutions, counts.insertions, counts.deletions, counts.total]
        between = f"{100 * bounds.low:.2f} to {100 * bounds.high:.2f}"
        return [f"{100 * self.score.wer:.2f} %", between, *map(str, numbers), f"{100 * self.score.cer:.2f} %"]


class WordErrors(Measure):
    """Word errors of texts that were made alike."""

    name = errors = "word errors"
    unit, key, is_of_errors = "word", "wer", True
    changes = "wrong words then and now"
    columns = ("word errors", "95 % interval", "sub", "ins", "del", "words", "character errors")

    def __init__(self, normalisation: Normalisation) -> None:
        self.normalisation = normalisation

    def conditions(self) -> dict[str, Any]:
        """See `Measure.conditions`."""
        return {"normalisation": {"name": self.normalisation, "description": DESCRIPTIONS[self.normalisation]}}

    def notes(self) -> list[str]:
        """See `Measure.notes`."""
        return [f"texts compared as “{self.normalisation}”: {DESCRIPTIONS[self.normalisation]}"]

    def labelled(self, data: SpeechSet) -> SpeechSet:
        """See `Measure.labelled`."""
        transcribed = data.transcribed()
        if not any(normalise(utterance.text or "", self.normalisation) for utterance in transcribed):
            raise DataError(f"nothing is said in {transcribed.name}, so no word errors can be counted on it")
        return transcribed

    def truth(self, utterance: Utterance, frames: int, facts: Facts) -> Answer:
        """See `Measure.truth`."""
        return utterance.text or ""

    def compare(self, references: Sequence[Answer], answers: Sequence[Answer], facts: Facts) -> Score:
        """See `Measure.compare`."""
        said, answered = (
            [normalise(str(text), self.normalisation) for text in texts] for texts in (references, answers)
        )
        return score(said, answered)

    def judge(
        self, utterances: Sequence[Utterance], answers: Sequence[Answer], facts: Facts, seed: int = 0
    ) -> MeasuredWords:
        """See `Measure.judge`. Raises ScoringError where nothing is said in the whole set."""
        score = self.compare([utterance.text or "" for utterance in utterances], answers, facts)
        parts = [one.characters for one in score.utterances]
        by_character = interval([part.errors for part in parts], [part.total for part in parts], seed=seed)
        raw = tuple(map(str, answers))
        return MeasuredWords(interval(*shares(score), seed=seed), score, by_character, raw, self.normalisation)

    def aligned(self, reference: str, hypothesis: str) -> Iterable[Pair]:
        """See `Measure.aligned`."""
        return align(reference.split(), hypothesis.split())


def _counts(counts: Counts, noun: str) -> dict[str, int]:
    return {
        noun: counts.total,
        "hits": counts.hits,
        "substitutions": counts.substitutions,
        "insertions": counts.insertions,
        "deletions": counts.deletions,
    }
