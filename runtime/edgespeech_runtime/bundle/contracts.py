"""The contract of each task's graphs: names, types and axes of their inputs and outputs.

The exporter writes from it, the bundle records it, the runtime reads it. It knows no engine and no file.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from ..choices import Task
from ..errors import BundleError


@dataclass(frozen=True)
class Tensor:
    """One input or output of a graph: its name, its numpy type and the meaning of its axes."""

    name: str
    dtype: str
    axes: tuple[str, ...]


Contract: TypeAlias = dict[str, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]


@dataclass(frozen=True)
class Decoder:
    """What the runtime must know of a text decoder: the shape of its cache, its vocabulary and how it begins.

    Attributes:
        layers, heads, head_dim: of each key and value in the cache.
        vocabulary_size: logits of each position.
        longest: tokens that a sequence may have, the start token included; None for any number.
        text: name of the file that says how ids become text.
        generation: defaults of the decoding loop, by the names of `GenerationOptions`; the start token among them.
    """

    layers: int
    heads: int
    head_dim: int
    vocabulary_size: int
    longest: int | None
    text: str
    generation: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "head_dim", "vocabulary_size"):
            _require(getattr(self, name) > 0, f"decoder.{name}: expected at least 1, got {getattr(self, name)}")
        has_room = self.longest is None or self.longest > 1
        _require(has_room, f"decoder.longest: expected at least 2, or null for any number, got {self.longest}")


@dataclass(frozen=True)
class Static:
    """The sizes of a bundle whose graphs have fixed shapes; see `static_contract`.

    Attributes:
        buckets: samples that the graphs take, ascending: one graph for each.
        masks: the graphs are told which frames are real after so many of the strided layers.
        hidden: what is added to scores that count for nothing. exp of it is 0 beside any other, and numbers of 16 bits
            that hold it too are still fine enough where the bundle needs that.
        prefill, slots: of an encoder-decoder: new tokens that the graph `prefill` reads at once, columns of the cache.
    """

    buckets: tuple[int, ...]
    masks: tuple[int, ...]
    hidden: float
    prefill: int = 0
    slots: int = 0

    def __post_init__(self) -> None:
        is_ascending = list(self.buckets) == sorted(set(self.buckets)) and min(self.buckets, default=0) > 0
        _require(is_ascending, "static.buckets: expected numbers of samples, ascending and at least one")
        _require(min(self.masks, default=1) > 0, "static.masks: expected counts of layers of at least 1")
        _require(self.hidden < 0, f"static.hidden: expected a negative number, got {self.hidden}")
        _require(min(self.prefill, self.slots) >= 0, "static: expected prefill and slots of at least 0")


VALUES = Tensor("input_values", "float32", ("batch", "samples"))
LENGTHS = Tensor("input_lengths", "int64", ("batch",))
LOGITS = Tensor("logits", "float32", ("batch", "frames", "vocabulary"))
CLASS_LOGITS = Tensor("logits", "float32", ("batch", "labels"))
FRAME_LOGITS = Tensor("logits", "float32", ("batch", "frames", "labels"))
STATES = Tensor("last_hidden_state", "float32", ("batch", "frames", "dimensions"))  # of chosen layers side by side
EMBEDDINGS = Tensor("embeddings", "float32", ("batch", "dimensions"))
PATCH_MEAN = Tensor("patch_mean", "float32", ("taps",))  # of the first convolution's kernel
PATCH_SPREAD = Tensor("patch_spread", "float32", ("axes", "taps"))

# What an encoder with a head on it gives: the one output of each of its graphs.
HEADS: dict[Task, Tensor] = {
    "ctc": LOGITS,
    "audio-classification": CLASS_LOGITS,
    "audio-frame-classification": FRAME_LOGITS,
    "audio-xvector": EMBEDDINGS,
    "feature-extraction": STATES,
}

TOKENS = Tensor("tokens", "int64", ("batch", "new"))
POSITIONS = Tensor("positions", "int64", ("batch", "new"))
BIAS = Tensor("bias", "float32", ("batch", "new", "columns"))  # the cache's slots, then the new tokens
CROSS_BIAS = Tensor("cross_bias", "float32", ("batch", "frames"))
NEXT_LOGITS = Tensor("logits", "float32", ("batch", "new", "vocabulary"))
COLUMNS = Tensor("columns", "int64", ("kept",))  # counted over the cache's slots, then the new tokens

STATIC_TOKENS = Tensor("tokens", "int32", ("batch", "new"))
CACHE_POSITION = Tensor("cache_position", "int32", ("batch", "new"))
ATTENTION_MASK = Tensor("attention_mask", "float32", ("batch", "new", "columns"))

# The graphs that a bundle must have. Without those for padded batches, utterances of different lengths run one by one;
# without `window`, which only models with a group norm over time have, each window is normalised by itself; without
# `cache`, which only ONNX Runtime's GPUs run, the cache is in the host's memory.
REQUIRED: dict[Task, tuple[str, ...]] = {
    **dict.fromkeys(HEADS, ("single",)),
    "encoder-decoder": ("encoder", "decoder"),
}


def contract(task: Task, decoder: Decoder | None = None) -> Contract:
    """What each of the task's graphs takes and gives: (inputs, outputs) by the graph's name.

    The tasks in `HEADS`: `single` serves one utterance, or several of one length; `batch` serves padded batches. Where
    the output has frames, `window` serves one part of a recording, or several of one length, whose first layer
    normalises over the whole recording: by mean and spread of that layer's input patches (`Statistics.patches`).
    "encoder-decoder": `encoder` and `encoder_batch` likewise give what all layers of the decoder attend to; `decoder`
    reads new tokens; `cache` puts chosen columns of the cache and of new tokens into the slots of the next cache, for
    devices that keep it in their own memory. Keys are (batch, heads, head_dim, length) and values (batch, heads,
    length, head_dim): so each is the right factor of a matrix product as it lies in memory.
    """
    if task in HEADS:
        outputs = (HEADS[task],)
        graphs: Contract = {"single": ((VALUES,), outputs), "batch": ((VALUES, LENGTHS), outputs)}
        if "frames" in HEADS[task].axes:
            graphs["window"] = ((VALUES, PATCH_MEAN, PATCH_SPREAD), outputs)
        return graphs
    if decoder is None:
        raise BundleError("edgespeech.json: decoder: a bundle of the task 'encoder-decoder' must have it")
    cross = columns("cross", "frames", decoder.layers)
    past = columns("cache", "slots", decoder.layers)
    new = columns("new", "new", decoder.layers)
    return {
        "encoder": ((VALUES,), cross),
        "encoder_batch": ((VALUES, LENGTHS), cross),
        "decoder": ((TOKENS, POSITIONS, BIAS, CROSS_BIAS, *past, *cross), (NEXT_LOGITS, *new)),
        "cache": ((COLUMNS, *past, *new), columns("kept", "kept", decoder.layers)),
    }


def static_contract(task: Task, static: Static, decoder: Decoder | None = None) -> Contract:
    """What graphs of fixed shapes take and give; each takes one utterance.

    The tasks in `HEADS`: `single_N` for each bucket of N samples. "encoder-decoder": `encoder_N` likewise; `prefill`
    and `step` are the decoder for several new tokens and for one, over `static.slots` slots and the frames of the
    largest bucket. `mask.D` is 1 on the frames that are real after the first D strided layers, 0 on those that come of
    padding.
    """
    masks = tuple(Tensor(f"mask.{depth}", "float32", ("batch", f"frames.{depth}")) for depth in static.masks)
    if task in HEADS:
        return {f"single_{samples}": ((VALUES, *masks), (HEADS[task],)) for samples in static.buckets}
    dynamic = contract(task, decoder)
    inputs, outputs = dynamic["decoder"]
    renamed = (STATIC_TOKENS, CACHE_POSITION, ATTENTION_MASK, *inputs[3:])
    encoders = {f"encoder_{samples}": ((VALUES, *masks), dynamic["encoder"][1]) for samples in static.buckets}
    return {**encoders, "prefill": (renamed, outputs), "step": (renamed, outputs)}


def columns(prefix: str, length: str, layers: int) -> tuple[Tensor, ...]:
    """Keys and values of all layers, key before value, whose columns are counted by the axis `length`."""
    axes = {
        "key": ("batch", "heads", "head_dim", length),
        "value": ("batch", "heads", length, "head_dim"),
    }
    return tuple(
        Tensor(f"{prefix}.{layer}.{kind}", "float32", axes[kind])
        for layer in range(layers)
        for kind in ("key", "value")
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise BundleError(f"edgespeech.json: {message}")
