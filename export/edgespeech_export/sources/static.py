"""Checkpoints as the source of bundles whose graphs have fixed shapes.

Everything but the graphs, and what the manifest says of them, is the business of the sources for free shapes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgespeech_runtime.bundle.contracts import Static
from edgespeech_runtime.choices import EngineName

from edgespeech.choices import BUCKETS, LEAST_SLOTS, MOST_SLOTS
from edgespeech.engines import ENGINES
from edgespeech_export.errors import ExportError
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.lengths import Lengths
from edgespeech_export.graphs.static import Form, mask_depths, static_encoder_decoder_graphs, static_head_graphs
from edgespeech_export.proof.proof import GOLDEN_SECONDS
from edgespeech_export.sources.encoder_decoder import EncoderDecoderSource
from edgespeech_export.sources.heads import HeadSource
from edgespeech_export.sources.source import Source
from edgespeech_export.writers.channels_last import with_channels_last

MASK_VALUE = -1e4
PREFILL = 4  # tokens of a prompt that are read at once; also beams of a step


@dataclass(frozen=True)
class StaticShapes:
    """Which shapes to fix.

    Attributes:
        buckets: seconds of audio that the graphs take, one graph for each.
        lengths: of recordings, by which the buckets are chosen in place of `buckets`.
        slots: columns of an encoder-decoder's cache; None is 4 beams of the longest sequence, at most 512.
        mask_value: what is added to attention scores that count for nothing; numbers of 16 bits want it close to 0.
        form: "products" writes the conv stack without convolutions, for ONNX; OpenVINO has its own form.
    """

    buckets: tuple[float, ...] = BUCKETS
    slots: int | None = None
    mask_value: float = MASK_VALUE
    form: Form = "convolutions"
    lengths: Lengths | None = None

    def __post_init__(self) -> None:
        if not self.buckets or any(a >= b for a, b in itertools.pairwise(self.buckets)) or self.buckets[0] <= 0:
            raise ExportError(f"buckets must be seconds of audio, ascending, got {_listed(self.buckets)}")
        if self.buckets[-1] < GOLDEN_SECONDS:
            raise ExportError(
                f"the longest bucket must hold the {GOLDEN_SECONDS:g} s of a bundle's self-check, "
                f"got {_listed(self.buckets)}"
            )
        if self.slots is not None and self.slots < LEAST_SLOTS:
            raise ExportError(f"slots must be at least {LEAST_SLOTS}, got {self.slots}")


@dataclass(frozen=True)
class StaticSource(Source):
    """What both kinds of sources for graphs of fixed shapes say of their shapes.

    Attributes:
        static: the shapes.
        form: how convolutions are written.
        chosen: how the buckets were chosen, if they were; empty otherwise.
    """

    static: Static
    form: Form
    chosen: dict[str, Any]

    @property
    def origins(self) -> dict[str, Any]:
        """See `Source.origins`."""
        return self.chosen

    @property
    def facts(self) -> dict[str, Any]:
        """See `Source.facts`."""
        return {**super().facts, "static": self.static}  # type: ignore[safe-super]  # that of the other base


@dataclass(frozen=True)
class StaticHeadSource(StaticSource, HeadSource):
    """A checkpoint of an encoder with a head, for graphs of fixed shapes; other runtimes open none of its files."""

    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """See `Source.graphs`."""
        model, form = _formed(self, engine, self.form)
        return static_head_graphs(self.task, model, self.size, self.static, self.frames, form)

    def write_files(self, folder: Path) -> None:
        """See `Source.write_files`: none."""


STATIC_HEAD_FIELDS = frozenset(field.name for field in fields(StaticHeadSource))


@dataclass(frozen=True)
class StaticEncoderDecoderSource(StaticSource, EncoderDecoderSource):
    """A speech encoder-decoder checkpoint for graphs of fixed shapes."""

    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """See `Source.graphs`."""
        model, form = _formed(self, engine, self.form)
        return static_encoder_decoder_graphs(model, self.static, self.frames, self.decoder, form)


def _formed(source: Source, engine: EngineName, form: Form) -> tuple[Any, Form]:
    """Return the model with its conv stack as suits the engine, and the form of the rest."""
    if ENGINES[engine].channels_last:
        return source.model_for(engine), "convolutions"
    return (with_channels_last(source.model, source.encoder) if form == "products" else source.model), form


def with_static_shapes(source: Source, shapes: StaticShapes) -> Source:
    """Return the source of the same checkpoint for graphs of fixed shapes.

    Raises:
        ExportError: a bucket does not hold a frame, or the task has no such graphs.
    """
    audio, lengths, chosen = source.audio, shapes.lengths, {}
    if lengths is None:
        buckets = tuple(round(seconds * audio.sampling_rate) for seconds in shapes.buckets)
    else:
        buckets = lengths.buckets(audio)
        chosen = {"buckets": lengths.facts(audio, buckets)}
    if buckets[0] < audio.shortest:
        raise ExportError(
            f"the shortest bucket, {shapes.buckets[0]:g} s, holds {buckets[0]} samples; "
            f"this model needs {audio.shortest} at least"
        )
    masks = mask_depths(source.encoder, source.task, len(source.frames.kernels))
    values = {field.name: getattr(source, field.name) for field in fields(source)}
    values |= {"form": shapes.form, "chosen": chosen}
    if isinstance(source, HeadSource):
        values = {name: value for name, value in values.items() if name in STATIC_HEAD_FIELDS}
        return StaticHeadSource(**values, static=Static(buckets, masks, shapes.mask_value))
    if isinstance(source, EncoderDecoderSource):
        maximum = source.decoder.longest
        slots = shapes.slots or (MOST_SLOTS if maximum is None else min(MOST_SLOTS, PREFILL * maximum))
        static = Static(buckets, masks, shapes.mask_value, PREFILL, slots)
        return StaticEncoderDecoderSource(**values, static=static)
    raise ExportError(f"graphs of fixed shapes are not known for the task {source.task!r}")


def _listed(seconds: Sequence[float]) -> str:
    return ", ".join(f"{second:g}" for second in seconds) or "none"
