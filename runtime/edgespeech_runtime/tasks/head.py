"""An encoder with a head on it: each graph gives one output, by frame or of the whole utterance.

`batches` runs it. What an output means is the business of the tasks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, overload

import numpy as np
import numpy.typing as npt

from ..audio import AudioBlocks, AudioInput, is_single
from ..bundle.contracts import HEADS, LENGTHS, PATCH_MEAN, PATCH_SPREAD, VALUES
from ..bundle.folder import Bundle
from ..choices import BATCH_SIZE
from ..engines import Arrays, Engine
from ..engines.calls import cancellable
from ..results.prediction import Decision, Prediction
from .batches import HeadRunner, Output
from .model import AudioList, Model, Waveform
from .recordings import Answer, RecordingRunner


class HeadModel(Model):
    """A loaded bundle of one of the tasks in `contracts.HEADS`."""

    def __init__(self, bundle: Bundle, engine: Engine, size: int) -> None:
        """`size` is that of the output's last axis."""
        self._output = HEADS[bundle.manifest.task]
        super().__init__(bundle, engine)
        self._runner = HeadRunner(bundle.manifest, self._graphs, self._buckets, self._output, size)
        self._run = self._runner.run
        self._long = RecordingRunner(
            bundle.manifest,
            self._runner,
            lambda waveforms, batch_size: self._run(waveforms, batch_size),
            has_frames="frames" in self._output.axes,
        )

    @property
    def runner(self) -> HeadRunner:
        """What runs batches of utterances, and windows of recordings."""
        return self._runner

    def _examples(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> dict[str, Arrays]:
        if self._buckets is not None:
            return {f"single_{size}": self._buckets.inputs(values, size) for size in self._buckets.lengths}
        taps = self.manifest.frames.kernels[0]
        patches = {PATCH_MEAN.name: np.zeros(taps, np.float32), PATCH_SPREAD.name: np.eye(taps, dtype=np.float32)}
        return {
            "single": {VALUES.name: values},
            "batch": {VALUES.name: values, LENGTHS.name: lengths},
            "window": {VALUES.name: values, **patches},
        }

    def self_check(self) -> float:
        """See `Model.self_check`."""
        values, expected = self._golden(VALUES.name, self._output.name)
        if self._buckets is not None:
            output = self._runner.in_bucket(self._buckets, values)[None]
        else:
            output = self._graphs.run("single", {VALUES.name: values})[self._output.name]
        says = {"vocabulary": "tokens", "labels": "labels"}.get(self._output.axes[-1])
        return self._checked(output, expected, self._output.name, says)

    decision: ClassVar[Decision] = "largest"  # how an answer follows from the output

    def _answer(self, output: Output) -> str | npt.NDArray[np.bool_] | None:
        """What the model answers by an output."""
        raise NotImplementedError

    def _predictions(
        self, waveforms: list[Waveform], batch_size: int, with_logits: bool, options: Mapping[str, Any]
    ) -> list[Prediction]:
        return [
            Prediction(self._answer(output), output, self._output.name, self.decision)
            for output in self._run_long(waveforms, batch_size)
        ]

    def _run_long(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Output]:
        """The output of each waveform, of any length."""
        recordings = [AudioBlocks(samples, self._audio.sampling_rate) for samples in waveforms]
        return [answer.output for answer in self._long.run(self._long.opened(recordings), batch_size)]

    def _answers(self, audio: AudioInput | AudioList, sampling_rate: float | None, batch_size: int) -> list[Answer]:
        """The output of each input, in their order; what is long is not read as a whole."""
        return self._long.run(self._long.opened(self._recordings(audio, sampling_rate)), batch_size)

    def _outputs(self, audio: AudioInput | AudioList, sampling_rate: float | None, batch_size: int) -> list[Output]:
        return [answer.output for answer in self._answers(audio, sampling_rate, batch_size)]


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

        A CTC model gives `[frames, vocabulary]`, a classifier `[labels]`, one of frames `[frames, labels]`. Recordings
        of more than 40 s, or 16 s of a model that knows absolute positions, run in windows: see docs/long_audio.md.
        """
        outputs = self._outputs(audio, sampling_rate, batch_size)
        return outputs[0] if is_single(audio) else outputs
