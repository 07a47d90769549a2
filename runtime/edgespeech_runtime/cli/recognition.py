"""Running a model over many sound files: some may be bad, and they are read no further ahead than is of use."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import complain
from .recordings import STDIN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .. import AudioBlocks, Classification, EdgeSpeechRuntimeError, FrameLabels, Transcript
    from ..tasks import AnyModel

    Waveform: TypeAlias = npt.NDArray[np.float32]
    Result: TypeAlias = Transcript | Classification | FrameLabels | Waveform | EdgeSpeechRuntimeError
    Recording: TypeAlias = Waveform | AudioBlocks
    Method: TypeAlias = Callable[..., Any]

READ_AHEAD = 2  # batches of files that are read at a time, so that those of like lengths run together
READ_SECONDS = 600.0  # of sound that is read at a time


def results(
    model: "AnyModel",
    paths: Sequence[Path],
    method: "Method",
    batch_size: int,
    on_text: Callable[[Path, str], None] | None = None,
    reading: Mapping[str, Any] | None = None,
    watch: "Callable[[int, Path], Mapping[str, Any]] | None" = None,
) -> Iterator[tuple[int, "Result"]]:
    """Each file's index with what the model answers, or with the error that names it, in the order of the files.

    `method` is one of the model's that take a list of waveforms and a `batch_size`. With `on_text`, which `transcribe`
    knows, files run one at a time, and it is called with each piece of a file's text as soon as that is certain.
    `reading` are options of `AudioBlocks`. The path "-" is stdin. What is long is read in blocks, and runs alone;
    `watch` gives the callbacks for it, by its index and path.
    """
    from .. import AudioBlocks
    from ..errors import AudioError

    facts = model.manifest.audio
    recordings: dict[int, Recording] = {}
    by_index: dict[int, Result] = {}

    def run(**told: Any) -> "list[tuple[int, Result]]":
        """Results of what has been read, which is let go."""
        if recordings:
            by_index.update(_run(partial(method, **told), paths, recordings, batch_size))
        answers = sorted(by_index.items())
        recordings.clear()
        by_index.clear()
        return answers

    samples = 0
    for index, path in enumerate(paths):
        live = {} if on_text is None else {"on_text": partial(on_text, path)}
        try:
            recording = _read(path, facts.sampling_rate, facts.shortest, reading or {})
        except AudioError as error:
            by_index[index] = error
        else:
            if isinstance(recording, AudioBlocks):
                yield from run()
                recordings[index] = recording
                yield from run(**{**(watch(index, path) if watch is not None else {}), **live})
                samples = 0
                continue
            recordings[index] = recording
            samples += len(recording)
        enough = len(recordings) >= READ_AHEAD * batch_size or samples >= READ_SECONDS * facts.sampling_rate
        if enough or on_text is not None:
            yield from run(**live)
            samples = 0
    yield from run()


def _read(path: Path, sampling_rate: int, shortest: int, reading: Mapping[str, Any]) -> "Recording":
    """A recording as the model takes it: samples, or blocks of a long one. What is unusual about it is said on stderr.

    Raises AudioError.
    """
    from .. import AudioBlocks, AudioWarning
    from ..audio.inputs import require_length
    from ..long.windows import WHOLE

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AudioWarning)
        source = _stdin() if path == STDIN else path
        blocks = AudioBlocks(source, sampling_rate, **reading)
        waveform = blocks.whole_up_to(round(WHOLE * sampling_rate))
        if waveform is None:
            blocks.choose_channel()  # before anything is run, since a warning may come of it
    for warning in caught:
        complain(f"{warning.message}; --channel chooses another")
    if waveform is None:
        return blocks
    require_length(waveform, blocks.file, sampling_rate, shortest)
    return waveform


def _stdin() -> Any:
    """Stdin as a file of bytes. Raises AudioError where nothing can come from it."""
    from ..errors import AudioError

    if sys.stdin is None or sys.stdin.closed:
        raise AudioError("-: stdin is closed: give a sound file")
    if sys.stdin.isatty():
        raise AudioError("-: stdin is a terminal: give a sound file, or send one through a pipe")
    return sys.stdin.buffer


def _run(
    method: "Method", paths: Sequence[Path], waveforms: Mapping[int, "Recording"], batch_size: int
) -> dict[int, "Result"]:
    """Results by index; where the model fails on all together, each runs alone, so that only the culprit fails."""
    from ..errors import AudioError, EngineError

    try:
        return dict(zip(waveforms, method(list(waveforms.values()), batch_size=batch_size), strict=True))
    except (AudioError, EngineError) as error:
        if len(waveforms) == 1:
            (index,) = waveforms
            kind = AudioError if isinstance(error, AudioError) else EngineError
            name = str(paths[index])
            return {index: kind(str(error) if str(error).startswith(name) else f"{name}: {error}")}
    by_index: dict[int, Result] = {}
    for index, waveform in waveforms.items():
        by_index.update(_run(method, paths, {index: waveform}, 1))
    return by_index


def open_model(bundle: Path, device: Sequence[str], threads: int | None) -> "AnyModel":
    """Load a bundle on the first of several devices that serves; says on stderr which were passed over, and why."""
    from .. import DeviceWarning, load

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeviceWarning)
        model = load(bundle, list(device), threads)
    for warning in caught:
        complain(str(warning.message))
    return model
