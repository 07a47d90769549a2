"""What was said and when: the result of every transcription, whatever task and engine it came from."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

# Where times come from: from the audio; from the neighbours, because the model's vocabulary has no such letter; or from
# the neighbours, because the audio does not seem to have the word.
Timing = Literal["audio", "interpolated", "absent"]


@dataclass(frozen=True)
class Word:
    """One word; `start` and `end` in seconds from the beginning of the audio, `confidence` in [0, 1]."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Character:
    """One token of a word, with the same units."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class AlignedWord(Word):
    """A word of a given text; `confidence` is the mean probability of its tokens in their frames, 0 if not measured."""

    timing: Timing = "audio"


@dataclass(frozen=True)
class AlignedCharacter(Character):
    """A character of a given text, likewise."""

    timing: Timing = "audio"


@dataclass(frozen=True)
class Alternative:
    """One of several texts that a search gives for the same audio, with its words.

    `score` ranks them: the natural log probability that the model gives the text within the search, `logit_score`, and
    what language model and hotwords add to it.
    """

    text: str
    score: float
    logit_score: float
    words: list[Word] = field(default_factory=list)


@dataclass(frozen=True)
class TextSegment:
    """A part of a recording in which something is said: its text, seconds from the beginning, words if they have times.

    `start` and `end` are those of the sound, with a little of the silence around it.
    """

    text: str
    start: float
    end: float
    words: list[Word] = field(default_factory=list)


@dataclass(frozen=True)
class Transcript:
    """The text, its words in order, its characters where they were asked for, and the audio's duration in seconds.

    Silence has the text "" and no words. Word delimiters belong to no word and are not among the characters. Where
    `n_best` texts were asked for, they are the `alternatives`, the first of which is the text itself. `is_complete` is
    False for a text that a decoder had to leave off at the limit of its length. `segments` are the parts of the text
    by the pauses of the recording, where the model was run on such parts.
    """

    text: str
    words: list[Word] = field(default_factory=list)
    characters: list[Character] = field(default_factory=list)
    duration: float = 0.0
    alternatives: list[Alternative] = field(default_factory=list)
    is_complete: bool = True
    segments: list[TextSegment] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and numbers, ready for JSON; alternatives and segments only where there are any.

        `is_complete` stands there only where it is False.
        """
        plain = dataclasses.asdict(self)
        for name in ("alternatives", "segments"):
            if not plain[name]:
                del plain[name]
        if self.is_complete:
            del plain["is_complete"]
        return plain
