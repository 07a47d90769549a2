"""What runs batches: waveforms are padded, run by the graph that fits, and each utterance's part is cut out.

Models hold one of these. What an output means is the business of the tasks.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ..audio.batching import MOST_OF_THREAD, MOST_SAMPLES, plan
from ..audio.buckets import Buckets
from ..audio.samples import AudioWarning
from ..audio.waveform import padded
from ..bundle.contracts import LENGTHS, PATCH_MEAN, PATCH_SPREAD, VALUES, Tensor
from ..bundle.manifest import Audio, Manifest
from ..engines.calls import require_running
from ..engines.graphs import Graphs
from ..engines.threads import run_all
from ..errors import ArgumentError, AudioError, EngineError
from ..long.statistics import Gatherer, Statistics

Output = npt.NDArray[np.float32]  # [frames, size] or [size]
Waveform = npt.NDArray[np.float32]
ResultT = TypeVar("ResultT")


class Batches:
    """Runs utterances in batches of like lengths, and returns what comes in their order."""

    def __init__(self, audio: Audio, streams: int = 1) -> None:
        """So many `streams` of batches run at the same time."""
        self._audio, self.streams = audio, streams
        self._most_samples = MOST_SAMPLES

    def padded(self, waveforms: Sequence[Waveform]) -> tuple[Waveform, npt.NDArray[np.int64]]:
        """One batch as the graphs take it, (batch, samples) and true lengths (batch,)."""
        return padded(waveforms, self._audio.normalize)

    def each(
        self, waveforms: Sequence[Waveform], batch_size: int, run: Callable[[list[Waveform]], Sequence[ResultT]]
    ) -> list[ResultT]:
        """Results of `run` in the order of the waveforms, which it gets in batches of at most `batch_size`.

        With several streams it is called from several threads at the same time.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ArgumentError(f"batch_size: expected a whole number of at least 1, got {batch_size!r}")
        lengths = [len(samples) for samples in waveforms]
        batches = [[0]] if len(lengths) == 1 else list(plan(lengths, batch_size, self._most_samples))

        def run_batch(indices: list[int]) -> Sequence[ResultT]:
            require_running()
            return run([waveforms[i] for i in indices])

        outputs = run_all([partial(run_batch, indices) for indices in batches], self.streams)
        results: dict[int, ResultT] = {}
        for indices, rows in zip(batches, outputs, strict=True):
            results.update(zip(indices, rows, strict=True))
        return [results[i] for i in range(len(waveforms))]


