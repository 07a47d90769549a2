"""A long recording in windows that a model can run: which samples each gets, and which of its frames count.

Frames that count have as much sound on both sides as the model's convolutions see, so that only the reach of attention
is limited. Where frames have a blank, windows meet where it is certain. Silence between stretches of speech is not run
where the model has just said that there is nothing in it.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bundle.manifest import Manifest, Vocabulary
from ..errors import AudioError
from .frame_grid import FrameGrid
from .sound import Sound, Waveform

WHOLE = 40.0  # seconds of a recording that is run as a whole
WINDOW = 30.0  # seconds of a window
SHORT_WHOLE = 16.0  # the same of a model that knows absolute positions: it has learnt few that are later
SHORT_WINDOW = 12.0  # of such a model: no window is exact
MOST_CONTEXT = 0.125  # of a window, on each side
USUAL_CONTEXT = 0.75  # seconds on each side where convolutions see further than that
SEARCH = 0.1  # of a window, in which it is looked for a blank on each side of where windows would meet
CERTAIN = 0.95  # probability that nothing is written
PAUSE = 0.4  # seconds of blanks beyond which a longer pause is no better a seam
SILENT_LOGIT = 20.0  # of the token that stands in silence that was not run
AT_ONCE = 512  # frames of such silence that are given at a time
PROBE = 0.5  # seconds of a silent beginning that are run
QUIET = 0.1  # seconds of a stretch's end in which the model must say nothing for the silence behind not to be run

Output = npt.NDArray[np.float32]  # [frames, size]
Run = Callable[[Waveform], Output]


@dataclass(frozen=True)
class Geometry(FrameGrid):
    """Sizes of a model's windows.

    Attributes:
        window, context, search: frames of a window, of those on each side that only serve the others, and in which a
            seam is looked for.
        knows_positions: whether the model's convolutions see so far that frames know how far the edges are, as by a
            table of positions: then no window is exact, and what it has not learnt is as wrong as late.
    """

    window: int
    context: int
    search: int
    knows_positions: bool = False

    @property
    def whole(self) -> int:
        """Samples of a recording that is run as a whole."""
        return round((SHORT_WHOLE if self.knows_positions else WHOLE) * self.rate)

    @classmethod
    def of_model(cls, manifest: Manifest) -> "Geometry":
        """Those of a bundle."""
        facts, count = manifest.audio, manifest.frames.count
        shortest = next(n for n in range(1, facts.shortest + 1) if count(n))
        second = facts.sampling_rate / facts.hop  # frames
        window, context = int(WINDOW * second), manifest.reach
        knows_positions = context > MOST_CONTEXT * window
        if knows_positions:
            window, context = int(SHORT_WINDOW * second), round(USUAL_CONTEXT * second)
        if manifest.static is not None:
            window = min(window, count(manifest.static.buckets[-1]))
        context = min(context, int(MOST_CONTEXT * window))
        search = int(SEARCH * window)
        return cls(facts.hop, shortest, facts.sampling_rate, window, context, search, knows_positions)


@dataclass(frozen=True)
class Silence:
    """What a model says where nothing is said: its `blank`, and tokens that write nothing, the blank among them."""

    blank: int
    tokens: Collection[int]

    @classmethod
    def of_vocabulary(cls, vocabulary: Vocabulary) -> "Silence":
        """The blank, special tokens, and the one between words."""
        delimiter = vocabulary.delimiter_id
        others = () if delimiter is None else (delimiter,)
        return cls(vocabulary.blank, {vocabulary.blank, *vocabulary.special, *others})


class Windows:
    """Runs a recording in windows; iterating gives its frames in order, `[n, size]` at a time.

    Where the recording is damaged, what comes before is given, then the AudioError is raised.

    Attributes:
        geometry: sizes of the windows.
        done: frames that have been given.
    """

    def __init__(
        self, sound: Sound, run: Run, geometry: Geometry, silence: Silence | None = None, runs_silence: bool = False
    ) -> None:
        """`run` makes frames of a window's samples. Without `silence`, windows meet in the middle of their overlap.

        With `runs_silence`, what is silent by the sound's detector is run too, in windows of its own, so that speech is
        run in the same windows as without.
        """
        self._sound, self._run, self.geometry, self._silence = sound, run, geometry, silence
        self._runs_silence = runs_silence
        self.done = 0
        self._token: int | None = None  # that the model says in the silence which has begun
        self._size = 0  # of its vocabulary

    def __iter__(self) -> Iterator[Output]:
        lowest = 0  # frame before which windows do not begin
        while self.done != self._total:
            for output in self._stretch(lowest):
                self.done += len(output)
                yield output
            if self._silence is None or self._token is None:
                continue  # it goes on without a gap
            if self._runs_silence:
                yield from self._run_silence()
                lowest = self.done
                continue
            begin = self._sound.next_speech(self.done * self.geometry.hop)
            resumed = self._total if begin is None else -(-begin // self.geometry.hop)
            if resumed is not None and resumed > self.done:
                lowest = resumed
                yield from self._silent(resumed)
        self._sound.require_whole()
        if not self.done:
            raise AudioError(f"{self.samples} samples of sound are too few, whatever the header says")

    @property
    def seconds(self) -> float:
        """To the end of the frames that have been given."""
        return self.done * self.geometry.hop / self.geometry.rate

    @property
    def samples(self) -> int:
        """Of the recording, as far as it has been read."""
        return self._sound.end

    @property
    def _total(self) -> int | None:
        """Frames of the recording, None before its end has been reached."""
        return None if self._sound.total is None else self.geometry.frames(self._sound.total)

    def _stretch(self, lowest: int) -> Iterator[Output]:
        """Frames until speech ends, those of one window at a time."""
        sizes = self.geometry
        while True:
            first = max(lowest, self.done - sizes.context)
            self._sound.read(sizes.samples(first + 2 * sizes.window))
            end = self._end()
            is_last = end is not None and end - first <= sizes.window
            if end is not None and is_last:
                size = end - first
            elif end is not None and end - first <= 2 * (sizes.window - sizes.context):
                size = (end - first) // 2 + sizes.context  # rather than a full one and a short one
            else:
                size = sizes.window
            start = first * sizes.hop
            output = self._run(self._sound.samples(start, start + sizes.samples(size)))
            counted = self.done - first
            if is_last:
                self._token = self._quiet_token(output)
                yield output[counted:]
                return
            yield output[counted : self._seam(output, counted + 1)]

    def _end(self) -> int | None:
        """The frame behind the speech at hand, None where that is far away. A silent beginning is run for a moment."""
        sizes = self.geometry
        probe = sizes.frames(int(PROBE * sizes.rate))
        if not self.done and self._sound.first_speech > sizes.samples(probe):
            return probe
        end = self._sound.end_of_speech(self.done * sizes.hop)
        if end is None:
            return None
        frames = -(-end // sizes.hop)
        return frames if self._total is None else min(frames, self._total)

    def _seam(self, output: Output, least: int) -> int:
        """The frame of a window from which the next one counts: in the longest run of blanks near the end, the last of
        equals.
        """
        usual = len(output) - self.geometry.context
        if self._silence is None:
            return usual
        low = max(least, usual - self.geometry.search)
        near = output[low : len(output) - self.geometry.context // 2].astype(np.float64)
        powers = np.exp(near - near.max(axis=1, keepdims=True))
        quiet = powers[:, list(self._silence.tokens)].sum(axis=1) / powers.sum(axis=1)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet >= CERTAIN, [False]])))
        begins, ends = edges[::2], edges[1::2]
        reached = begins <= usual - low  # what begins later has words before it without all of their context
        if not reached.any():
            return low + int(quiet[: usual - low + 1].argmax())
        begins, ends = begins[reached], ends[reached]
        lengths = np.minimum(ends - begins, round(PAUSE * self.geometry.rate / self.geometry.hop))
        best = len(lengths) - 1 - int(lengths[::-1].argmax())
        begin, end = int(begins[best]), int(ends[best])
        others = np.flatnonzero(near[begin:end].argmax(axis=1) != self._silence.blank)
        if len(others):  # a delimiter, which the next window may have before the seam: it counts here
            begin = min(begin + int(others[-1]) + 1, end - 1)
        return low + (begin + end) // 2

    def _quiet_token(self, output: Output) -> int | None:
        """The token at the end of a stretch if the model says nothing there, so that what follows need not be run."""
        if self._silence is None:
            return None
        tokens = output[-round(QUIET * self.geometry.rate / self.geometry.hop) :].argmax(axis=1).tolist()
        self._size = output.shape[1]
        return int(tokens[-1]) if set(tokens) <= set(self._silence.tokens) else None

    def _run_silence(self) -> Iterator[Output]:
        """The frames of the silence at hand, as the model says them."""
        sizes, ends = self.geometry, False
        while not ends:
            start = self.done * sizes.hop
            end, ends = self._sound.silence(start, sizes.samples(sizes.window))
            stop = -(-end // sizes.hop) if self._total is None or end < self._sound.end else self._total
            count = min(stop - self.done, sizes.window)
            ends = ends and count == stop - self.done
            if count <= 0:
                return
            self._sound.read(start + sizes.samples(count))
            output = self._run(self._sound.samples(start, start + sizes.samples(count)))
            self.done += len(output)
            yield output

    def _silent(self, end: int) -> Iterator[Output]:
        """Frames up to `end` that were not run."""
        while self.done < end:
            output = np.zeros((min(AT_ONCE, end - self.done), self._size), np.float32)
            output[:, self._token] = SILENT_LOGIT
            self.done += len(output)
            yield output
