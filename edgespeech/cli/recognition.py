"""Running a model over many sound files: some may be bad, and they are read no further ahead than is of use."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgespeech.cli.errors import complain

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from edgespeech_runtime import CtcModel, EdgeSpeechRuntimeError, EncoderDecoderModel, Transcript

    Model: TypeAlias = CtcModel | EncoderDecoderModel
    Result: TypeAlias = Transcript | EdgeSpeechRuntimeError
    Waveform: TypeAlias = npt.NDArray[np.float32]

READ_AHEAD = 2  # batches of files that are read at a time, so that those of like lengths run together
READ_SECONDS = 600.0  # of sound that is read at a time


def transcripts(
    model: "Model",
    paths: Sequence[Path],
    options: Mapping[str, Any],
    batch_size: int,
    on_text: Callable[[Path, str], None] | None = None,
) -> Iterator[tuple[int, "Result"]]:
    """Each file's index with its transcript, or with the error that names it, in the order of the files.

    `options` are those of the model's `transcribe`. With `on_text`, files run one at a time, and it is called with each
    piece of a file's text as soon as that is certain.
    """
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
        if enough or on_text is not None or index + 1 == len(paths):
            live = {} if on_text is None else {"on_text": partial(on_text, path)}
            if waveforms:
                results.update(_run(model, paths, waveforms, {**options, **live}, batch_size))
            yield from sorted(results.items())
            waveforms, results, samples = {}, {}, 0


def _run(
    model: "Model",
    paths: Sequence[Path],
    waveforms: Mapping[int, "Waveform"],
    options: Mapping[str, Any],
    batch_size: int,
) -> dict[int, "Result"]:
    """Results by index; where the engine fails on all together, each runs alone, so that only the culprit fails."""
    from edgespeech_runtime.errors import EngineError

    try:
        found = model.transcribe(list(waveforms.values()), batch_size=batch_size, **options)
        return dict(zip(waveforms, found, strict=True))
    except EngineError as error:
        if len(waveforms) == 1:
            (index,) = waveforms
            return {index: EngineError(f"{paths[index]}: {error}")}
    results: dict[int, Result] = {}
    for index, waveform in waveforms.items():
        results.update(_run(model, paths, {index: waveform}, options, 1))
    return results


def open_model(bundle: Path, device: Sequence[str], threads: int | None) -> "Model":
    """Load a bundle on the first of several devices that serves; says on stderr which were passed over, and why."""
    import edgespeech_runtime

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", edgespeech_runtime.DeviceWarning)
        model = edgespeech_runtime.load(bundle, list(device), threads)
    for warning in caught:
        complain(str(warning.message))
    return model
