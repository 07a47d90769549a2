"""Streams of models with a CTC head: what the machine needs, made of a bundle's facts."""

from collections.abc import Callable

from ..bundle.manifest import Manifest, Vocabulary
from ..ctc.beam_search import BeamSearch
from ..engines.calls import Calls
from ..long.frame_grid import FrameGrid
from ..tasks.batches import HeadRunner
from .captioner import Captioner, Recipe, Runner
from .captions import Captions, GreedyCaptions, Logits, SearchCaptions
from .endpoints import Endpoints
from .events import Event
from .intake import Clock, Waveform
from .plan import Plan
from .seams import Kinds
from .stream import LiveStream

MEMORY = 30.0  # seconds of sound that the statistics of a stream are about


class WindowRunner:
    """Runs windows with the statistics of the sound before them."""

    def __init__(self, runner: HeadRunner, rate: int) -> None:
        """`runner` is the model's; `rate` is in Hz."""
        self._runner, self._gatherer = runner, runner.gatherer(MEMORY * rate)

    def add(self, samples: Waveform) -> None:
        """See `Runner.add`."""
        self._gatherer.add(samples)

    def run(self, window: Waveform) -> Logits:
        """See `Runner.run`."""
        return self._runner.run_windows([window], self._gatherer.statistics())[0]


def open_stream(
    manifest: Manifest,
    vocabulary: Vocabulary,
    runner: Runner,
    search: BeamSearch | None,
    latency: object,
    endpoints: Endpoints,
    sampling_rate: float | None,
    calls: Calls,
) -> LiveStream:
    """A stream of a bundle. Raises ArgumentError and AudioError for options that are not what they should be."""
    plan, facts = Plan.by_latency(latency, endpoints), manifest.audio
    frame = facts.hop / facts.sampling_rate

    def captions() -> Captions:
        return GreedyCaptions(vocabulary, frame) if search is None else SearchCaptions(search, vocabulary, frame)

    silent = frozenset({vocabulary.blank, *vocabulary.special} - {vocabulary.delimiter_id})
    recipe = Recipe(
        runner=runner,
        geometry=FrameGrid(facts.hop, facts.shortest, facts.sampling_rate),
        plan=plan,
        endpoints=endpoints,
        kinds=Kinds(silent, vocabulary.delimiter_id),
        captions=captions,
    )

    def machine(clock: Clock, number: int, tell: Callable[[Event], None]) -> Captioner:
        return Captioner(recipe, clock, number, tell)

    return LiveStream(machine, facts.sampling_rate, sampling_rate, calls)
