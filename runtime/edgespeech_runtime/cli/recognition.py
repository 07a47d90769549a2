"""Running a model over many sound files: some may be bad, and they are read no further ahead than is of use."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .errors import complain
from .recordings import STDIN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .. import AudioBlocks, Classification, EdgeSpeechRuntimeError, FrameLabels, Transcript
    from ..choices import Checksums
    from ..tasks import AnyModel

    Waveform: TypeAlias = npt.NDArray[np.float32]
    Result: TypeAlias = Transcript | Classification | FrameLabels | Waveform | EdgeSpeechRuntimeError
    Recording: TypeAlias = Waveform | AudioBlocks
    Method: TypeAlias = Callable[..., Any]

READ_AHEAD = 2  # batches of files of each stream that are read at a time, so that those of like lengths run together
READ_SECONDS = 600.0  # of sound that is read at a time
MANY = 16  # files, of which several run at the same time if nothing else is asked for
MOST_STREAMS = 4  # each has memory of its own


class Group(NamedTuple):
    """Files that run together: what was read of them, errors of those that cannot be read, and what is called when
    they begin, if it gives callbacks for the call.
    """

    recordings: "dict[int, Recording]"
    errors: "dict[int, Result]"
    begin: Callable[[], Mapping[str, Any]] | None = None


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
    `watch` gives the callbacks for it, by its index and path. A model with several streams runs while the next files
    are read.
    """
    groups = _groups(model, paths, batch_size, on_text, reading or {}, watch)

    def answers(group: Group) -> "list[tuple[int, Result]]":
        run = method if group.begin is None else partial(method, **group.begin())
        return sorted({**group.errors, **_run(run, paths, group.recordings, batch_size)}.items())

    if model.streams == 1 or on_text is not None:
        for group in groups:
            yield from answers(group)
    else:
        yield from _overlapped(model, groups, answers)


def _overlapped(
    model: "AnyModel", groups: Iterator[Group], answers: "Callable[[Group], list[tuple[int, Result]]]"
) -> "Iterator[tuple[int, Result]]":
    """The answers of each group, which run in a thread while the next group is read; those with callbacks run here."""
    from concurrent.futures import Future, ThreadPoolExecutor  # here, because it is slow to import

    running: Future[list[tuple[int, Result]]] | None = None
    with ThreadPoolExecutor(1, "edgespeech-files") as pool:
        try:
            for group in groups:
                before, running = running, None if group.begin is not None else pool.submit(answers, group)
                if before is not None:
                    yield from before.result()
                if running is None:
                    yield from answers(group)
            if running is not None:
                yield from running.result()
        except BaseException:
            model.cancel()
            raise


def _groups(
    model: "AnyModel",
    paths: Sequence[Path],
    batch_size: int,
    on_text: Callable[[Path, str], None] | None,
    reading: Mapping[str, Any],
    watch: "Callable[[int, Path], Mapping[str, Any]] | None",
) -> Iterator[Group]:
    """All files in groups, read as they are asked for; what is long is a group of its own."""
    from .. import AudioBlocks
    from ..errors import AudioError

    facts = model.manifest.audio
    most = READ_AHEAD * batch_size * model.streams
    group, samples = Group({}, {}), 0
    for index, path in enumerate(paths):
        live = None if on_text is None else partial(_live, on_text, path)
        try:
            recording = _read(path, facts.sampling_rate, facts.shortest, reading)
        except AudioError as error:
            group.errors[index] = error
        else:
            if isinstance(recording, AudioBlocks):
                yield group
                begin = live if watch is None else partial(_watched, partial(watch, index, path), live)
                yield Group({index: recording}, {}, begin)
                group, samples = Group({}, {}), 0
                continue
            group.recordings[index] = recording
            samples += len(recording)
        if on_text is not None or len(group.recordings) >= most or samples >= READ_SECONDS * facts.sampling_rate:
            yield group._replace(begin=live)
            group, samples = Group({}, {}), 0
    yield group


def _live(on_text: Callable[[Path, str], None], path: Path) -> Mapping[str, Any]:
    return {"on_text": partial(on_text, path)}


def _watched(watch: Callable[[], Mapping[str, Any]], live: Callable[[], Mapping[str, Any]] | None) -> Mapping[str, Any]:
    return {**watch(), **({} if live is None else live())}


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

    if not waveforms:
        return {}
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


def streams_for(files: int, options: Mapping[str, Any]) -> int:
    """How many batches of so many files run at the same time, if `--streams` does not say."""
    if (asked := options["streams"]) is not None:
        return int(asked)
    if files < MANY or tuple(options["device"]) != ("cpu",):
        return 1
    from ..engines.threads import cores

    return min(MOST_STREAMS, options["threads"] or cores())


def open_model(
    bundle: Path,
    device: Sequence[str],
    threads: int | None,
    streams: int = 1,
    checksums: "Checksums" = "always",
) -> "AnyModel":
    """Load a bundle on the first of several devices that serves; says on stderr which were passed over, and why."""
    from .. import DeviceWarning, load

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeviceWarning)
        model = load(bundle, list(device), threads, streams=streams, checksums=checksums)
    for warning in caught:
        complain(str(warning.message))
    return model
