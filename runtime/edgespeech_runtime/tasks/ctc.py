"""Models with a CTC head: waveforms to logits by frame, logits to text with times."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np
import numpy.typing as npt

from .. import ctc
from ..audio import AudioInput, to_waveforms
from ..batching import plan
from ..bundle import Bundle
from ..engines import Engine
from ..errors import ArgumentError, EngineError, SelfCheckError
from ..graphs import Graphs
from ..manifest import LENGTHS, LOGITS, VALUES, Manifest, Vocabulary
from ..transcript import Character, Transcript, Word
from ..waveform import normalize, pad

Timestamps = Literal["word", "char"]
Logits = npt.NDArray[np.float32]
AudioList: TypeAlias = Sequence[AudioInput]  # a list or a tuple

BATCH_SIZE = 8


class CtcModel:
    """A loaded bundle. It may be called from many threads at once.

    Everywhere `audio` is a path, an array, or a list of those. Arrays are `[samples]` or `[samples, channels]` at
    `sampling_rate` Hz (default: the model's own): floats in [-1, 1], or integers, which are scaled by their type.
    Files bring their own rate. Utterances of different lengths run in padded batches of at most `batch_size`, which
    changes no result beyond float rounding.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._bundle = bundle
        facts = bundle.manifest.audio
        samples = facts.shortest + facts.hop  # two frames
        values, lengths = np.zeros((1, samples), np.float32), np.array([samples])
        single = {VALUES.name: values}
        self._graphs = Graphs(bundle, engine, {"single": single, "batch": {**single, LENGTHS.name: lengths}})

    @property
    def manifest(self) -> Manifest:
        """Every fact about the model."""
        return self._bundle.manifest

    @overload
    def transcribe(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self,
        audio: AudioInput,
        *,
        sampling_rate: float | None = ...,
        timestamps: Timestamps | None = ...,
        batch_size: int = ...,
    ) -> Transcript: ...
    @overload
    def transcribe(
        self,
        audio: AudioList,
        *,
        sampling_rate: float | None = ...,
        timestamps: Timestamps | None = ...,
        batch_size: int = ...,
    ) -> list[Transcript]: ...
    def transcribe(
        self,
        audio: AudioInput | AudioList,
        *,
        sampling_rate: float | None = None,
        timestamps: Timestamps | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Transcript | list[Transcript]:
        """What is said, by the most probable token of each frame: one Transcript, or a list in the order of the inputs.

        Words with times and confidences cost nothing here and are always there; `timestamps="char"` adds the
        characters. Raises AudioError, which names the item of a list, and ArgumentError for an unknown option.
        """
        if timestamps is not None and timestamps not in get_args(Timestamps):
            raise ArgumentError(f"timestamps: expected None, 'word' or 'char', got {timestamps!r}")
        waveforms = self._waveforms(audio, sampling_rate)
        outputs = self._run(waveforms, batch_size)
        transcripts = [
            self._transcript(logits, len(samples), timestamps == "char")
            for logits, samples in zip(outputs, waveforms, strict=True)
        ]
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
        """Run the bundle's golden input here and return the largest difference from the logits expected.

        Raises SelfCheckError where it exceeds the manifest's tolerance: then this device, or this build of the
        engine, computes wrongly.
        """
        golden = self.manifest.golden
        values, expected = self._bundle.arrays(golden.file, VALUES.name, LOGITS.name)
        found = self._graphs.run("single", {VALUES.name: values})[LOGITS.name]
        if found.shape != expected.shape:
            raise SelfCheckError(f"self-check: expected logits {list(expected.shape)}, got {list(found.shape)}")
        difference = float(np.max(np.abs(found - expected)))
        if not difference <= golden.tolerance:  # NaN is no pass
            raise SelfCheckError(
                f"self-check: the logits differ by {difference:.3g} where {golden.tolerance:.3g} is allowed: "
                "do not trust this device, or this version of the engine, with this bundle"
            )
        return difference

    def close(self) -> None:
        """Let go of the engine's memory. The model cannot be used afterwards; closing again does nothing."""
        self._graphs.close()

    def __enter__(self) -> "CtcModel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _waveforms(self, audio: AudioInput | AudioList, sampling_rate: float | None) -> list[npt.NDArray[np.float32]]:
        items: AudioList = audio if isinstance(audio, list | tuple) else [audio]  # type: ignore[list-item]  # not a list
        facts = self.manifest.audio
        return to_waveforms(items, sampling_rate, facts.sampling_rate, facts.shortest)

    def _run(self, waveforms: Sequence[npt.NDArray[np.float32]], batch_size: int) -> list[Logits]:
        """`[samples] -> [frames, vocabulary]` for each."""
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ArgumentError(f"batch_size: expected a whole number of at least 1, got {batch_size!r}")
        outputs: dict[int, Logits] = {}
        for indices in plan([len(samples) for samples in waveforms], batch_size):
            outputs.update(zip(indices, self._run_batch([waveforms[i] for i in indices]), strict=True))
        return [outputs[i] for i in range(len(waveforms))]

    def _run_batch(self, waveforms: list[npt.NDArray[np.float32]]) -> list[Logits]:
        values, lengths = pad([normalize(w) if self.manifest.audio.normalize else w for w in waveforms])
        if lengths.min() == lengths.max():
            logits = self._graphs.run("single", {VALUES.name: values})[LOGITS.name]
        elif "batch" in self._graphs:
            logits = self._graphs.run("batch", {VALUES.name: values, LENGTHS.name: lengths})[LOGITS.name]
        else:
            return [logits for samples in waveforms for logits in self._run_batch([samples])]
        frames = [self.manifest.frames.count(int(length)) for length in lengths]
        expected = (len(waveforms), max(frames), len(self.manifest.vocabulary.tokens))
        if logits.shape != expected:
            raise EngineError(
                f"expected logits {list(expected)} by the manifest, got {list(logits.shape)}: export the bundle again"
            )
        if np.isnan(logits).any():  # or silence would be reported: NaN wins every argmax
            raise EngineError(
                "the engine computed NaN logits: run self_check() to see whether this device can be trusted"
            )
        return [np.array(row[:count]) for row, count in zip(logits, frames, strict=True)]

    def _transcript(self, logits: Logits, samples: int, with_characters: bool) -> Transcript:
        vocabulary, facts = self.manifest.vocabulary, self.manifest.audio
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
