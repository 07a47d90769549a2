"""What the models of all tasks share: audio in, padded batches, the self-check's comparison, the end of their life."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from ..audio import AudioBlocks, AudioInput, is_single, to_waveforms
from ..audio.buckets import Buckets
from ..audio.inputs import to_recordings
from ..bundle.folder import Bundle
from ..bundle.manifest import Manifest
from ..choices import BATCH_SIZE
from ..engines import Arrays, Engine, ProviderUsage
from ..engines.calls import Calls, cancellable
from ..engines.graphs import Graphs
from ..errors import ArgumentError, SelfCheckError
from ..results.prediction import Prediction
from .batches import Batches

AudioList: TypeAlias = Sequence[AudioInput]  # a list or a tuple
Waveform = npt.NDArray[np.float32]
OnText = Callable[[str], None]
ModelT = TypeVar("ModelT", bound="Model")

LOW_PRECISION = 0.05  # of the largest value: what bfloat16's 8 bits may add up to over a network


class Model:
    """A loaded bundle. It may be called from many threads at once.

    Everywhere `audio` is a path, a file object, the bytes of a sound file, an array, a pair (rate, array), a mapping
    with "array" and "sampling_rate", or a list of those. Arrays are `[samples]` or `[samples, channels]` at
    `sampling_rate` Hz (default: the model's own): floats in [-1, 1], or integers, which are scaled by their type.
    Files, pairs and mappings bring their own rate. Utterances of different lengths run in padded batches of at most
    `batch_size`, which changes no result beyond float rounding.
    """

    has_costly_logits: ClassVar[bool] = False  # whether `predict` works longer where it is to give logits

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._bundle, self.calls = bundle, Calls()
        self.device, self.precision, self.streams = engine.device, engine.precision, engine.streams
        facts, static = bundle.manifest.audio, bundle.manifest.static
        self._audio, self._batches = facts, Batches(facts, engine.streams)
        self._buckets = None if static is None else Buckets(static, facts, bundle.manifest.frames)
        samples = facts.shortest + facts.hop  # two frames
        examples = self._examples(np.zeros((1, samples), np.float32), np.array([samples]))
        self._graphs = Graphs(bundle, engine, examples)

    def _examples(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> dict[str, Arrays]:
        """Inputs of an ordinary shape for each graph, made from a short batch of one."""
        raise NotImplementedError

    @property
    def manifest(self) -> Manifest:
        """Every fact about the model."""
        return self._bundle.manifest

    def placement(self) -> dict[str, list[ProviderUsage]]:
        """What really runs where: for each graph that is loaded, the engine's providers or devices with the number of
        nodes that they ran on a short input, and the seconds.
        """
        return self._graphs.placement()

    def cancel(self) -> None:
        """End the calls that are running in other threads, each with a CancelledError; later calls run as ever.

        An engine that computes is stopped between two operators.
        """
        self.calls.cancel()

    def unload(self) -> None:
        """Let go of the engine's memory until the next call, which loads what it needs again."""
        self._graphs.unload()

    def close(self) -> None:
        """Let go of the engine's memory. The model cannot be used afterwards; closing again does nothing."""
        self._graphs.close()

    def __enter__(self: ModelT) -> ModelT:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def self_check(self) -> float:
        """Run the bundle's golden input here and return the largest difference from the output expected.

        Raises SelfCheckError where it exceeds the manifest's tolerance: then this device, or this build of the
        engine, computes wrongly.
        """
        raise NotImplementedError

    @overload
    def predict(
        self,
        audio: AudioInput,
        *,
        sampling_rate: float | None = ...,
        batch_size: int = ...,
        with_logits: bool = ...,
        **options: Any,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        audio: AudioList,
        *,
        sampling_rate: float | None = ...,
        batch_size: int = ...,
        with_logits: bool = ...,
        **options: Any,
    ) -> list[Prediction]: ...
    @cancellable
    def predict(
        self,
        audio: AudioInput | AudioList,
        *,
        sampling_rate: float | None = None,
        batch_size: int = BATCH_SIZE,
        with_logits: bool = True,
        **options: Any,
    ) -> Prediction | list[Prediction]:
        """The model's answer and its logits, whatever the task: one Prediction, or a list in the order of the inputs.

        `options` steer the search of a model that has one, see `check_options`; an encoder-decoder also takes `tokens`
        `[tokens]`, the start token first, after which the logits are wanted in place of its own. `with_logits=False`
        leaves out logits that cost extra. Raises AudioError, which names the item of a list, and ArgumentError.
        """
        self.check_options(**options)
        predictions = self._predictions(self._waveforms(audio, sampling_rate), batch_size, with_logits, options)
        return predictions[0] if is_single(audio) else predictions

    def check_options(self, **options: Any) -> None:
        """Refuse options of `predict` that this model cannot honour. Raises ArgumentError."""
        if options:
            raise ArgumentError(f"{next(iter(options))} is for models with a decoder to search with: leave it out")

    def search_options(self, num_beams: int = 1, max_tokens: int | None = None) -> dict[str, Any]:
        """Options of `predict` for a search with so many beams, without chance, that writes at most so many tokens.

        A model that searches nothing has none.
        """
        return {}

    def _predictions(
        self, waveforms: list[Waveform], batch_size: int, with_logits: bool, options: Mapping[str, Any]
    ) -> list[Prediction]:
        raise NotImplementedError

    def _waveforms(self, audio: AudioInput | AudioList, sampling_rate: float | None) -> list[Waveform]:
        items: AudioList = [audio] if is_single(audio) else audio  # type: ignore[list-item, assignment]  # it says
        return to_waveforms(items, sampling_rate, self._audio.sampling_rate, self._audio.shortest)

    def _recordings(self, audio: AudioInput | AudioList, sampling_rate: float | None) -> list[AudioBlocks]:
        """The same as recordings to read block by block, of any length."""
        items: AudioList = [audio] if is_single(audio) else audio  # type: ignore[list-item, assignment]  # it says
        return to_recordings(items, sampling_rate, self._audio.sampling_rate)

    def _padded(self, waveforms: Sequence[Waveform]) -> tuple[Waveform, npt.NDArray[np.int64]]:
        """One batch as the graphs take it, (batch, samples) and true lengths (batch,)."""
        return self._batches.padded(waveforms)

    def _golden(self, *names: str) -> list[npt.NDArray[Any]]:
        return self._bundle.arrays(self.manifest.golden.file, *names)

    def _checked(
        self, computed: npt.NDArray[np.float32], expected: npt.NDArray[np.float32], name: str, says: str | None
    ) -> float:
        """The largest difference of any value of the output `name`; the largest along its last axis `says` a thing.

        Raises SelfCheckError where it exceeds what is allowed here.
        """
        if computed.shape != expected.shape:
            raise SelfCheckError(f"self-check: expected {name} {list(expected.shape)}, got {list(computed.shape)}")
        difference, allowed = float(np.max(np.abs(computed - expected))), self.manifest.golden.tolerance
        if self.precision == "fast" or "float32" not in self.device.precisions:
            allowed = max(allowed, LOW_PRECISION * float(np.abs(expected).max()))
        if not difference <= allowed:  # NaN is no pass
            changed = computed.argmax(-1) != expected.argmax(-1)
            more = "" if says is None else f", and {changed.sum()} of {changed.size} {says}"
            raise SelfCheckError(
                f"self-check: the {name} differ by {difference:.3g} where {allowed:.3g} is allowed{more}: do not trust "
                "this device, or this version of the engine, with this bundle"
            )
        return difference
