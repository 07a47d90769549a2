"""Running a model over entries, in whatever process: sound is read here, and nothing but rows leaves.

Entries run in batches of like lengths. One that fails does so alone, as a row with its error.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import edgespeech_runtime
import numpy as np
import numpy.typing as npt
from edgespeech_runtime.audio import AudioBlocks, AudioWarning
from edgespeech_runtime.audio.inputs import require_length
from edgespeech_runtime.errors import AudioError, AudioPackageError, EdgeSpeechRuntimeError
from edgespeech_runtime.long.windows import WHOLE

from edgespeech_calib.corpus.entries import Entry
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.rows import Row, answered, failure
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.parts import read_part

AT_ONCE = 300.0  # seconds of sound that are held in memory

Sound: TypeAlias = "npt.NDArray[np.float32] | AudioBlocks"


class Read(NamedTuple):
    """An entry with its sound, the `name` of which is for messages, and what was unusual about it."""

    entry: Entry
    name: str
    sound: Sound
    seconds: float
    warnings: list[str]


class Rows(NamedTuple):
    """Rows, and the seconds that a worker took for them."""

    rows: list[Row]
    seconds: float


class Worker:
    """A loaded model that makes rows of entries.

    Raises what `edgespeech_runtime.load` raises, and ArgumentError for arguments that the model does not take.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._model = edgespeech_runtime.load(
            job.bundle, list(job.devices), job.threads, streams=job.streams, checksums=job.checksums
        )
        searched = {name: value for name, value in job.arguments.items() if name not in NO_SEARCH}
        self._model.check_options(**searched)
        self._method: Callable[..., list[Any]] = partial(getattr(self._model, job.method), **job.arguments)
        self._audio = self._model.manifest.audio

    def run(self, entries: Sequence[Entry]) -> Rows:
        """A row for each entry, in their order."""
        began = time.perf_counter()
        rows: dict[int, Row] = {}
        group: list[Read] = []
        held = 0.0
        for entry in entries:
            read = self._read(entry)
            if isinstance(read, Row):
                rows[entry.line] = read
                continue
            group.append(read)
            held += read.seconds
            if held >= AT_ONCE:
                rows.update((row.line, row) for row in self._answers(group))
                group, held = [], 0.0
        rows.update((row.line, row) for row in self._answers(group))
        return Rows([rows[entry.line] for entry in entries], time.perf_counter() - began)

    def close(self) -> None:
        """Let the model go."""
        self._model.close()

    def _read(self, entry: Entry) -> Read | Row:
        """An entry with its sound, or the row that says why there is none."""
        if entry.utterance is None:
            return self._failure(entry, entry.error or "there is no recording")
        audio = entry.utterance.audio
        if not isinstance(audio, FileAudio):
            return self._failure(entry, f"{audio.name} lies in no file of its own")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", AudioWarning)
            try:
                sound = self._sound(audio)
            except AudioPackageError:
                raise
            except (AudioError, OSError, MemoryError) as error:
                return self._failure(entry, str(error) or f"{audio.name} is too long for the memory there is")
            except Exception as error:  # a library's own, on some damaged file: it must not end the run
                return self._failure(entry, f"{audio.name}: {type(error).__name__}: {error}")
        seconds = sound.duration or WHOLE if isinstance(sound, AudioBlocks) else len(sound) / self._audio.sampling_rate
        return Read(entry, audio.name, sound, seconds, [str(warning.message) for warning in caught])

    def _failure(self, entry: Entry, error: str) -> Row:
        return failure(entry, error, self._job.method)

    def _sound(self, audio: FileAudio) -> Sound:
        rate, options = self._audio.sampling_rate, {"channel": self._job.channel}
        if audio.part is not None:
            samples = read_part(audio.path, audio.part, rate, allow_truncated=self._job.allow_truncated, **options)
        else:
            blocks = AudioBlocks(audio.path, rate, allow_truncated=self._job.allow_truncated, **options)
            whole = blocks.whole_up_to(round(WHOLE * rate))
            if whole is None:
                blocks.choose_channel()  # which may warn
                return blocks
            samples = whole
        require_length(samples, audio.name, rate, self._audio.shortest)
        return samples

    def _answers(self, group: Sequence[Read]) -> Iterator[Row]:
        """Rows of what has been read; where the model fails on all together, each runs alone."""
        if not group:
            return
        try:
            results = self._method([one.sound for one in group], batch_size=self._job.batch_size)
        except Exception as error:  # whatever it is, it must not end the run
            if len(group) > 1:
                for one in group:
                    yield from self._answers([one])
                return
            (one,) = group
            told = str(error) if isinstance(error, EdgeSpeechRuntimeError) else f"{type(error).__name__}: {error}"
            yield self._failure(one.entry, told if told.startswith(one.name) else f"{one.name}: {told}")
            return
        for one, result in zip(group, results, strict=True):
            seconds = getattr(result, "duration", 0.0) or one.seconds
            yield answered(one.entry, result, self._job.method, seconds, one.warnings)


NO_SEARCH = ("timestamps", "vad", "skip_silence", "layer")  # arguments that `check_options` does not know
