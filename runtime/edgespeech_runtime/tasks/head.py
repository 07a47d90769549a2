"""An encoder with a head on it: each graph gives one output, by frame or of the whole utterance.

It runs alone, in padded batches or by graphs of fixed shapes. What an output means is the business of the tasks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, overload

import numpy as np
import numpy.typing as npt

from ..audio import AudioInput, is_single
from ..audio.buckets import Buckets
from ..bundle.contracts import HEADS, LENGTHS, VALUES
from ..bundle.folder import Bundle
from ..choices import BATCH_SIZE
from ..engines import Arrays, Engine
from ..engines.calls import cancellable
from ..errors import AudioError, EngineError
from ..results.prediction import Decision, Prediction
from .model import AudioList, Model, Waveform

Output = npt.NDArray[np.float32]  # [frames, size] or [size]


class HeadModel(Model):
    """A loaded bundle of one of the tasks in `contracts.HEADS`."""

    def __init__(self, bundle: Bundle, engine: Engine, size: int) -> None:
        """`size` is that of the output's last axis."""
        self._output, self._size = HEADS[bundle.manifest.task], size
        self._has_frames = "frames" in self._output.axes
        super().__init__(bundle, engine)

    def _examples(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> dict[str, Arrays]:
        if self._buckets is not None:
            return {f"single_{size}": self._buckets.inputs(values, size) for size in self._buckets.lengths}
        return {"single": {VALUES.name: values}, "batch": {VALUES.name: values, LENGTHS.name: lengths}}

    def self_check(self) -> float:
        """See `Model.self_check`."""
        values, expected = self._golden(VALUES.name, self._output.name)
        if self._buckets is not None:
            found = self._in_bucket(self._buckets, values)[None]
        else:
            found = self._graphs.run("single", {VALUES.name: values})[self._output.name]
        says = {"vocabulary": "tokens", "labels": "labels"}.get(self._output.axes[-1])
        return self._checked(found, expected, self._output.name, says)

    decision: ClassVar[Decision] = "largest"  # how an answer follows from the output

    def _answer(self, output: Output) -> str | npt.NDArray[np.bool_] | None:
        """What the model answers by an output."""
        raise NotImplementedError

    def _predictions(
        self, waveforms: list[Waveform], batch_size: int, with_logits: bool, options: Mapping[str, Any]
    ) -> list[Prediction]:
        outputs = self._run(waveforms, batch_size)
        return [Prediction(self._answer(output), output, self._output.name, self.decision) for output in outputs]

    def _outputs(self, audio: AudioInput | AudioList, sampling_rate: float | None, batch_size: int) -> list[Output]:
        """The output of each input, in their order."""
        return self._run(self._waveforms(audio, sampling_rate), batch_size)

    def _run(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Output]:
        """`[samples] -> [frames, size]` or `[size]` for each."""
        if self._buckets is not None and not self._has_frames:  # nothing is run before all are known to fit
            self._require_buckets(self._buckets, waveforms)
        return self._batched(waveforms, batch_size, self._run_batch)

    def _run_batch(self, waveforms: list[Waveform]) -> list[Output]:
        if self._buckets is not None:
            run = self._in_windows if self._has_frames else self._in_bucket
            return [run(self._buckets, self._padded([samples])[0]) for samples in waveforms]
        values, lengths = self._padded(waveforms)
        if lengths.min() == lengths.max():
            found = self._graphs.run("single", {VALUES.name: values})
        elif "batch" in self._graphs:
            found = self._graphs.run("batch", {VALUES.name: values, LENGTHS.name: lengths})
        else:
            return [output for samples in waveforms for output in self._run_batch([samples])]
        return self._rows(found[self._output.name], values.shape[1], lengths.tolist())

    def _in_windows(self, buckets: Buckets, values: Waveform) -> Output:
        """(1, samples) -> (frames, size) by graphs of fixed shapes, in windows where none is long enough."""
        windows = list(buckets.windows(values.shape[1]))
        parts = [self._in_bucket(buckets, values[:, w.start : w.stop])[w.first : w.last] for w in windows]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _in_bucket(self, buckets: Buckets, values: Waveform) -> Output:
        """(1, samples) -> (frames, size) or (size,) by the graph of the smallest bucket that holds them."""
        samples = values.shape[1]
        bucket = buckets.choose(samples)
        found = self._graphs.run(f"single_{bucket}", buckets.inputs(values, bucket))
        return self._rows(found[self._output.name], bucket, [samples])[0]

    def _rows(self, found: Output, padded: int, lengths: Sequence[int]) -> list[Output]:
        """What each utterance of a batch gets, of one that was padded to so many samples; checked and copied."""
        name, count = self._output.name, self.manifest.frames.count
        sizes = {"batch": len(lengths), "frames": count(padded), self._output.axes[-1]: self._size}
        expected = tuple(sizes[axis] for axis in self._output.axes)
        if found.shape != expected:
            raise EngineError(
                f"expected {name} {list(expected)} by the manifest, got {list(found.shape)}: export the bundle again"
            )
        if np.isnan(found).any():  # or a result would be reported: NaN wins every argmax
            raise EngineError(
                f"the engine computed NaN {name}: run self_check() to see whether this device can be trusted"
            )
        if not self._has_frames:
            return [np.array(row) for row in found]
        return [np.array(row[: count(samples)]) for row, samples in zip(found, lengths, strict=True)]

    @staticmethod
    def _require_buckets(buckets: Buckets, waveforms: Sequence[Waveform]) -> None:
        for index, samples in enumerate(waveforms):
            try:
                buckets.choose(len(samples))
            except AudioError as error:
                raise AudioError(f"audio[{index}]: {error}" if len(waveforms) > 1 else str(error)) from None


class LogitsModel(HeadModel):
    """One whose output are logits: of each frame's tokens or labels, or of an utterance's labels."""

    @overload
    def logits(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, audio: AudioInput, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> Output: ...
    @overload
    def logits(self, audio: AudioList, *, sampling_rate: float | None = ..., batch_size: int = ...) -> list[Output]: ...
    @cancellable
    def logits(
        self, audio: AudioInput | AudioList, *, sampling_rate: float | None = None, batch_size: int = BATCH_SIZE
    ) -> Output | list[Output]:
        """Logits, float32: one array, or a list in the order of the inputs. Raises AudioError, which names the item.

        A CTC model gives `[frames, vocabulary]`, a classifier `[labels]`, one of frames `[frames, labels]`.
        """
        outputs = self._outputs(audio, sampling_rate, batch_size)
        return outputs[0] if is_single(audio) else outputs
