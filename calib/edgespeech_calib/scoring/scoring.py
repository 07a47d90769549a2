"""Word and character error rates, with substitutions, insertions and deletions, as published results count them.

Texts are compared as they are given; making spellings alike is `normalisation`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgespeech_calib.errors import ScoringError
from edgespeech_calib.scoring.alignment import CHARACTERS, Kind, Pair, align


@dataclass(frozen=True)
class Counts:
    """How many words, or characters, are right and wrong in which way."""

    hits: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    @property
    def total(self) -> int:
        """Words of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """All that is wrong."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Errors for each word of the reference, a fraction that may exceed 1. Raises ScoringError for no words."""
        if not self.total:
            raise ScoringError("there is no error rate, because nothing is said in the references")
        return self.errors / self.total

    @staticmethod
    def of(pairs: Iterable[Pair]) -> "Counts":
        """Count the pairs of an alignment."""
        kinds: dict[Kind, int] = {"hit": 0, "substitution": 0, "insertion": 0, "deletion": 0}
        for pair in pairs:
            kinds[pair.kind] += 1
        return Counts(kinds["hit"], kinds["substitution"], kinds["insertion"], kinds["deletion"])

    @staticmethod
    def sum(parts: Iterable["Counts"]) -> "Counts":
        """Add counts."""
        parts = list(parts)
        return Counts(
            sum(part.hits for part in parts),
            sum(part.substitutions for part in parts),
            sum(part.insertions for part in parts),
            sum(part.deletions for part in parts),
        )


@dataclass(frozen=True)
class UtteranceScore:
    """One utterance: its words side by side, and their counts."""

    reference: str
    hypothesis: str
    alignment: tuple[Pair, ...]
    counts: Counts

    @cached_property
    def characters(self) -> Counts:
        """Counts of characters; words are parted by one space, which is a character."""
        return Counts.of(align(" ".join(self.reference.split()), " ".join(self.hypothesis.split()), CHARACTERS))


@dataclass(frozen=True)
class Score:
    """Answers against what was said, over all utterances; `utterances` are in the order of the texts."""

    utterances: tuple[UtteranceScore, ...]
    counts: Counts

    @property
    def wer(self) -> float:
        """Word error rate, a fraction. Raises ScoringError where the references have no words."""
        return self.counts.rate

    @property
    def cer(self) -> float:
        """Character error rate, a fraction, spaces counted. Raises ScoringError where the references have no words."""
        return self.characters.rate

    @cached_property
    def characters(self) -> Counts:
        """Counts of characters."""
        return Counts.sum(utterance.characters for utterance in self.utterances)

    @property
    def substitutions(self) -> int:
        """Words in place of which others were answered."""
        return self.counts.substitutions

    @property
    def insertions(self) -> int:
        """Words that were answered and not said."""
        return self.counts.insertions

    @property
    def deletions(self) -> int:
        """Words that were said and not answered."""
        return self.counts.deletions

    @property
    def hits(self) -> int:
        """Words that were answered right."""
        return self.counts.hits

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions."""
        return self.counts.errors

    @property
    def words(self) -> int:
        """Words of the references."""
        return self.counts.total


Texts = str | Sequence[str] | Mapping[str, str]


def score(references: Texts, hypotheses: Texts) -> Score:
    """Compare what was said with answers: a text each, lists in the same order, or mappings by the same ids.

    Words are what spaces part; capitals and punctuation count. Substitutions, insertions and deletions are told apart
    by sclite's weights, see `alignment`.

    Raises:
        ScoringError: the two have different lengths or ids, or hold something other than text, or nothing.
    """
    pairs = _paired(references, hypotheses)
    utterances = []
    for reference, hypothesis in pairs:
        alignment = align(reference.split(), hypothesis.split())
        utterances.append(UtteranceScore(reference, hypothesis, alignment, Counts.of(alignment)))
    return Score(tuple(utterances), Counts.sum(utterance.counts for utterance in utterances))


def _paired(references: Texts, hypotheses: Texts) -> list[tuple[str, str]]:
    if isinstance(references, Mapping) != isinstance(hypotheses, Mapping):
        raise ScoringError("expected references and hypotheses of one form, got one by ids and one without")
    if isinstance(references, Mapping) and isinstance(hypotheses, Mapping):
        if references.keys() != hypotheses.keys():
            odd = sorted(map(str, references.keys() ^ hypotheses.keys()))
            raise ScoringError(f"expected the same ids in both, {len(odd)} are in one only; the first is {odd[0]}")
        hypotheses = [hypotheses[name] for name in references]
        references = list(references.values())
    said, answered = ([texts] if isinstance(texts, str) else list(texts) for texts in (references, hypotheses))
    if len(said) != len(answered):
        raise ScoringError(f"expected as many hypotheses as references, got {len(answered)} and {len(said)}")
    if not said:
        raise ScoringError("expected at least one reference, got none")
    for text in (*said, *answered):
        if not isinstance(text, str):
            raise ScoringError(f"expected texts, got {type(text).__name__}; give each answer as one text")
    return list(zip(said, answered, strict=True))
