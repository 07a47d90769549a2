"""How right the rows of a run are, read one by one: of each, no more than how many errors it has is kept."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgespeech_calib.errors import CorpusError
from edgespeech_calib.scoring.bootstrap import Interval, interval
from edgespeech_calib.scoring.measure import Row as FactRow
from edgespeech_calib.scoring.measure import rate_row, right
from edgespeech_calib.scoring.normalisation import DESCRIPTIONS, Normalisation, normalise
from edgespeech_calib.scoring.scoring import Counts, score


class _Tally:
    """Errors among so many words, characters or labels, of each utterance and of all."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._errors, self._totals = array("q"), array("q")

    def add(self, counts: Counts) -> None:
        self.counts = Counts.sum((self.counts, counts))
        self._errors.append(counts.errors)
        self._totals.append(counts.total)

    def interval(self, seed: int) -> Interval:
        return interval(self._errors, self._totals, seed=seed)

    def __len__(self) -> int:
        return len(self._totals)


@dataclass(frozen=True)
class CorpusScore:
    """Errors over a corpus with their intervals; `characters` and theirs are None of labels.

    Attributes:
        utterances: that count.
        failed, unlabelled: those that do not, because there is no answer, or nothing is known of what is right.
    """

    utterances: int
    failed: int
    unlabelled: int
    counts: Counts
    interval: Interval
    characters: Counts | None
    character_interval: Interval | None
    normalisation: Normalisation

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, ready for JSON, by the names that an evaluation of a single process has."""
        told: dict[str, Any] = {"utterances": self.utterances, "failed": self.failed, "unlabelled": self.unlabelled}
        if self.characters is None or self.character_interval is None:
            value, low, high = right(self.counts.rate, self.interval)
            bounds = {"low": low, "high": high, "level": self.interval.level}
            counts = {"right": self.counts.hits, "wrong": self.counts.errors}
            return {**told, "accuracy": value, "accuracy_interval": bounds, **counts}
        names = ("substitutions", "insertions", "deletions")
        return {
            "normalisation": {"name": self.normalisation, "description": DESCRIPTIONS[self.normalisation]},
            **told,
            "wer": self.counts.rate,
            "wer_interval": asdict(self.interval),
            "words": self.counts.total,
            **{name: getattr(self.counts, name) for name in names},
            "cer": self.characters.rate,
            "cer_interval": asdict(self.character_interval),
        }

    def rows(self) -> list[FactRow]:
        """What people read."""
        if self.characters is None or self.character_interval is None:
            told = rate_row("accuracy", self.counts.rate, self.interval, is_of_errors=False)
            return [told, ("", f"{self.counts.hits} of {self.counts.total} labels right")]
        counts = self.counts
        parts = f"{counts.substitutions} substitutions, {counts.insertions} insertions, {counts.deletions} deletions"
        return [
            ("texts", f"compared as {self.normalisation}"),
            rate_row("word errors", counts.rate, self.interval, is_of_errors=True),
            ("", f"{parts} in {f'{counts.total:,}'.replace(',', ' ')} words"),
            rate_row("character errors", self.characters.rate, self.character_interval, is_of_errors=True),
        ]


def score_rows(
    rows: Iterable[Mapping[str, Any]], method: str, normalisation: Normalisation = "basic", seed: int = 0
) -> CorpusScore:
    """Compare the rows that the model's `method` gave with what the manifest says is right.

    Raises CorpusError where it says so of none, or rows of this method are no answers; ScoringError where nothing is
    said in all of them.
    """
    if method not in ("transcribe", "classify"):
        raise CorpusError("word errors are of texts, and accuracy is of labels: this bundle gives neither")
    words, characters = _Tally(), _Tally()
    failed = unlabelled = 0
    for row in rows:
        if row["error"] is not None:
            failed += 1
        elif row.get("reference") is None:
            unlabelled += 1
        elif method == "classify":
            is_right = row["label"] == row["reference"]
            words.add(Counts(hits=int(is_right), substitutions=int(not is_right)))
        else:
            (one,) = score(
                [normalise(row["reference"], normalisation)], [normalise(row["text"], normalisation)]
            ).utterances
            words.add(one.counts)
            characters.add(one.characters)
    if not len(words):
        what = "text" if method == "transcribe" else "label"
        raise CorpusError(f"no row has an answer and a {what} to compare it with; the manifest needs a column {what}")
    has_characters = len(characters) > 0
    return CorpusScore(
        len(words),
        failed,
        unlabelled,
        words.counts,
        words.interval(seed),
        characters.counts if has_characters else None,
        characters.interval(seed) if has_characters else None,
        normalisation,
    )
