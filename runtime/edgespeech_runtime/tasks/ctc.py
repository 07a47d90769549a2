"""Models with a CTC head: waveforms to logits by frame, logits to text with times."""

from collections.abc import Sequence
from typing import Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from .. import ctc
from ..audio import AudioInput
from ..buckets import Buckets
from ..bundle import Bundle
from ..contracts import LENGTHS, LOGITS, VALUES
from ..engines import Arrays, Engine
from ..errors import ArgumentError, BundleError, EngineError
from ..manifest import Vocabulary
from ..transcript import Character, Transcript, Word
from .model import BATCH_SIZE, AudioList, Model, OnText, Waveform

Timestamps = Literal["word", "char"]
Logits = npt.NDArray[np.float32]


class CtcModel(Model):
    """A loaded bundle with a CTC head; what `audio` may be and how batches run: see `Model`."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        if bundle.manifest.vocabulary is None:
            raise BundleError("edgespeech.json: vocabulary: a CTC model must have it")
        self._vocabulary = bundle.manifest.vocabulary
        super().__init__(bundle, engine)

    def _examples(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> dict[str, Arrays]:
        if self._buckets is not None:
            return {f"single_{size}": self._buckets.inputs(values, size) for size in self._buckets.lengths}
        return {"single": {VALUES.name: values}, "batch": {VALUES.name: values, LENGTHS.name: lengths}}

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
        characters. `on_text` takes a single input and is called with its text, once: what a frame says is certain only
        when all have been heard. Raises AudioError, which names the item of a list, and ArgumentError for an unknown
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

    @overload
    def logits(  # type: ignore[overload-overlap]
        self, audio: AudioInput, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> Logits: ...
    @overload
    def logits(self, audio: AudioList, *, sampling_rate: float | None = ..., batch_size: int = ...) -> list[Logits]: ...
    def logits(
        self, audio: AudioInput | AudioList, *, sampling_rate: float | None = None, batch_size: int = BATCH_SIZE
    ) -> Logits | list[Logits]:
        """Logits, float32 `[frames, vocabulary]`: one array, or a list in the order of the inputs; see `transcribe`."""
        outputs = self._run(self._waveforms(audio, sampling_rate), batch_size)
        return outputs if isinstance(audio, list | tuple) else outputs[0]

    def self_check(self) -> float:
        """See `Model.self_check`."""
        values, expected = self._golden(VALUES.name, LOGITS.name)
        if self._buckets is not None:
            found = self._heard(self._buckets, values)[None]
        else:
            found = self._graphs.run("single", {VALUES.name: values})[LOGITS.name]
        return self._checked(found, expected)

    def _run(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Logits]:
        """`[samples] -> [frames, vocabulary]` for each."""
        return self._batched(waveforms, batch_size, self._run_batch)

    def _run_batch(self, waveforms: list[Waveform]) -> list[Logits]:
        if self._buckets is not None:
            return [self._in_windows(self._buckets, self._padded([samples])[0]) for samples in waveforms]
        values, lengths = self._padded(waveforms)
        if lengths.min() == lengths.max():
            logits = self._graphs.run("single", {VALUES.name: values})[LOGITS.name]
        elif "batch" in self._graphs:
            logits = self._graphs.run("batch", {VALUES.name: values, LENGTHS.name: lengths})[LOGITS.name]
        else:
            return [logits for samples in waveforms for logits in self._run_batch([samples])]
        frames = [self.manifest.frames.count(int(length)) for length in lengths]
        self._require(logits, len(waveforms), max(frames))
        return [np.array(row[:count]) for row, count in zip(logits, frames, strict=True)]

    def _in_windows(self, buckets: Buckets, values: Waveform) -> Logits:
        """(1, samples) -> (frames, vocabulary) by graphs of fixed shapes, in windows where none is long enough."""
        windows = list(buckets.windows(values.shape[1]))
        parts = [self._heard(buckets, values[:, w.start : w.stop])[w.first : w.last] for w in windows]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _heard(self, buckets: Buckets, values: Waveform) -> Logits:
        """(1, samples) -> (frames, vocabulary) by the graph of the smallest bucket that holds them."""
        bucket = buckets.choose(values.shape[1])
        logits = self._graphs.run(f"single_{bucket}", buckets.inputs(values, bucket))[LOGITS.name]
        self._require(logits, 1, self.manifest.frames.count(bucket))
        return np.array(logits[0, : self.manifest.frames.count(values.shape[1])])

    def _require(self, logits: Logits, batch: int, frames: int) -> None:
        expected = (batch, frames, len(self._vocabulary.tokens))
        if logits.shape != expected:
            raise EngineError(
                f"expected logits {list(expected)} by the manifest, got {list(logits.shape)}: export the bundle again"
            )
        if np.isnan(logits).any():  # or silence would be reported: NaN wins every argmax
            raise EngineError(
                "the engine computed NaN logits: run self_check() to see whether this device can be trusted"
            )

    def _transcript(self, logits: Logits, samples: int, with_characters: bool) -> Transcript:
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
    """The text of tokens: joined, the delimiter replaced, without the space around."""
    replaced = {vocabulary.delimiter_id: vocabulary.replace_word_delimiter}
    text = "".join(replaced.get(span.token_id, vocabulary.tokens[span.token_id]) for span in spans).strip()
    return text.lower() if vocabulary.lower_case else text
