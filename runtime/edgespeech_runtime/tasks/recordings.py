"""Recordings of any length by a head: short ones as a whole, in batches; long ones in windows.

Of a head that gives frames, the windows' frames are joined. Of one that gives one output of the whole, the outputs of
parts are averaged, weighted by their frames: of a mean over frames with linear layers behind it, as in classifiers,
that is the mean over all frames.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np

from ..audio.blocks import AudioBlocks
from ..audio.inputs import named, require_length
from ..bundle.manifest import Manifest
from ..engines.threads import run_all
from ..errors import AudioError
from ..long.activity import Activity
from ..long.digital_silence import ZeroGaps
from ..long.sound import Sound
from ..long.speech import SpeechDetector
from ..long.statistics import Statistics
from ..long.utterances import GAP, Utterances
from ..long.windows import WHOLE, WINDOW, Geometry, Silence, Windows
from .batches import HeadRunner, Output, Waveform

MOST = 2**62  # samples
PLAIN = Statistics(0, 0.0, 1.0)  # of samples that are run as they come

Recording: TypeAlias = Waveform | AudioBlocks
RunAll: TypeAlias = Callable[[Sequence[Waveform], int], list[Output]]


class Answer(NamedTuple):
    """The output of a recording, how many samples it has, and of how many parts the output is the mean."""

    output: Output
    samples: int
    parts: int = 1


class RecordingRunner:
    """Runs recordings of any length. See `HeadRunner` for the errors.

    Attributes:
        whole: samples of the longest recording that is run as a whole.
    """

    def __init__(self, manifest: Manifest, runner: HeadRunner, run: RunAll, has_frames: bool) -> None:
        """`run` gives the outputs of short recordings, in batches."""
        self._runner, self._run, self._has_frames = runner, run, has_frames
        self._count = manifest.frames.count
        self._needs_statistics = manifest.audio.normalize or "window" in manifest.graphs
        self._rate, self._shortest = manifest.audio.sampling_rate, manifest.audio.shortest
        self._geometry = Geometry.of_model(manifest)
        self._silence = None if manifest.vocabulary is None else Silence.of_vocabulary(manifest.vocabulary)
        self._runs_utterances = self._geometry.knows_positions and manifest.static is None
        self.whole = self._geometry.whole if has_frames else round(WHOLE * self._rate)
        if manifest.static is not None and not has_frames:
            self.whole = MOST  # which the graphs refuse where none is long enough

    def opened(self, recordings: Sequence[AudioBlocks]) -> list[Recording]:
        """The samples of those that are short enough to be run as a whole; the others as they are.

        Raises AudioError, which names the item of several.
        """

        def open_one(index: int, recording: AudioBlocks) -> Recording:
            with named(index, len(recordings)):
                samples = recording.whole_up_to(self.whole)
                if samples is None:
                    return recording
                require_length(samples, recording.file, self._rate, self._shortest)
                return samples

        works = [partial(open_one, *each) for each in enumerate(recordings)]
        return run_all(works, self._runner.streams)

    def run(self, recordings: Sequence[Recording], batch_size: int) -> list[Answer]:
        """The output of each, in their order."""
        short = [each for each in recordings if not isinstance(each, AudioBlocks)]
        outputs = iter(self._run(short, batch_size))  # which checks the size of batches even if none is short
        answers = []
        for index, recording in enumerate(recordings):
            if isinstance(recording, AudioBlocks):
                with named(index, len(recordings)):
                    answers.append(self._joined(recording) if self._has_frames else self._mean(recording))
            else:
                answers.append(Answer(next(outputs), len(recording)))
        return answers

    def windows(
        self,
        recording: Iterable[Waveform],
        activity: Callable[[], Activity] | None = None,
        skip_silence: bool = False,
    ) -> Windows | Utterances:
        """The frames of a recording in windows, which run as they are iterated over. CTC models' meet in blanks.

        With `skip_silence`, what is not speech by the `activity` need not be run; None: what is silent.
        """
        silence = self._silence
        if silence is not None and activity is None and self._runs_utterances:
            return self._utterances(recording, silence, skip_silence)
        return self._windows(recording, self._statistics(recording), silence, activity, skip_silence)

    def _windows(
        self,
        blocks: Iterable[Waveform],
        statistics: Statistics,
        silence: Silence | None,
        activity: Callable[[], Activity] | None,
        skip_silence: bool,
    ) -> Windows:
        has_detector = skip_silence or (silence is not None and self._runs_utterances)
        detector = SpeechDetector(self._rate, activity=activity and activity()) if has_detector else None
        return Windows(
            Sound(blocks, detector),
            lambda samples: self._window(samples, statistics),
            self._geometry,
            silence,
            not skip_silence and has_detector,
        )

    def _utterances(self, recording: Iterable[Waveform], silence: Silence, skip_silence: bool) -> Utterances:
        statistics = self._statistics_of_parts(recording)

        def long_part(start: int, blocks: Iterable[Waveform]) -> Windows:
            return self._windows(blocks, statistics.get(start, PLAIN), silence, None, skip_silence)

        blank = silence.blank if skip_silence else None
        return Utterances(
            recording, self._geometry, lambda samples: self._run([samples], 1)[0], long_part, self.whole, blank
        )

    def _statistics_of_parts(self, recording: Iterable[Waveform]) -> dict[int, Statistics]:
        """Those of each part that is too long to be run as a whole, by where it begins; see `_statistics`."""
        found: dict[int, Statistics] = {}
        if not self._needs_statistics:
            return found
        try:
            for start, blocks in ZeroGaps(recording, round(GAP * self._rate)):
                gatherer, count = self._runner.gatherer(), 0
                try:
                    for block in blocks:
                        gatherer.add(block)
                        count += len(block)
                finally:
                    if count > self.whole:
                        found[start] = gatherer.statistics()
        except AudioError:
            pass  # which comes again where the damaged part is run
        return found

    def seconds(self, samples: int) -> float:
        """Of so many samples."""
        return samples / self._rate

    def _window(self, samples: Waveform, statistics: Statistics) -> Output:
        (output,) = self._runner.run_windows([samples], statistics)
        return output

    def _statistics(self, blocks: Iterable[Waveform]) -> Statistics:
        """Those of the whole recording, which is read once for them where the model wants them.

        One that turns out to be damaged gives those of what can be read: it will be run as far, and refused there.
        """
        if not self._needs_statistics:
            return PLAIN
        gatherer, count = self._runner.gatherer(), 0
        try:
            for block in blocks:
                gatherer.add(block)
                count += len(block)
        except AudioError:
            if count < self._shortest:
                raise
        return gatherer.statistics()

    def _joined(self, recording: AudioBlocks) -> Answer:
        if self._geometry.knows_positions:
            windows = self.windows(recording)  # which `transcribe` reads
        else:
            windows = self._windows(recording, self._statistics(recording), None, None, skip_silence=False)
        return Answer(np.concatenate(list(windows)), windows.samples)

    def _mean(self, recording: AudioBlocks) -> Answer:
        statistics = self._statistics(recording)
        total, lengths = np.zeros(1), []
        for part in parts(recording, round(WINDOW * self._rate), self._geometry.hop):
            lengths.append(len(part))
            total = total + self._count(len(part)) * self._window(part, statistics).astype(np.float64)
        weight = sum(map(self._count, lengths))
        return Answer(np.asarray(total / weight, np.float32), sum(lengths), len(lengths))


def parts(blocks: Iterable[Waveform], longest: int, hop: int) -> Iterator[Waveform]:
    """A recording in parts of about `longest` samples, cut at whole hops.

    The last two share what is left, so that none is much shorter.
    """
    longest = max(1, longest // hop) * hop
    kept = np.zeros(0, np.float32)
    for block in blocks:
        kept = np.concatenate([kept, block])
        while len(kept) > 2 * longest:
            yield kept[:longest]
            kept = kept[longest:]
    if len(kept) > longest:
        half = len(kept) // 2 // hop * hop
        yield kept[:half]
        kept = kept[half:]
    yield kept
