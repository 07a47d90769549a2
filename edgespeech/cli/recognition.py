"""Running a model over many sound files: some may be bad, and they are read no further ahead than is of use."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgespeech.cli.results import Timestamps

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from edgespeech_runtime import CtcModel, EdgeSpeechRuntimeError, Transcript

    Result: TypeAlias = Transcript | EdgeSpeechRuntimeError
    Waveform: TypeAlias = npt.NDArray[np.float32]

READ_AHEAD = 2  # batches of files that are read at a time, so that those of like lengths run together
READ_SECONDS = 600.0  # of sound that is read at a time


def transcripts(
    model: "CtcModel", paths: Sequence[Path], timestamps: Timestamps | None, batch_size: int
) -> Iterator[tuple[int, "Result"]]:
    """Each file's index with its transcript, or with the error that names it, in the order of the files."""
    from edgespeech_runtime.audio import to_waveforms
    from edgespeech_runtime.errors import AudioError

    facts = model.manifest.audio
    waveforms: dict[int, Waveform] = {}
    results: dict[int, Result] = {}
    samples = 0
    for index, path in enumerate(paths):
        try:
            (waveforms[index],) = to_waveforms([path], None, facts.sampling_rate, facts.shortest)
            samples += len(waveforms[index])
        except AudioError as error:
            results[index] = error
        enough = len(waveforms) >= READ_AHEAD * batch_size or samples >= READ_SECONDS * facts.sampling_rate
        if enough or index + 1 == len(paths):
            results.update(_run(model, paths, waveforms, timestamps, batch_size))
            yield from sorted(results.items())
            waveforms, results, samples = {}, {}, 0


def _run(
    model: "CtcModel",
    paths: Sequence[Path],
    waveforms: Mapping[int, "Waveform"],
    timestamps: Timestamps | None,
    batch_size: int,
) -> dict[int, "Result"]:
    """Results by index; where the engine fails on all together, each runs alone, so that only the culprit fails."""
    from edgespeech_runtime.errors import EngineError

    try:
        found = model.transcribe(list(waveforms.values()), timestamps=timestamps, batch_size=batch_size)
        return dict(zip(waveforms, found, strict=True))
    except EngineError as error:
        if len(waveforms) == 1:
            (index,) = waveforms
            return {index: EngineError(f"{paths[index]}: {error}")}
    results: dict[int, Result] = {}
    for index, waveform in waveforms.items():
        results.update(_run(model, paths, {index: waveform}, timestamps, 1))
    return results
