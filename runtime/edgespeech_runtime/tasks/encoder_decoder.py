"""Speech encoder-decoders: recordings of any length, and people who speak, to text."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

from ..audio import AudioBlocks, AudioInput, is_single
from ..bundle.contracts import NEXT_LOGITS
from ..choices import BATCH_SIZE
from ..engines.calls import cancellable
from ..errors import ArgumentError
from ..generation import GenerationOptions, OnTokens, ended
from ..long.vad import VadModel, open_vad
from ..results.prediction import Prediction
from ..results.transcript import Transcript
from .by_parts import Callbacks, OnProgress, OnSegment, Write, Written, transcribe_all
from .generating import GeneratingModel
from .model import AudioList, OnText, Waveform

if TYPE_CHECKING:
    from ..live.plan import Latency
    from ..live.stream import LiveStream


class EncoderDecoderModel(GeneratingModel):
    """A loaded bundle of a speech encoder-decoder; what `audio` may be and how batches run: see `Model`.

    `options` are those of `GenerationOptions` (num_beams, max_new_tokens, do_sample, ...), over the bundle's own
    defaults. `language` is the name of the language to write, where the vocabulary has languages.
    """

    @property
    def languages(self) -> list[str]:
        """Names that `language` takes, sorted; none where the vocabulary has no tokens for languages."""
        return sorted(self.detokenizer.languages)

    @overload
    def transcribe(
        self,
        audio: AudioInput,
        *,
        sampling_rate: float | None = ...,
        timestamps: None = ...,
        batch_size: int = ...,
        language: str | None = ...,
        on_text: OnText | None = ...,
        on_segment: OnSegment | None = ...,
        on_progress: OnProgress | None = ...,
        vad: VadModel | None = ...,
        **options: Any,
    ) -> Transcript: ...
    @overload
    def transcribe(
        self,
        audio: AudioList,
        *,
        sampling_rate: float | None = ...,
        timestamps: None = ...,
        batch_size: int = ...,
        language: str | None = ...,
        on_text: OnText | None = ...,
        on_segment: OnSegment | None = ...,
        on_progress: OnProgress | None = ...,
        vad: VadModel | None = ...,
        **options: Any,
    ) -> list[Transcript]: ...
    @cancellable
    def transcribe(
        self,
        audio: AudioInput | AudioList,
        *,
        sampling_rate: float | None = None,
        timestamps: None = None,
        batch_size: int = BATCH_SIZE,
        language: str | None = None,
        on_text: OnText | None = None,
        on_segment: OnSegment | None = None,
        on_progress: OnProgress | None = None,
        vad: VadModel | None = None,
        **options: Any,
    ) -> Transcript | list[Transcript]:
        """The text that the decoder writes: one Transcript, or a list in the order of the inputs.

        A recording of more than 30 s is cut in pauses, and where nobody speaks nothing is computed; the texts of its
        parts are the transcript's `segments`, with times. Not more of it is in memory than a part, or on a GPU a batch
        of them. `vad` is the ONNX file of a Silero voice activity detector, which then says where speech is in
        recordings of any length; None: every sound but steady noise.

        The transcripts have no words with times: this kind of model does not say when something was said, and
        `timestamps` is refused. Of a single input `on_text` is called with each piece of text as soon as nothing can
        change it any more (spaces around the whole are not taken off there), `on_segment` with each segment, and
        `on_progress` with the seconds that are done and those of the whole. Raises AudioError, which names the item
        of a list, and ArgumentError for an unknown option or language, and for options that contradict each other or
        the model.
        """
        if timestamps is not None:
            raise ArgumentError(f"timestamps: an encoder-decoder gives none, got {timestamps!r}: leave it out")
        chosen = self.options(language, **{"num_return_sequences": 1, **options})
        callbacks = Callbacks(on_text, on_segment, on_progress)
        activity = None if vad is None else open_vad(vad, self._audio.sampling_rate)
        recordings = self._recordings(audio, sampling_rate)
        callbacks.require_single(len(recordings))
        write = self._writer(batch_size, chosen)
        transcripts = transcribe_all(recordings, self._cutting(batch_size), activity, write, callbacks)
        return transcripts[0] if is_single(audio) else transcripts

    def stream(
        self,
        *,
        latency: "Latency" = "balanced",
        sampling_rate: float | None = None,
        without_speech: float = 2.4,
        after_speech: float | None = 1.2,
        longest: float = 20.0,
        language: str | None = None,
        vad: VadModel | None = None,
        on_text: OnText | None = None,
        **options: Any,
    ) -> "LiveStream":
        """Text while people speak: `feed` takes samples in blocks of any size and returns events, `finish` the last.

        What is said is written down at each pause of 0.5, 0.8 or 1.2 s (`latency` "low", "balanced" or "high"; or
        milliseconds): shorter ones give text sooner, with more errors. What was written stays; an utterance is final
        when it ends, by `without_speech`, `after_speech` and `longest`, in seconds, see `live.Endpoints`. Events have
        no words with times. `on_text` is called with each piece of text while it is being written. `sampling_rate` is
        that of the samples, where it is not the model's. The others are those of `transcribe`. See docs/live.md.

        Raises ArgumentError and AudioError.
        """
        from ..live.encoder_decoder import open_stream
        from ..live.endpoints import Endpoints

        chosen = self.options(language, **{"num_return_sequences": 1, **options})
        facts, cutting = self._audio, self._cutting(1)

        def write(samples: Waveform, on_piece: OnText) -> str:
            return self._written([cutting.with_silence(samples)], 1, chosen, on_piece)[0].text

        activity = None if vad is None else open_vad(vad, facts.sampling_rate)
        endpoints = Endpoints(without_speech, after_speech, longest)
        return open_stream(
            *(facts.sampling_rate, cutting.longest_part, write, latency, endpoints, sampling_rate, activity, on_text),
            self.calls,
        )

    def _predictions(
        self, waveforms: list[Waveform], batch_size: int, with_logits: bool, options: Mapping[str, Any]
    ) -> list[Prediction]:
        cutting = self._cutting(batch_size)
        if with_logits or all(len(samples) <= cutting.whole for samples in waveforms):
            return super()._predictions(waveforms, batch_size, with_logits, options)
        recordings = [AudioBlocks(samples, self._audio.sampling_rate) for samples in waveforms]
        given = {name: value for name, value in options.items() if name != "tokens"}
        write = self._writer(batch_size, self.options(**{"num_return_sequences": 1, **given}))
        transcripts = transcribe_all(recordings, cutting, None, write, Callbacks())
        return [Prediction(each.text, None, NEXT_LOGITS.name, "largest") for each in transcripts]

    def _writer(self, batch_size: int, options: GenerationOptions) -> Write:
        def write(batch: list[Waveform], on_text: OnText | None) -> list[Written]:
            return self._written(batch, batch_size, options, on_text)

        return write

    def _written(
        self, waveforms: list[Waveform], batch_size: int, options: GenerationOptions, on_text: OnText | None
    ) -> list[Written]:
        """What the decoder writes of each; `on_text` gets the text of one alone as it comes."""
        stream = self.detokenizer.stream()
        on_tokens = None if on_text is None else _pieces(lambda tokens: stream.push(tokens), on_text)
        hypotheses = self._generate(waveforms, batch_size, options, on_tokens)
        if on_text is not None and (rest := stream.flush()):
            on_text(rest)
        return [
            Written(self.detokenizer.decode(best.tokens).strip(), ended(best, options, self._longest))
            for best, *_ in hypotheses
        ]


def _pieces(push: Callable[[list[int]], str], on_text: OnText) -> OnTokens:
    """Turn tokens into pieces of text for `on_text`; a piece that is empty is passed over."""

    def on_tokens(utterance: int, tokens: list[int]) -> None:
        if piece := push(tokens):
            on_text(piece)

    return on_tokens
