"""Speech encoder-decoders: waveforms to what the decoder attends to, computed once, and tokens one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..audio import AudioInput, is_single
from ..audio.buckets import Buckets
from ..bundle.contracts import LENGTHS, NEXT_LOGITS, TOKENS, VALUES, Decoder, Static, columns
from ..bundle.folder import Bundle
from ..choices import BATCH_SIZE
from ..engines import Arrays, Engine
from ..engines.calls import cancellable
from ..errors import ArgumentError, AudioError, BundleError, EngineError
from ..generation import GenerationOptions, Hypothesis, OnTokens, check_vocabulary, generate, lengths
from ..generation.cache.decoder import CachedDecoder
from ..generation.cache.static_decoder import StaticDecoder
from ..results.prediction import Prediction
from ..text import Detokenizer
from .by_parts import Cutting
from .model import AudioList, Model, Waveform

Cross = dict[str, npt.NDArray[np.float32]]


class GeneratingModel(Model):
    """One that has a text decoder, which writes token ids; `options` and `language`: see `EncoderDecoderModel`."""

    has_costly_logits = True  # they are read over the cache once more

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        if bundle.manifest.decoder is None:
            raise BundleError("edgespeech.json: decoder: an encoder-decoder must have it")
        self._decoder: Decoder = bundle.manifest.decoder
        self._longest = self._decoder.longest
        if (static := bundle.manifest.static) is not None:
            self._static: Static = static
            self._longest = static.slots if self._longest is None else min(self._longest, static.slots)
        self.detokenizer = Detokenizer.from_json(bundle.path(self._decoder.text).read_bytes())
        super().__init__(bundle, engine)

    def _examples(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> dict[str, Arrays]:
        if self._buckets is not None:
            return self._static_examples(self._buckets, values)
        sizes = {"batch": 1, "new": 2, "slots": 2, "columns": 4, "frames": 2, "kept": 2}
        encoder = {VALUES.name: values}
        examples: dict[str, Arrays] = {"encoder": encoder, "encoder_batch": {**encoder, LENGTHS.name: lengths}}
        return {**examples, **{name: self._zeros(name, sizes) for name in ("decoder", "cache")}}

    def _static_examples(self, buckets: Buckets, values: Waveform) -> dict[str, Arrays]:
        examples: dict[str, Arrays] = {f"encoder_{size}": buckets.inputs(values, size) for size in buckets.lengths}
        shapes = {**buckets.sizes(buckets.lengths[-1]), "slots": self._static.slots}
        for name, new in (("prefill", self._static.prefill), ("step", 1)):
            examples[name] = self._zeros(name, {**shapes, "new": new, "columns": self._static.slots + new})
        return examples

    def _zeros(self, graph: str, sizes: dict[str, int]) -> Arrays:
        sizes = {**sizes, "heads": self._decoder.heads, "head_dim": self._decoder.head_dim}
        inputs = self.manifest.contract[graph][0]
        return {spec.name: np.zeros([sizes[axis] for axis in spec.axes], spec.dtype) for spec in inputs}

    def _cutting(self, batch_size: int) -> Cutting:
        """Parts of one recording run together where that is faster, which it is not on a CPU."""
        facts = self._audio
        batch_size = 1 if self.device.kind == "cpu" else batch_size
        longest = None if self._buckets is None else self._buckets.lengths[-1]
        return Cutting(facts.sampling_rate, facts.shortest, longest, batch_size)

    def _short(self, audio: AudioInput | AudioList, sampling_rate: float | None, method: str) -> list[Waveform]:
        """Waveforms that the model can be run on at once. Raises AudioError for a longer one."""
        waveforms = self._waveforms(audio, sampling_rate)
        most, rate = self._cutting(1).whole, self._audio.sampling_rate
        for index, samples in enumerate(waveforms):
            if len(samples) > most:
                where = f"audio[{index}]: " if len(waveforms) > 1 else ""
                raise AudioError(
                    f"{where}{method} runs the model once, on at most {most / rate:g} s of audio, got "
                    f"{len(samples) / rate:g} s: cut it at a pause, or use transcribe, which takes any length"
                )
        return waveforms

    @cancellable
    def generate(
        self,
        audio: AudioInput | AudioList,
        *,
        sampling_rate: float | None = None,
        batch_size: int = BATCH_SIZE,
        language: str | None = None,
        **options: Any,
    ) -> list[Any]:
        """Token ids with the start token, `[tokens]`: for one input, or a list of them in the order of the inputs.

        With `num_return_sequences` above 1 each input gives a list of so many. Nothing is padded. An input of more than
        30 s, which `transcribe` would cut, is refused with an AudioError. Other errors: see `transcribe`.
        """
        chosen = self.options(language, **options)
        waveforms = self._short(audio, sampling_rate, "generate")
        start = chosen.prompt(1)[0].tolist()
        results = [
            [[*start, *hypothesis.tokens] for hypothesis in hypotheses]
            for hypotheses in self._generate(waveforms, batch_size, chosen)
        ]
        flat = [hypotheses[0] if chosen.num_return_sequences == 1 else hypotheses for hypotheses in results]
        return flat[0] if is_single(audio) else flat

    @cancellable
    def hypotheses(
        self,
        audio: AudioInput | AudioList,
        *,
        sampling_rate: float | None = None,
        batch_size: int = BATCH_SIZE,
        language: str | None = None,
        **options: Any,
    ) -> list[Any]:
        """What `generate` finds, with scores and log-probabilities: a list of `num_return_sequences` for an input.

        Their tokens are without the start token. A list of inputs gives a list of such lists. Errors: see `generate`.
        """
        chosen = self.options(language, **options)
        results = self._generate(self._short(audio, sampling_rate, "hypotheses"), batch_size, chosen)
        return results[0] if is_single(audio) else results

    def check_options(self, **options: Any) -> None:
        """See `Model.check_options`: those of `transcribe` are taken, and `tokens`."""
        self.options(**{name: value for name, value in options.items() if name != "tokens"})

    def search_options(self, num_beams: int = 1, max_tokens: int | None = None) -> dict[str, Any]:
        """See `Model.search_options`."""
        options: dict[str, Any] = {"num_beams": num_beams, "num_return_sequences": 1, "do_sample": False}
        if max_tokens is None:
            return options
        own = self._decoder.generation.get("max_new_tokens")
        limits = [max_tokens, *([own] if own is not None else [])]
        limits += [self._decoder.longest - 1] if self._decoder.longest else []
        return {**options, "max_new_tokens": min(limits)}

    def _predictions(
        self, waveforms: list[Waveform], batch_size: int, with_logits: bool, options: Mapping[str, Any]
    ) -> list[Prediction]:
        given = {name: value for name, value in options.items() if name != "tokens"}
        if "tokens" in options and len(waveforms) != 1:
            raise ArgumentError(f"tokens are those of one input, got {len(waveforms)} inputs")
        chosen = self.options(**{"num_return_sequences": 1, **given})
        start = chosen.prompt(1)[0].tolist()
        predictions = []
        for samples, (best, *_) in zip(waveforms, self._generate(waveforms, batch_size, chosen), strict=True):
            text = self.detokenizer.decode(best.tokens).strip()
            if not with_logits:
                predictions.append(Prediction(text, None, NEXT_LOGITS.name, "largest"))
                continue
            tokens = np.asarray(options.get("tokens", [*start, *best.tokens][:-1]), np.int64)
            logits = self.step_logits([samples], tokens[None])[0]
            predictions.append(Prediction(text, logits, NEXT_LOGITS.name, "largest", tokens))
        return predictions

    def options(self, language: str | None = None, **options: Any) -> GenerationOptions:
        """What a call with these options runs with. Raises ArgumentError as `transcribe` does, without any audio."""
        if language is not None:
            if "forced_bos_token_id" in options:
                raise ArgumentError("language and forced_bos_token_id both name the first token: leave one out")
            options = {**options, "forced_bos_token_id": self.detokenizer.language_id(language)}
        chosen = GenerationOptions.from_defaults(self._decoder.generation, **options)
        lengths(chosen, chosen.prompt(1).shape[1], self._longest)
        check_vocabulary(chosen, self._decoder.vocabulary_size)
        return chosen

    def self_check(self) -> float:
        """See `Model.self_check`."""
        values, tokens, expected = self._golden(VALUES.name, TOKENS.name, NEXT_LOGITS.name)
        logits = self._read_tokens(self._encoded(values, np.array([values.shape[1]])), tokens)
        return self._checked(logits, expected, NEXT_LOGITS.name, "tokens")

    @cancellable
    def step_logits(
        self, audio: AudioList, tokens: npt.ArrayLike, *, sampling_rate: float | None = None
    ) -> npt.NDArray[np.float32]:
        """Logits after each token, `[inputs, tokens, vocabulary]`, of `tokens` `[inputs, tokens]`.

        They are read one by one over the cache, as generation does it, all inputs in one batch.
        """
        given = np.asarray(tokens, np.int64)
        waveforms = self._waveforms(audio, sampling_rate)
        if given.ndim != 2 or len(given) != len(waveforms) or not given.size:
            raise ArgumentError(f"tokens: expected [{len(waveforms)}, tokens], got {list(given.shape)}")
        if self._buckets is not None:
            rows = [self._encoded(*self._padded([samples])) for samples in waveforms]
            logits = [self._read_tokens(row, tokens[None]) for row, tokens in zip(rows, given, strict=True)]
            return np.concatenate(logits)
        return self._read_tokens(self._encoded(*self._padded(waveforms)), given)

    @staticmethod
    def _read_tokens(decoder: CachedDecoder | StaticDecoder, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(batch, tokens) -> (batch, tokens, vocabulary)."""
        rows = [decoder.start(tokens[:, :1])[:, None]]
        only = np.zeros((len(tokens), 1), np.int64)
        rows += [decoder.extend(tokens[:, i : i + 1], only) for i in range(1, tokens.shape[1])]
        return np.concatenate(rows, axis=1)

    def _generate(
        self,
        waveforms: Sequence[Waveform],
        batch_size: int,
        options: GenerationOptions,
        on_tokens: OnTokens | None = None,
    ) -> list[list[Hypothesis]]:
        def run(batch: list[Waveform]) -> list[list[Hypothesis]]:
            if len(batch) > 1 and "encoder_batch" not in self._graphs:
                return [result for samples in batch for result in run([samples])]
            decoder = self._encoded(*self._padded(batch))
            return generate(decoder, options.prompt(len(batch)), options, limit=self._longest, on_tokens=on_tokens)

        return self._batches.each(waveforms, batch_size, run)

    def _encoded(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> CachedDecoder | StaticDecoder:
        """A decoder over an encoded utterance: (batch, samples), true samples (batch,)."""
        if self._buckets is not None:
            return self._static_decoder(self._buckets, values)
        return self._cached(self._encode(values, lengths), lengths)

    def _static_decoder(self, buckets: Buckets, values: Waveform) -> StaticDecoder:
        """The same by graphs of fixed shapes, for one utterance (1, samples)."""
        bucket, frames = buckets.choose(values.shape[1]), self.manifest.frames.count(values.shape[1])
        outputs = self._graphs.run(f"encoder_{bucket}", buckets.inputs(values, bucket))
        cross = self._zeros_cross(buckets)
        for spec in columns("cross", "frames", self._decoder.layers):
            real = tuple(slice(frames) if axis == "frames" else slice(None) for axis in spec.axes)
            cross[spec.name][real] = outputs[spec.name][real]
        bindings = {self._static.prefill: self._graphs.bind("prefill"), 1: self._graphs.bind("step")}
        return StaticDecoder(self._decoder, self._static, bindings, cross, frames)

    def _zeros_cross(self, buckets: Buckets) -> Cross:
        """Room for what the decoder attends to, of the longest utterance."""
        sizes = {**buckets.sizes(buckets.lengths[-1])}
        sizes |= {"heads": self._decoder.heads, "head_dim": self._decoder.head_dim}
        specs = columns("cross", "frames", self._decoder.layers)
        return {spec.name: np.zeros([sizes[axis] for axis in spec.axes], np.float32) for spec in specs}

    def _encode(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> dict[str, Any]:
        """(batch, samples), true samples (batch,) -> what all layers of the decoder attend to, on the device if it can.

        See `Graphs.run_on_device`.
        """
        if lengths.min() == lengths.max():
            return self._graphs.run_on_device("encoder", {VALUES.name: values})
        return self._graphs.run_on_device("encoder_batch", {VALUES.name: values, LENGTHS.name: lengths})

    def _cached(self, cross: dict[str, Any], lengths: Sequence[int] | npt.NDArray[np.int64]) -> CachedDecoder:
        frames = [self.manifest.frames.count(int(length)) for length in lengths]
        sizes = {"batch": len(frames), "frames": max(frames)}
        sizes |= {"heads": self._decoder.heads, "head_dim": self._decoder.head_dim}
        for spec in columns("cross", "frames", self._decoder.layers):
            expected = tuple(sizes[axis] for axis in spec.axes)
            if cross[spec.name].shape != expected:
                raise EngineError(
                    f"expected {spec.name} {list(expected)} by the manifest, got {list(cross[spec.name].shape)}: "
                    "export the bundle again"
                )
        return CachedDecoder(self._decoder, self._graphs, cross, frames)
