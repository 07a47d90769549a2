"""What can be evaluated: a bundle by the runtime, a checkpoint folder by the reference model in torch.

Nothing is measured here; `worker` runs a system in a process of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from edgespeech_runtime import CtcModel, EncoderDecoderModel, load
from edgespeech_runtime.batching import plan
from edgespeech_runtime.errors import EngineError
from edgespeech_runtime.manifest import MANIFEST_FILE

from edgespeech_calib.errors import DataMissingError, EvaluationError

if TYPE_CHECKING:
    from edgespeech_export.ctc_source import CtcSource
    from edgespeech_export.encoder_decoder_source import EncoderDecoderSource

CONFIG = "config.json"  # of a checkpoint; edgespeech.configuration knows it too, and comes with torch
Waveform = npt.NDArray[np.float32]
Kind = Literal["bundle", "checkpoint"]


@dataclass(frozen=True)
class Options:
    """How systems run. `language`, `num_beams` and `max_new_tokens` are for encoder-decoders alone."""

    device: str = "cpu"
    threads: int | None = None  # None: the engine's own choice
    language: str | None = None
    num_beams: int | None = None
    max_new_tokens: int | None = None

    @property
    def decoding(self) -> dict[str, Any]:
        """Those for the decoder that were given."""
        values = {name: getattr(self, name) for name in ("language", "num_beams", "max_new_tokens")}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Facts:
    """What a system is: `sampling_rate` in Hz, `shortest` in samples that it can take, `bytes` on disk.

    `bytes` are those of all files of a bundle, and of a checkpoint those of the weights that are read.
    """

    kind: Kind
    task: str
    engine: str
    precision: str
    sampling_rate: int
    shortest: int
    bytes: int


class System(Protocol):
    """A loaded model."""

    facts: Facts

    def transcribe(self, waveforms: Sequence[Waveform], batch_size: int) -> list[str]:
        """Return the text of each waveform, float32 [samples] at the system's rate."""


def open_system(folder: Path, options: Options) -> System:
    """Load a bundle, or a checkpoint folder.

    Raises:
        DataMissingError: there is no such folder.
        EvaluationError: it is neither, or an option is not for its kind.
        EdgeSpeechRuntimeError, EdgeSpeechError: it cannot be loaded.
    """
    if not folder.is_dir():
        raise DataMissingError(f"{folder}: no such folder; give that of a bundle or of a checkpoint")
    if (folder / MANIFEST_FILE).exists():
        return _Bundle(folder, options)
    if not (folder / CONFIG).exists():
        raise EvaluationError(
            f"{folder} is neither a bundle nor a checkpoint: it has no {MANIFEST_FILE} and no {CONFIG}"
        )
    return _open_checkpoint(folder, options)


class _Bundle:
    def __init__(self, folder: Path, options: Options) -> None:
        self._model = load(folder, options.device, options.threads)
        manifest = self._model.manifest
        size = sum(file.bytes for file in manifest.files.values())
        heard = manifest.audio
        self.facts = Facts(
            "bundle", manifest.task, manifest.engine, manifest.precision, heard.sampling_rate, heard.shortest, size
        )
        self._options = options.decoding
        if isinstance(self._model, EncoderDecoderModel):
            self._model.options(**self._options)
        else:
            refuse_decoding(folder, options)

    def transcribe(self, waveforms: Sequence[Waveform], batch_size: int) -> list[str]:
        if isinstance(self._model, CtcModel):
            found = self._model.transcribe(list(waveforms), batch_size=batch_size)
        else:
            found = self._model.transcribe(list(waveforms), batch_size=batch_size, **self._options)
        return [transcript.text for transcript in found]


def refuse_decoding(folder: Path, options: Options) -> None:
    """Raise EvaluationError for options that a CTC model cannot honour."""
    if options.decoding:
        flag = next(iter(options.decoding)).replace("_", "-")
        raise EvaluationError(
            f"--{flag} is not for {folder}, which is a CTC model: it has no decoder to search or to steer; leave it out"
        )


def _open_checkpoint(folder: Path, options: Options) -> System:
    import torch
    from edgespeech_export.ctc_source import CtcSource
    from edgespeech_export.reading import read

    if options.device != "cpu":
        raise EvaluationError(f"{folder} is a checkpoint, which is evaluated on the CPU; leave out --device")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    source: Any = read(folder, None)
    if isinstance(source, CtcSource):
        refuse_decoding(folder, options)
        return _CtcCheckpoint(source)
    return _EncoderDecoderCheckpoint(source, options)


def weights(folder: Path) -> int:
    """Size of a checkpoint's weight files in bytes: safetensors where there are any, as they are read."""
    safe = list(folder.glob("model*.safetensors"))
    return sum(file.stat().st_size for file in safe or folder.glob("pytorch_model*.bin"))


class _Checkpoint:
    """What checkpoints of all tasks share: padded batches and facts."""

    def __init__(self, source: "CtcSource | EncoderDecoderSource") -> None:
        heard = source.audio
        self._normalizes = heard.normalize
        self.facts = Facts(
            "checkpoint", source.task, "torch", "float32", heard.sampling_rate, heard.shortest, weights(source.folder)
        )

    def transcribe(self, waveforms: Sequence[Waveform], batch_size: int) -> list[str]:
        from edgespeech_runtime.waveform import normalize, pad

        texts: dict[int, str] = {}
        for indices in plan([len(waveform) for waveform in waveforms], batch_size):
            batch = [normalize(waveforms[i]) if self._normalizes else waveforms[i] for i in indices]
            texts.update(zip(indices, self._texts(*pad(batch)), strict=True))
        return [texts[i] for i in range(len(waveforms))]

    def _texts(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> list[str]:
        raise NotImplementedError


class _CtcCheckpoint(_Checkpoint):
    def __init__(self, source: "CtcSource") -> None:
        super().__init__(source)
        self._source = source

    def _texts(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> list[str]:
        import torch
        from edgespeech_runtime import ctc
        from edgespeech_runtime.tasks.ctc import spell

        vocabulary = self._source.vocabulary
        padded = None if lengths.min() == lengths.max() else torch.from_numpy(lengths)
        with torch.inference_mode():
            logits = self._source.model.logits(torch.from_numpy(values), padded).numpy()
        if np.isnan(logits).any():  # or silence would be reported: NaN wins every argmax
            raise EngineError("the checkpoint computes NaN logits")
        texts = []
        for row, length in zip(logits, lengths, strict=True):
            ids = ctc.greedy(row[: self._source.frames.count(int(length))])
            texts.append(spell(ctc.collapse(ids, vocabulary.blank, skip=vocabulary.special), vocabulary))
        return texts


class _EncoderDecoderCheckpoint(_Checkpoint):
    def __init__(self, source: "EncoderDecoderSource", options: Options) -> None:
        super().__init__(source)
        self._source = source
        self._options = dict(options.decoding)
        if (language := self._options.pop("language", None)) is not None:
            self._options["forced_bos_token_id"] = source.detokenizer.language_id(language)

    def _texts(self, values: Waveform, lengths: npt.NDArray[np.int64]) -> list[str]:
        import torch

        mask = torch.arange(values.shape[1])[None] < torch.from_numpy(lengths)[:, None]
        rows: Any = self._source.model.generate(
            torch.from_numpy(values), mask.long(), **{"num_return_sequences": 1, **self._options}
        )
        return [self._source.detokenizer.decode(row[1:].tolist()).strip() for row in rows]
