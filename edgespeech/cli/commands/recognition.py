"""Running a model over many sound files: some may be bad, and they are read no further ahead than is of use."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgespeech.cli.errors import complain
from edgespeech.cli.options.recordings import STDIN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from edgespeech_runtime import Classification, EdgeSpeechRuntimeError, FrameLabels, Transcript
    from edgespeech_runtime.tasks import AnyModel

    Waveform: TypeAlias = npt.NDArray[np.float32]
    Result: TypeAlias = Transcript | Classification | FrameLabels | Waveform | EdgeSpeechRuntimeError
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
) -> Iterator[tuple[int, "Result"]]:
    """Each file's index with what the model answers, or with the error that names it, in the order of the files.

    `method` is one of the model's that take a list of waveforms and a `batch_size`. With `on_text`, which `transcribe`
    knows, files run one at a time, and it is called with each piece of a file's text as soon as that is certain.
    `reading` are options of `to_waveforms`. The path "-" is stdin.
    """
    from edgespeech_runtime.errors import AudioError

    facts = model.manifest.audio
    waveforms: dict[int, Waveform] = {}
    by_index: dict[int, Result] = {}
    samples = 0
    for index, path in enumerate(paths):
        try:
            waveforms[index] = _read(path, facts.sampling_rate, facts.shortest, reading or {})
            samples += len(waveforms[index])
        except AudioError as error:
            by_index[index] = error
        enough = len(waveforms) >= READ_AHEAD * batch_size or samples >= READ_SECONDS * facts.sampling_rate
        if enough or on_text is not None or index + 1 == len(paths):
            live = {} if on_text is None else {"on_text": partial(on_text, path)}
            if waveforms:
                by_index.update(_run(partial(method, **live), paths, waveforms, batch_size))
            yield from sorted(by_index.items())
            waveforms, by_index, samples = {}, {}, 0


def _read(path: Path, sampling_rate: int, shortest: int, reading: Mapping[str, Any]) -> "Waveform":
    """A recording as the model takes it; what is unusual about it is said on stderr. Raises AudioError."""
    from edgespeech_runtime.audio import AudioWarning, to_waveforms

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AudioWarning)
        source = _stdin() if path == STDIN else path
        (waveform,) = to_waveforms([source], None, sampling_rate, shortest, **reading)
    for warning in caught:
        complain(f"{warning.message}; --channel chooses another")
    return waveform


def _stdin() -> Any:
    """Stdin as a file of bytes. Raises AudioError where nothing can come from it."""
    from edgespeech_runtime.errors import AudioError

    if sys.stdin is None or sys.stdin.closed:
        raise AudioError("-: stdin is closed: give a sound file")
    if sys.stdin.isatty():
        raise AudioError("-: stdin is a terminal: give a sound file, or send one through a pipe")
    return sys.stdin.buffer


def _run(
    method: "Method", paths: Sequence[Path], waveforms: Mapping[int, "Waveform"], batch_size: int
) -> dict[int, "Result"]:
    """Results by index; where the model fails on all together, each runs alone, so that only the culprit fails."""
    from edgespeech_runtime.errors import AudioError, EngineError

    try:
        return dict(zip(waveforms, method(list(waveforms.values()), batch_size=batch_size), strict=True))
    except (AudioError, EngineError) as error:
        if len(waveforms) == 1:
            (index,) = waveforms
            kind = AudioError if isinstance(error, AudioError) else EngineError
            return {index: kind(f"{paths[index]}: {error}")}
    by_index: dict[int, Result] = {}
    for index, waveform in waveforms.items():
        by_index.update(_run(method, paths, {index: waveform}, 1))
    return by_index


def open_model(bundle: Path, device: Sequence[str], threads: int | None) -> "AnyModel":
    """Load a bundle on the first of several devices that serves; says on stderr which were passed over, and why."""
    import edgespeech_runtime

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", edgespeech_runtime.DeviceWarning)
        model = edgespeech_runtime.load(bundle, list(device), threads)
    for warning in caught:
        complain(str(warning.message))
    return model
