"""Models with an x-vector head: waveforms to an embedding that is near for one speaker and far for another."""

from typing import overload

from ..audio import AudioInput, is_single
from ..bundle.folder import Bundle
from ..choices import BATCH_SIZE
from ..engines import Engine
from ..engines.calls import cancellable
from ..errors import BundleError
from .batches import Output
from .head import HeadModel
from .model import AudioList


class EmbeddingModel(HeadModel):
    """A loaded bundle that embeds utterances; what `audio` may be and how batches run: see `Model`.

    Attributes:
        dimensions: numbers in an embedding.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        if bundle.manifest.dimensions is None:
            raise BundleError("edgespeech.json: dimensions: a model that embeds must have them")
        self.dimensions = bundle.manifest.dimensions
        super().__init__(bundle, engine, self.dimensions)

    decision = "none"

    def _answer(self, output: Output) -> None:
        return None

    @overload
    def embed(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, audio: AudioInput, *, sampling_rate: float | None = ..., batch_size: int = ...
    ) -> Output: ...

    @overload
    def embed(self, audio: AudioList, *, sampling_rate: float | None = ..., batch_size: int = ...) -> list[Output]: ...
    @cancellable
    def embed(
        self, audio: AudioInput | AudioList, *, sampling_rate: float | None = None, batch_size: int = BATCH_SIZE
    ) -> Output | list[Output]:
        """The embedding, float32 `[dimensions]`: one array, or a list in the order of the inputs.

        It is what the checkpoint computes: compare two by their cosine, a @ b / (|a| |b|). Which cosine is that of one
        speaker depends on the model, and is found on recordings of known speakers. Of a recording of more than 40 s it
        is the mean of the embeddings of parts of 30 s at most, weighted by their frames: the model's mean over frames
        is then that over all of them, its deviation the mean of those of the parts. Raises AudioError,
        which names the item of a list; with graphs of fixed shapes also for an utterance that is longer than the
        longest of them, since an embedding is of the whole.
        """
        outputs = self._outputs(audio, sampling_rate, batch_size)
        return outputs[0] if is_single(audio) else outputs
