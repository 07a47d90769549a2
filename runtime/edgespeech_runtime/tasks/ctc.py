"""Models with a CTC head: waveforms to logits by frame, logits to text with times."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, overload

from ..audio import AudioInput, is_single
from ..bundle.contracts import LOGITS
from ..bundle.folder import Bundle
from ..choices import BATCH_SIZE, Timestamps
from ..ctc import greedy as ctc
from ..ctc.alphabet import Alphabet
from ..ctc.beam_search import BeamSearch
from ..ctc.decoding import Decoding, Hotwords, LanguageModelInput, SearchMaker
from ..ctc.fusion import FusionWeights
from ..engines import Engine
from ..engines.calls import cancellable
from ..errors import ArgumentError, BundleError
from ..long.vad import VadModel, open_vad
from ..results.prediction import Prediction
from ..results.transcript import Transcript
from .aligning import AligningModel
from .batches import Output
from .by_parts import Callbacks, OnProgress, OnSegment
from .ctc_text import spell
from .model import AudioList, OnText, Waveform
from .transcribing import GreedyText, Pauses, SearchText, Text, Transcriber, text_of_words

if TYPE_CHECKING:
    from ..live.plan import Latency
    from ..live.stream import LiveStream


class CtcModel(AligningModel):
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
        on_segment: OnSegment | None = ...,
        on_progress: OnProgress | None = ...,
        skip_silence: bool = ...,
        vad: VadModel | None = ...,
        beams: int | None = ...,
        language_model: LanguageModelInput | None = ...,
        hotwords: Hotwords | None = ...,
        n_best: int | None = ...,
        alpha: float | None = ...,
        beta: float | None = ...,
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
        on_segment: OnSegment | None = ...,
        on_progress: OnProgress | None = ...,
        skip_silence: bool = ...,
        vad: VadModel | None = ...,
        beams: int | None = ...,
        language_model: LanguageModelInput | None = ...,
        hotwords: Hotwords | None = ...,
        n_best: int | None = ...,
        alpha: float | None = ...,
        beta: float | None = ...,
    ) -> list[Transcript]: ...
    @cancellable
    def transcribe(
        self,
        audio: AudioInput | AudioList,
        *,
        sampling_rate: float | None = None,
        timestamps: Timestamps | None = None,
        batch_size: int = BATCH_SIZE,
        on_text: OnText | None = None,
        on_segment: OnSegment | None = None,
        on_progress: OnProgress | None = None,
        skip_silence: bool = True,
        vad: VadModel | None = None,
        beams: int | None = None,
        language_model: LanguageModelInput | None = None,
        hotwords: Hotwords | None = None,
        n_best: int | None = None,
        alpha: float | None = None,
        beta: float | None = None,
    ) -> Transcript | list[Transcript]:
        """What is said, by the most probable token of each frame: one Transcript, or a list in the order of the inputs.

        Words with times and confidences cost nothing here and are always there; `timestamps="char"` adds the
        characters.

        A recording of more than 40 s, or 16 s of a model that knows absolute positions, is read in blocks and run in
        windows, whose frames are decoded as one; of silence, not more is run than shows that the model says nothing in
        it. `skip_silence=False` runs all. `vad` is the ONNX file of a Silero voice activity detector, which then says
        where speech is, in recordings of any length; None: every sound but steady noise. Of a single input `on_segment`
        gets each part of the text between pauses as soon as nothing can change it any more, `on_text` pieces that add
        up to the text, and `on_progress` the seconds that are done and those of the whole. See docs/long_audio.md.

        Any of the others asks for a search with so many `beams` (100 where they are not given): `language_model`, an
        n-gram file or an opened NgramModel, weighed by `alpha` (0.5), with `beta` (1.5) added for each word; False
        leaves out the one that the bundle carries. `hotwords`, words and phrases to prefer, with their weights (10.0)
        in natural log units where it is a mapping. `n_best` texts are the transcript's `alternatives`. See docs/ctc.md.

        Raises AudioError, which names the item of a list, ArgumentError for an unknown option, and LanguageModelError.
        """
        if timestamps is not None and timestamps not in get_args(Timestamps):
            raise ArgumentError(f"timestamps: expected None, 'word' or 'char', got {timestamps!r}")
        search = None
        if any(option is not None for option in (beams, language_model, hotwords, n_best, alpha, beta)):
            search = self._search(Decoding(beams, language_model, hotwords, n_best, alpha, beta))
        callbacks = Callbacks(on_text, on_segment, on_progress)
        recordings = self._recordings(audio, sampling_rate)
        callbacks.require_single(len(recordings))
        if vad is not None and not skip_silence:
            raise ArgumentError("vad says which silence to skip, and skip_silence is False: leave one of them out")
        activity = None if vad is None else open_vad(vad, self._audio.sampling_rate)

        def text() -> Text:
            return self._begun(search, timestamps == "char", n_best)

        work = Transcriber(self._long, self._vocabulary, text, callbacks, skip_silence, activity)
        transcripts = work.transcribe(recordings, batch_size)
        return transcripts[0] if is_single(audio) else transcripts

    def stream(
        self,
        *,
        latency: "Latency" = "balanced",
        sampling_rate: float | None = None,
        without_speech: float = 2.4,
        after_speech: float | None = 1.2,
        longest: float = 20.0,
        beams: int | None = None,
        language_model: LanguageModelInput | None = None,
        hotwords: Hotwords | None = None,
        alpha: float | None = None,
        beta: float | None = None,
    ) -> "LiveStream":
        """Text while people speak: `feed` takes samples in blocks of any size and returns events, `finish` the last.

        A word is final with so much sound behind it as `latency` says, in milliseconds or as "low" (800), "balanced"
        (2000) or "high" (4000): with less, words are final sooner, and more of them are wrong. `sampling_rate` is that
        of the samples, where it is not the model's. `without_speech`, `after_speech` and `longest`, in seconds, say
        when an utterance ends, see `live.Endpoints`. The others are those of `transcribe`. See docs/live.md.

        Raises ArgumentError, AudioError and LanguageModelError.
        """
        from ..live.ctc import WindowRunner, open_stream
        from ..live.endpoints import Endpoints

        search = self._search(Decoding(beams, language_model, hotwords, None, alpha, beta))
        endpoints = Endpoints(without_speech, after_speech, longest)
        runner = WindowRunner(self._runner, self._audio.sampling_rate)
        return open_stream(
            self.manifest, self._vocabulary, runner, search, latency, endpoints, sampling_rate, self.calls
        )

    def decode(self, logits: Output, **options: Any) -> Transcript:
        """The transcript of what `logits` gave, `[frames, vocabulary]`, with the options of a search by `transcribe`.

        For trying several searches on one output; the duration is that of the frames. Raises ArgumentError.
        """
        decoding = self._decoding(options)
        search = self._search(decoding)
        return self._transcript(logits, len(logits) * self.manifest.audio.hop, search, decoding.n_best)

    def check_options(self, **options: Any) -> None:
        """See `Model.check_options`: those of `Decoding` are taken."""
        self._search(self._decoding(options))

    def search_options(self, num_beams: int = 1, max_tokens: int | None = None) -> dict[str, Any]:
        """See `Model.search_options`; the most probable token of each frame needs no search."""
        return {"language_model": False}

    def _predictions(
        self, waveforms: list[Waveform], batch_size: int, with_logits: bool, options: Mapping[str, Any]
    ) -> list[Prediction]:
        search = self._search(self._decoding(options))
        return [
            Prediction(self._text(output, len(samples), search), output, LOGITS.name, "largest")
            for output, samples in zip(self._run_long(waveforms, batch_size), waveforms, strict=True)
        ]

    def _text(self, logits: Output, samples: int, search: BeamSearch | None) -> str:
        """The text alone, without the times and confidences of a transcript where nothing is searched."""
        if search is not None or samples > self._long.whole:
            return self._transcript(logits, samples, search, None).text
        vocabulary = self._vocabulary
        return spell(ctc.collapse(ctc.greedy(logits), vocabulary.blank, skip=vocabulary.special), vocabulary)

    @staticmethod
    def _decoding(options: Mapping[str, Any]) -> Decoding:
        for name in options:
            if name not in Decoding.__dataclass_fields__:
                raise ArgumentError(f"{name} is not for a CTC model, which has no decoder: leave it out")
        return Decoding(**options)

    def _search(self, decoding: Decoding) -> BeamSearch | None:
        """The search that is asked for, None for the most probable token of each frame."""
        return self._searches.search(decoding) if decoding.is_search else None

    @cached_property
    def _searches(self) -> SearchMaker:
        return SearchMaker(Alphabet.from_vocabulary(self._vocabulary), self._own_language_model())

    def _own_language_model(self) -> tuple[Path, FusionWeights] | None:
        """The file that the bundle carries, which is opened when a search needs it, and its weights."""
        own = self.manifest.language_model
        if own is None:
            return None
        weights = FusionWeights(own.alpha, own.beta, own.unknown_offset, own.score_boundary)
        return self._bundle.path(own.file), weights

    def _begun(self, search: BeamSearch | None, with_characters: bool = False, n_best: int | None = None) -> Text:
        """The text of a recording of which no frame has come."""
        frame = self._audio.hop / self._audio.sampling_rate
        if search is None:
            return GreedyText(self._vocabulary, frame, with_characters)
        return SearchText(search, self._vocabulary, frame, with_characters, n_best)

    def _transcript(self, logits: Output, samples: int, search: BeamSearch | None, n_best: int | None) -> Transcript:
        text, seconds = self._begun(search, n_best=n_best), samples / self._audio.sampling_rate
        if samples <= self._long.whole:
            return text.whole(logits, seconds)
        text.advance(Pauses(self._vocabulary, self._audio.hop / self._audio.sampling_rate).add(logits))
        return text_of_words(text.finish(seconds), text.joiner, self._vocabulary)
