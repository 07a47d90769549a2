"""Transcripts of CTC output: seconds instead of frames, texts instead of ids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..bundle.manifest import Vocabulary
from ..ctc import greedy as ctc
from ..ctc.alphabet import Alphabet, TokenTable
from ..ctc.hypotheses import Hypothesis, WordSpan
from ..results.transcript import Alternative, Character, Transcript, Word
from ..text import clean_up


@dataclass(frozen=True)
class Clock:
    """Seconds of a frame and of the audio, beyond which no word ends; and the frame of the audio that is the first."""

    frame: float
    duration: float
    first: int = 0

    def times(self, start_frame: int, end_frame: int) -> dict[str, float]:
        """Start and end in seconds."""
        start, end = (min((self.first + frame) * self.frame, self.duration) for frame in (start_frame, end_frame))
        return {"start": start, "end": end}


def path_transcript(path: ctc.GreedyPath, vocabulary: Vocabulary, clock: Clock, with_characters: bool) -> Transcript:
    """By the most probable token of each frame."""
    delimiter = vocabulary.delimiter_id

    def fields(part: Sequence[ctc.Span], text: str, confidence: float) -> dict[str, Any]:
        return {"text": text, **clock.times(part[0].start_frame, part[-1].end_frame), "confidence": confidence}

    texts = [_spelled(word, vocabulary, delimiter) for word in path.words]
    spelled = [each for each in zip(path.words, texts, path.confidences, strict=True) if each[1]]
    words = [Word(**fields(*each)) for each in spelled]
    characters = []
    if with_characters:
        spans = [span for word, _, _ in spelled for span in word]
        ends = [_spelled([span], vocabulary, delimiter) for span in spans]
        characters = [
            Character(**fields([span], text, ctc.confidence(path.probability, path.ids, [span])))
            for span, text in zip(spans, ends, strict=True)
        ]
    return Transcript(_spelled(path.spans, vocabulary, delimiter), words, characters, clock.duration)


def searched_transcript(
    hypotheses: Sequence[Hypothesis], alphabet: Alphabet, vocabulary: Vocabulary, clock: Clock
) -> Transcript:
    """By the best hypothesis of a search, with its characters; all of them are its alternatives.

    In a vocabulary that separates no words, each token is one.
    """
    table, separator = TokenTable(alphabet), vocabulary.separator
    joiner = between_words(vocabulary, alphabet.has_words)

    def characters(word: WordSpan) -> list[Character]:
        pairs = zip(word.tokens, word.confidences, strict=True)
        return [
            Character(table.texts[s.token_id], **clock.times(s.start_frame, s.end_frame), confidence=c)
            for s, c in pairs
        ]

    def words(hypothesis: Hypothesis) -> list[Word]:
        if not alphabet.has_words:
            return [Word(c.text, c.start, c.end, c.confidence) for word in hypothesis.words for c in characters(word)]
        return [
            Word(
                separator.join(table.texts[span.token_id] for span in word.tokens),
                **clock.times(word.start_frame, word.end_frame),
                confidence=word.confidence,
            )
            for word in hypothesis.words
        ]

    def alternative(hypothesis: Hypothesis) -> Alternative:
        written = words(hypothesis)
        text = joiner.join(word.text for word in written)
        text = clean_up(text) if vocabulary.clean_up else text
        return Alternative(text, hypothesis.score, hypothesis.logit_score, written)

    written = [alternative(hypothesis) for hypothesis in hypotheses]
    all_characters = [character for word in hypotheses[0].words for character in characters(word)]
    return Transcript(written[0].text, written[0].words, all_characters, clock.duration, written)


def between_words(vocabulary: Vocabulary, has_words: bool) -> str:
    """What stands between two words of a text."""
    separator, delimiter = vocabulary.separator, vocabulary.replace_word_delimiter if has_words else ""
    return f"{separator}{delimiter}{separator}" if delimiter else separator


def chosen_parts(transcript: Transcript, with_characters: bool, n_best: int | None) -> Transcript:
    """A searched transcript with what was asked for: characters, and alternatives where it was said how many."""
    return replace(
        transcript,
        characters=transcript.characters if with_characters else [],
        alternatives=[] if n_best is None else transcript.alternatives,
    )


def spell(spans: Sequence[ctc.Span], vocabulary: Vocabulary) -> str:
    """The text of tokens: joined, the delimiter replaced, without the space around, cleaned up where it is to be."""
    return _spelled(spans, vocabulary, vocabulary.delimiter_id)


def _spelled(spans: Sequence[ctc.Span], vocabulary: Vocabulary, delimiter: int | None) -> str:
    replaced = {delimiter: vocabulary.replace_word_delimiter}
    texts = [replaced.get(span.token_id, vocabulary.tokens[span.token_id]) for span in spans]
    text = vocabulary.separator.join(filter(None, texts)).strip()
    text = text.lower() if vocabulary.lower_case else text
    return clean_up(text) if vocabulary.clean_up else text
