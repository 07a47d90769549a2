"""What every CTC model can do with a text that is known: find when its words are said."""

from collections.abc import Sequence
from typing import overload

from ..audio import AudioInput, is_single
from ..bundle.manifest import Vocabulary
from ..choices import BATCH_SIZE
from ..ctc.alignment import Bias, align, loudness
from ..ctc.alignment.edges import Seconds
from ..ctc.alignment.spelling import spell_out
from ..engines.calls import cancellable
from ..errors import ArgumentError
from ..results.transcript import Transcript
from .aligned_text import transcript
from .batches import Output
from .head import LogitsModel
from .long_audio import cuts, silent_logits
from .model import AudioList, Waveform


class AligningModel(LogitsModel):
    """One whose logits are those of a CTC vocabulary."""

    _vocabulary: Vocabulary

    @overload
    def align(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, audio: AudioInput, text: str, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> Transcript: ...
    @overload
    def align(
        self, audio: AudioList, text: Sequence[str], *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> list[Transcript]: ...
    @cancellable
    def align(
        self,
        audio: AudioInput | AudioList,
        text: str | Sequence[str],
        *,
        sampling_rate: float | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Transcript | list[Transcript]:
        """When each word and character of a given text is said: a Transcript, or a list for lists of inputs and texts.

        Words are what stands between white space, as they are given, case and punctuation with them; `*` stands for any
        speech, or none, and is not among the words. They are `AlignedWord`s and `AlignedCharacter`s, which say where
        their times come from: what has no letter in the vocabulary is interpolated, and a word that the audio does not
        have takes no time and has the confidence 0. Raises AudioError, and ArgumentError for a text that is empty, has
        no letter in the vocabulary, or is longer than the audio allows.
        """
        texts = [text] if isinstance(text, str) else list(text)
        waveforms = self._waveforms(audio, sampling_rate)
        if isinstance(text, str) != is_single(audio) or len(texts) != len(waveforms):
            raise ArgumentError(f"text: expected one for each input, got {len(texts)} for {len(waveforms)}")
        for given in texts:  # before anything runs
            spell_out(given, self._vocabulary)
        levels = [loudness(samples, self.manifest.audio.sampling_rate) for samples in waveforms]
        outputs = self._by_stretches(waveforms, batch_size)
        transcripts = [self._aligned(*each) for each in zip(outputs, waveforms, levels, texts, strict=True)]
        return transcripts[0] if is_single(audio) else transcripts

    def _by_stretches(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Output]:
        """Logits `[frames, vocabulary]` of each: the whole at once, or of a long one the parts that have sound."""
        facts, count = self.manifest.audio, self.manifest.frames.count
        plans = [cuts(samples, count(len(samples)), facts.sampling_rate, facts.hop) for samples in waveforms]
        parts = [samples[cut.samples] for samples, plan in zip(waveforms, plans, strict=True) for cut in plan]
        outputs = iter(self._run(parts, batch_size))
        logits_of_each = []
        for samples, plan in zip(waveforms, plans, strict=True):
            logits = silent_logits(count(len(samples)), len(self._vocabulary.tokens), self._vocabulary.blank)
            for cut in plan:
                part = next(outputs)[cut.first : cut.first + cut.frames]
                logits[cut.at : cut.at + len(part)] = part
            logits_of_each.append(logits)
        return logits_of_each

    def _aligned(self, logits: Output, samples: Waveform, levels: Seconds, text: str) -> Transcript:
        facts = self.manifest.audio
        duration, frame = len(samples) / facts.sampling_rate, facts.hop / facts.sampling_rate  # seconds
        edges = self.manifest.word_edges
        bias = Bias() if edges is None else Bias(edges.start, edges.end)
        return transcript(align(logits, text, self._vocabulary), self._vocabulary, frame, duration, levels, bias)