class HeadRunner(Batches):
    """Runs an encoder with a head on it, whose graphs give one output: by frame, or of the whole utterance."""

    def __init__(self, manifest: Manifest, graphs: Graphs, buckets: Buckets | None, output: Tensor, size: int) -> None:
        """`size` is that of the output's last axis; `buckets` are those of graphs of fixed shapes."""
        super().__init__(manifest.audio, graphs.streams)
        if self.streams > 1:
            self._most_samples = MOST_OF_THREAD
        self._frames, self._context, self._graphs, self._buckets = manifest.frames, manifest.context, graphs, buckets
        self._count, self._output, self._size = manifest.frames.count, output, size
        self._has_frames = "frames" in output.axes
        self._has_warned = False

    def run(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Output]:
        """`[samples] -> [frames, size]` or `[size]` for each. Raises AudioError, EngineError and ArgumentError."""
        if self._buckets is not None and not self._has_frames:  # nothing is run before all are known to fit
            self._require_buckets(self._buckets, waveforms)
        return self.each(waveforms, batch_size, self.run_batch)

    def run_batch(self, waveforms: list[Waveform]) -> list[Output]:
        """The same for one batch."""
        if self._buckets is not None:
            return [self._in_buckets(self._buckets, self.padded([samples])[0]) for samples in waveforms]
        values, lengths = padded(waveforms, self._audio.normalize)
        if lengths.min() == lengths.max():
            outputs = self._graphs.run("single", {VALUES.name: values})
        elif "batch" in self._graphs:
            outputs = self._graphs.run("batch", {VALUES.name: values, LENGTHS.name: lengths})
        else:
            return [output for samples in waveforms for output in self.run_batch([samples])]
        return self._rows(outputs[self._output.name], values.shape[1], lengths.tolist())

    def gatherer(self, memory: float | None = None) -> Gatherer:
        """What gathers the statistics of a whole recording that `run_windows` wants; for `memory` see `Gatherer`."""
        kernel, stride = self._frames.kernels[0], self._frames.strides[0]
        return Gatherer(kernel if "window" in self._graphs else None, stride, memory)

    def run_windows(self, windows: Sequence[Waveform], statistics: Statistics, batch_size: int = 1) -> list[Output]:
        """The same for parts `[samples]` of one recording, not normalised, as the whole is by its `statistics`.

        Windows of one length share a batch. A bundle that lacks the graph `window` although its model may need it warns
        once with an AudioWarning. Errors as `run`.
        """
        if self._buckets is not None and not self._has_frames:
            self._require_buckets(self._buckets, windows)
        self._warn_of_windows()
        return self.each(windows, batch_size, lambda batch: self._run_windows(batch, statistics))

    def _run_windows(self, windows: list[Waveform], statistics: Statistics) -> list[Output]:
        if len({len(window) for window in windows}) > 1:
            return [output for window in windows for output in self._run_windows([window], statistics)]
        is_normalized = self._audio.normalize
        values = np.stack([statistics.normalized(window) if is_normalized else window for window in windows])
        if self._buckets is not None:
            return [self._in_buckets(self._buckets, row[None]) for row in values]
        if "window" in self._graphs:
            mean, spread = statistics.patches(is_normalized)
            given = {VALUES.name: values, PATCH_MEAN.name: mean, PATCH_SPREAD.name: spread}
            outputs = self._graphs.run("window", given)
        else:
            outputs = self._graphs.run("single", {VALUES.name: values})
        return self._rows(outputs[self._output.name], values.shape[1], [values.shape[1]] * len(values))

    def _warn_of_windows(self) -> None:
        """Say once that windows may differ from the whole recording, where the bundle cannot rule it out."""
        has_norm = len(self._frames.kernels) > 1  # behind a conv stack of one layer there is none over time
        is_whole = self._buckets is not None or not self._has_frames or "window" in self._graphs or not has_norm
        if is_whole or self._has_warned or (self._context is not None and not self._context.group_norm):
            return
        self._has_warned = True
        warnings.warn(
            "this bundle has no graph for windows of long audio: if its first layer normalises over time, each window "
            "is normalised by itself, and results may differ a little from those of the whole; export it again",
            AudioWarning,
            stacklevel=3,
        )

    def in_bucket(self, buckets: Buckets, values: Waveform) -> Output:
        """(1, samples) -> (frames, size) or (size,) by the graph of the smallest bucket that holds them."""
        samples = values.shape[1]
        bucket = buckets.choose(samples)
        outputs = self._graphs.run(f"single_{bucket}", buckets.inputs(values, bucket))
        return self._rows(outputs[self._output.name], bucket, [samples])[0]

    def _in_buckets(self, buckets: Buckets, values: Waveform) -> Output:
        """(1, samples) -> (frames, size) or (size,) by graphs of fixed shapes; frames in windows where none is long
        enough.
        """
        if not self._has_frames:
            return self.in_bucket(buckets, values)
        windows = list(buckets.windows(values.shape[1]))
        parts = [self.in_bucket(buckets, values[:, w.start : w.stop])[w.first : w.last] for w in windows]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _rows(self, outputs: Output, samples: int, lengths: Sequence[int]) -> list[Output]:
        """What each utterance of a batch gets, of one that was padded to so many samples; checked and copied."""
        name, frames = self._output.name, {length: self._count(length) for length in {samples, *lengths}}
        sizes = {"batch": len(lengths), "frames": frames[samples], self._output.axes[-1]: self._size}
        expected = tuple(sizes[axis] for axis in self._output.axes)
        if outputs.shape != expected:
            raise EngineError(
                f"expected {name} {list(expected)} by the manifest, got {list(outputs.shape)}: export the bundle again"
            )
        if np.isnan(outputs).any():  # or a result would be reported: NaN wins every argmax
            raise EngineError(
                f"the engine computed NaN {name}: run self_check() to see whether this device can be trusted"
            )
        if not self._has_frames:
            return [np.array(row) for row in outputs]
        return [np.array(row[: frames[length]]) for row, length in zip(outputs, lengths, strict=True)]

    @staticmethod
    def _require_buckets(buckets: Buckets, waveforms: Sequence[Waveform]) -> None:
        for index, samples in enumerate(waveforms):
            try:
                buckets.choose(len(samples))
            except AudioError as error:
                raise AudioError(f"audio[{index}]: {error}" if len(waveforms) > 1 else str(error)) from None
