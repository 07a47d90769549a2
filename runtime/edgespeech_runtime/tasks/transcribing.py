"""Text of a recording while its frames come: words that stay, segments between pauses, and the whole at the end."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..audio.blocks import AudioBlocks
from ..audio.inputs import named
from ..bundle.manifest import Vocabulary
from ..ctc import greedy as ctc
from ..ctc.alphabet import TokenTable
from ..ctc.beam_search import BeamSearch
from ..ctc.beams import Path
from ..ctc.hypotheses import Hypothesis, word_spans
from ..long.activity import Activity
from ..long.windows import SILENT_LOGIT
from ..results.transcript import Character, TextSegment, Transcript, Word
from ..text import clean_up
from .by_parts import Callbacks
from .ctc_text import Clock, between_words, chosen_parts, path_transcript, searched_transcript
from .recordings import Answer, RecordingRunner

PAUSE = 0.8  # seconds between two words that end a segment
LONGEST = 30.0  # seconds of a segment; where nobody pauses, it ends with a word

Logits = npt.NDArray[np.float32]  # [frames, vocabulary]


class Text(Protocol):
    """What grows with the frames of a recording. Between its words stands the `joiner`."""

    joiner: str

    def advance(self, logits: Logits) -> list[Word]:
        """Take the next frames; return further words that no later frame can change, with times so far unlimited."""

    def finish(self, seconds: float) -> Transcript:
        """All of it, of a recording of so many seconds."""

    def whole(self, logits: Logits, seconds: float) -> Transcript:
        """The text of a recording of so many seconds whose frames are all there, in place of the two above."""


class GreedyText:
    """By the most probable token of each frame. Frames of words that stay are let go."""

    def __init__(self, vocabulary: Vocabulary, frame: float, with_characters: bool = False) -> None:
        """`frame` is the length of one in seconds."""
        self._vocabulary, self._frame, self._with_characters = vocabulary, frame, with_characters
        self.joiner = between_words(vocabulary, vocabulary.delimiter_id is not None)
        self._words: list[Word] = []  # that stay
        self._characters: list[Character] = []
        self._frames, self._pieces = 0, 0  # those whose words stay; how often there were more
        self._open = np.zeros(0, np.int64), np.zeros(0, np.float32)  # tokens and probabilities of the others
        self._first = self._open  # those of the first piece

    def advance(self, logits: Logits) -> list[Word]:
        """See `Text.advance`."""
        ids = ctc.greedy(logits)
        probabilities = ctc.emitted_probability(logits, ids)
        self._first, self._pieces = ((ids, probabilities), 1) if not self._pieces else (self._open, self._pieces + 1)
        ids, probabilities = np.concatenate([self._open[0], ids]), np.concatenate([self._open[1], probabilities])
        table = self._vocabulary
        seams = np.flatnonzero(ids == (table.blank if table.delimiter_id is None else table.delimiter_id))
        closed = int(seams[-1]) if len(seams) else 0  # no word goes on across such a frame
        transcript = Transcript("")
        if closed:
            transcript = self._transcript(
                ids[:closed], probabilities[:closed], Clock(self._frame, math.inf, self._frames)
            )
        self._words += transcript.words
        self._characters += transcript.characters
        self._frames, self._open = self._frames + closed, (ids[closed:].copy(), probabilities[closed:].copy())
        return transcript.words

    def finish(self, seconds: float) -> Transcript:
        """See `Text.finish`. Of several pieces the text is that of the words."""
        if self._pieces < 2:
            return self._transcript(*self._first, Clock(self._frame, seconds))
        transcript = self._transcript(*self._open, Clock(self._frame, seconds, self._frames))
        words = [*self._words, *transcript.words]
        whole = replace(transcript, words=words, characters=[*self._characters, *transcript.characters])
        return text_of_words(whole, self.joiner, self._vocabulary)

    def whole(self, logits: Logits, seconds: float) -> Transcript:
        """See `Text.whole`."""
        ids = ctc.greedy(logits)
        return self._transcript(ids, ctc.emitted_probability(logits, ids), Clock(self._frame, seconds))

    def _transcript(
        self, ids: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32], clock: Clock
    ) -> Transcript:
        table = self._vocabulary
        path = ctc.path(ids, probabilities, table.blank, table.special, table.delimiter_id)
        return path_transcript(path, table, clock, self._with_characters)


class SearchText:
    """By a beam search: what all its beams agree on stays."""

    def __init__(
        self,
        search: BeamSearch,
        vocabulary: Vocabulary,
        frame: float,
        with_characters: bool = False,
        n_best: int | None = None,
    ) -> None:
        """`frame` as above; `n_best` texts are kept as alternatives."""
        self._search, self._vocabulary, self._frame = search, vocabulary, frame
        self._with_characters, self._n_best = with_characters, n_best
        self._state, self._tokens = search.start(), 0  # and how many of its certain tokens have been given
        self.joiner = between_words(vocabulary, search.alphabet.has_words)

    def advance(self, logits: Logits) -> list[Word]:
        """See `Text.advance`."""
        self._state = self._search.advance(self._state, logits)
        numbers, emitted = self._state.certain
        new = Path(numbers[:, self._tokens :], emitted[self._tokens :])
        self._tokens = numbers.shape[1]
        words = word_spans(new, TokenTable(self._search.alphabet))
        return self._transcript([Hypothesis("", words, 0.0, 0.0)], math.inf).words

    def finish(self, seconds: float) -> Transcript:
        """See `Text.finish`."""
        return self._transcript(self._search.finish(self._state, self._n_best or 1), seconds)

    def whole(self, logits: Logits, seconds: float) -> Transcript:
        """See `Text.whole`."""
        self._state = self._search.advance(self._state, logits)
        return self.finish(seconds)

    def _transcript(self, hypotheses: list[Hypothesis], seconds: float) -> Transcript:
        clock = Clock(self._frame, seconds)
        transcript = searched_transcript(hypotheses, self._search.alphabet, self._vocabulary, clock)
        return chosen_parts(transcript, self._with_characters, self._n_best)


def text_of_words(transcript: Transcript, joiner: str, vocabulary: Vocabulary) -> Transcript:
    """The same with the text of its words, between which is the `joiner`, however many delimiters there were."""
    text = joiner.join(word.text for word in transcript.words)
    return replace(transcript, text=clean_up(text) if vocabulary.clean_up else text)


class Pauses:
    """Ends words at pauses: where only blanks are for `PAUSE` seconds, one frame is the delimiter.

    Models that have learnt single utterances write none at their ends, and would join the last word of one with the
    first of the next.
    """

    def __init__(self, vocabulary: Vocabulary, frame: float) -> None:
        self._blank, self._delimiter = vocabulary.blank, vocabulary.delimiter_id
        self._least, self._run = round(PAUSE / frame), 0  # frames of the pause that goes on

    def add(self, logits: Logits) -> Logits:
        """The next frames, as they are to be read."""
        if self._delimiter is None or not len(logits):
            return logits
        is_blank = logits.argmax(axis=1) == self._blank
        others = np.flatnonzero(~is_blank)
        begins, ends = np.concatenate([[-self._run], others + 1]), np.append(others, len(logits))
        self._run = int(ends[-1] - begins[-1])
        at = begins + self._least - 1
        at = at[(at >= 0) & (at < ends)]
        if len(at):
            logits = logits.copy()
            logits[at] = 0
            logits[at, self._delimiter] = SILENT_LOGIT
        return logits


class Segments:
    """Words in segments, which end with a pause, or when they get long; each is told of when it has ended."""

    def __init__(self, vocabulary: Vocabulary, joiner: str, callbacks: Callbacks) -> None:
        self._vocabulary, self._joiner, self._callbacks = vocabulary, joiner, callbacks
        self._open: list[Word] = []  # words of the segment that goes on
        self.words = 0  # that have been taken
        self.ended: list[TextSegment] = []

    def add(self, words: Sequence[Word]) -> None:
        """Take the next words."""
        self.words += len(words)
        for word in words:
            is_pause = bool(self._open) and word.start - self._open[-1].end >= PAUSE
            if self._open and (is_pause or word.end - self._open[0].start > LONGEST):
                self.end()
            self._open.append(word)

    def end(self) -> None:
        """End the segment that goes on, if there is one."""
        words, self._open = self._open, []
        if not words:
            return
        text = self._joiner.join(word.text for word in words)
        text = clean_up(text) if self._vocabulary.clean_up else text
        self.ended.append(TextSegment(text, words[0].start, words[-1].end, words))
        self._callbacks.segment(self.ended[-1], self._joiner if len(self.ended) > 1 else "")


class Transcriber:
    """Transcribes recordings of any length, one or several."""

    def __init__(
        self,
        runner: RecordingRunner,
        vocabulary: Vocabulary,
        text: Callable[[], Text],
        callbacks: Callbacks,
        skip_silence: bool = True,
        activity: Callable[[], Activity] | None = None,
    ) -> None:
        """`text` makes the text of one recording; `activity` is to say where speech is, None: what is not silent."""
        self._runner, self._vocabulary, self._text, self._callbacks = runner, vocabulary, text, callbacks
        self._skip_silence, self._activity = skip_silence, activity

    def transcribe(self, recordings: Sequence[AudioBlocks], batch_size: int) -> list[Transcript]:
        """The transcripts in their order. Raises AudioError, which names the item of several, and EngineError."""
        opened = list(recordings) if self._activity is not None else self._runner.opened(recordings)
        answers = iter(self._runner.run([each for each in opened if not isinstance(each, AudioBlocks)], batch_size))
        transcripts = []
        for index, recording in enumerate(opened):
            with named(index, len(opened)):
                if isinstance(recording, AudioBlocks):
                    transcripts.append(self._long(recording))
                else:
                    transcripts.append(self._short(next(answers)))
        return transcripts

    def _short(self, answer: Answer) -> Transcript:
        text, seconds = self._text(), self._runner.seconds(answer.samples)
        return self._ended(text.whole(answer.output, seconds), self._segments(text), seconds)

    def _long(self, recording: AudioBlocks) -> Transcript:
        """Where it fails on the way, or is interrupted, the words that stay are told of as a last segment."""
        duration = recording.duration
        windows = self._runner.windows(recording, self._activity, self._skip_silence)
        text = self._text()
        segments = self._segments(text)
        pauses = Pauses(self._vocabulary, windows.geometry.hop / windows.geometry.rate)
        try:
            for logits in windows:
                segments.add(text.advance(pauses.add(logits)))
                self._callbacks.progress(windows.seconds, duration)
        except BaseException:
            segments.end()
            raise
        seconds = self._runner.seconds(windows.samples)
        transcript = self._ended(text.finish(seconds), segments, seconds)
        return replace(transcript, text=text.joiner.join(segment.text for segment in transcript.segments))

    def _segments(self, text: Text) -> Segments:
        return Segments(self._vocabulary, text.joiner, self._callbacks)

    def _ended(self, transcript: Transcript, segments: Segments, seconds: float) -> Transcript:
        """The whole transcript, with the segments that end with it."""
        segments.add(transcript.words[segments.words :])
        segments.end()
        self._callbacks.progress(seconds, seconds)
        return replace(transcript, segments=segments.ended)
