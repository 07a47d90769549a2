"""Models with a CTC head: waveforms to logits by frame, logits to text with times."""

from collections.abc import Sequence
from typing import Any, Literal, get_args, overload

from ..audio import AudioInput
from ..bundle.folder import Bundle
from ..bundle.manifest import Vocabulary
from ..ctc import greedy as ctc
from ..engines import Engine
from ..errors import ArgumentError, BundleError
from ..results.transcript import Character, Transcript, Word
from ..text import clean_up
from .head import LogitsModel, Output
from .model import BATCH_SIZE, AudioList, OnText

Timestamps = Literal["word", "char"]


class CtcModel(LogitsModel):
    """A loaded bundle with a CTC head; what `audio` may be and how batches run: see `Model`."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        if bundle.manifest.vocabulary is None:
            raise BundleError("edgespeech.json: vocabulary: a CTC model must have it")
        self._vocabulary = bundle.manifest.vocabulary
        super().__init__(bundle, engine, len(self._vocabulary.tokens))

    @overload
    def transcribe(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self,
        audio: AudioInput,
        *,
        sampling_rate: float | None = ...,
        timestamps: Timestamps | None = ...,
        batch_size: int = ...,
        on_text: OnText | None = ...,
    ) -> Transcript: ...
    @overload
    def transcribe(
        self,
        audio: AudioList,
        *,
        sampling_rate: float | None = ...,
        timestamps: Timestamps | None = ...,
        batch_size: int = ...,
        on_text: OnText | None = ...,
    ) -> list[Transcript]: ...
    def transcribe(
        self,
        audio: AudioInput | AudioList,
        *,
        sampling_rate: float | None = None,
        timestamps: Timestamps | None = None,
        batch_size: int = BATCH_SIZE,
        on_text: OnText | None = None,
    ) -> Transcript | list[Transcript]:
        """What is said, by the most probable token of each frame: one Transcript, or a list in the order of the inputs.

        Words with times and confidences cost nothing here and are always there; `timestamps="char"` adds the
        characters. `on_text` takes a single input and is called with its text, once: the text is certain only when
        all frames are there. Raises AudioError, which names the item of a list, and ArgumentError for an unknown
        option.
        """
        if timestamps is not None and timestamps not in get_args(Timestamps):
            raise ArgumentError(f"timestamps: expected None, 'word' or 'char', got {timestamps!r}")
        waveforms = self._waveforms(audio, sampling_rate)
        if on_text is not None and len(waveforms) != 1:
            raise ArgumentError(f"on_text takes one input at a time, got {len(waveforms)}")
        outputs = self._run(waveforms, batch_size)
        transcripts = [
            self._transcript(logits, len(samples), timestamps == "char")
            for logits, samples in zip(outputs, waveforms, strict=True)
        ]
        if on_text is not None and transcripts[0].text:
            on_text(transcripts[0].text)
        return transcripts if isinstance(audio, list | tuple) else transcripts[0]

    def _transcript(self, logits: Output, samples: int, with_characters: bool) -> Transcript:
        vocabulary, facts = self._vocabulary, self.manifest.audio
        duration, frame = samples / facts.sampling_rate, facts.hop / facts.sampling_rate  # seconds
        ids = ctc.greedy(logits)
        probability = ctc.emitted_probability(logits, ids)
        spans = ctc.collapse(ids, vocabulary.blank, skip=vocabulary.special)

        def fields(part: list[ctc.Span]) -> dict[str, Any]:
            return {
                "text": spell(part, vocabulary),
                "start": min(part[0].start_frame * frame, duration),
                "end": min(part[-1].end_frame * frame, duration),
                "confidence": ctc.confidence(probability, ids, part),
            }

        groups = [group for group in ctc.split_words(spans, vocabulary.delimiter_id) if spell(group, vocabulary)]
        words = [Word(**fields(group)) for group in groups]
        characters = [Character(**fields([span])) for group in groups for span in group] if with_characters else []
        return Transcript(spell(spans, vocabulary), words, characters, duration)


def spell(spans: Sequence[ctc.Span], vocabulary: Vocabulary) -> str:
    """The text of tokens: joined, the delimiter replaced, without the space around, cleaned up where it is to be."""
    replaced = {vocabulary.delimiter_id: vocabulary.replace_word_delimiter}
    texts = [replaced.get(span.token_id, vocabulary.tokens[span.token_id]) for span in spans]
    text = vocabulary.separator.join(filter(None, texts)).strip()
    text = text.lower() if vocabulary.lower_case else text
    return clean_up(text) if vocabulary.clean_up else text
