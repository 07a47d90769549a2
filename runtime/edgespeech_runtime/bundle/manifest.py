"""The manifest of a bundle, `edgespeech.json`: every fact that the runtime knows about a model.

The exporter builds a `Manifest` and writes `to_json()`; the runtime reads it back with `from_json()`. Both directions
refuse values that contradict each other. This module opens no file; `bundle` does. Fields that it does not know are
ignored: what an old runtime must not ignore raises `FORMAT`.
"""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, get_args

from ..choices import MANIFEST_FILE as MANIFEST_FILE
from ..choices import EngineName, Precision, Task
from ..errors import BundleError
from .contracts import REQUIRED, Contract, Decoder, Static, Tensor, contract, static_contract
from .schema import build

FORMAT = 1
REACH = 64  # frames of a bundle that does not say it: half of the 128 taps that most models have

# Of a classifier: one of its labels is true, each may be, or they are names of quantities.
PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")

# The field of a manifest that says what a task's output means.
NEEDED: dict[Task, str] = {
    "ctc": "vocabulary",
    "audio-classification": "labels",
    "audio-frame-classification": "labels",
    "audio-xvector": "dimensions",
    "feature-extraction": "features",
    "encoder-decoder": "decoder",
}


@dataclass(frozen=True)
class Audio:
    """What audio the model takes: `sampling_rate` in Hz, `hop` in samples a frame, `shortest` in samples for one frame.

    An x-vector is made of a mean and a deviation over frames: there `shortest` gives two. With `normalize`, the host
    gives each utterance zero mean and unit variance first (`waveform.normalize`).
    """

    sampling_rate: int
    normalize: bool
    hop: int
    shortest: int

    def __post_init__(self) -> None:
        for name in ("sampling_rate", "hop", "shortest"):
            _require(getattr(self, name) > 0, f"audio.{name}: expected a positive number, got {getattr(self, name)}")


@dataclass(frozen=True)
class Compiled:
    """A graph as it was compiled on the build machine: a file that needs no other, and what takes it.

    That is the device of this exact name under the same versions of its library, everything else takes the graph
    itself. `options` are those given to the compiler.
    """

    file: str
    device: str
    library: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """One graph: its file, the file of its weights (None: inside the first), its tensors, what was compiled of it."""

    file: str
    weights: str | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    compiled: tuple[Compiled, ...] = ()


@dataclass(frozen=True)
class File:
    """Size in bytes and lower-case hexadecimal SHA-256 of one file."""

    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        _require(self.bytes >= 0, f"files: expected a size of at least 0 bytes, got {self.bytes}")
        is_hash = len(self.sha256) == 64 and set(self.sha256) <= set("0123456789abcdef")
        _require(is_hash, f"files: expected 64 hexadecimal digits of SHA-256, got {self.sha256!r}")


@dataclass(frozen=True)
class Frames:
    """The strided layers between samples and frames, in order: kernel, stride and padding (on both sides) of each."""

    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    paddings: tuple[int, ...]

    def __post_init__(self) -> None:
        same = len(self.kernels) == len(self.strides) == len(self.paddings)
        _require(same, "frames: expected kernels, strides and paddings of one length")
        _require(min((*self.kernels, *self.strides), default=1) > 0, "frames: expected positive kernels and strides")
        _require(min(self.paddings, default=0) >= 0, "frames: expected paddings of at least 0")

    def count(self, samples: int, layers: int | None = None) -> int:
        """Frames that an utterance of so many samples gives, after the first `layers` (None: after all)."""
        for kernel, stride, padding in list(zip(self.kernels, self.strides, self.paddings, strict=True))[:layers]:
            samples = max(0, (samples + 2 * padding - kernel) // stride + 1)
        return samples


@dataclass(frozen=True)
class Context:
    """What a frame depends on beside its own samples, attention aside: what windows of a long recording must respect.

    `reach` counts the frames on each side that convolutions behind the conv stack see. With `group_norm` the first
    layer normalises each of its channels over the whole utterance, so that windows need the graph `window`.
    """

    reach: int
    group_norm: bool

    def __post_init__(self) -> None:
        _require(self.reach >= 0, f"context.reach: expected at least 0 frames, got {self.reach}")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens (index = id) and how they become text.

    `word_delimiter` separates words (None: the vocabulary has none) and is written as `replace_word_delimiter`. The
    ids in `special` are left out of text; `blank` is the CTC blank. `separator` stands between tokens: " " in a
    vocabulary of phonemes. `clean_up` says whether spaces before punctuation and English contractions go.
    """

    tokens: tuple[str, ...]
    blank: int
    word_delimiter: str | None = "|"
    replace_word_delimiter: str = " "
    special: tuple[int, ...] = ()
    lower_case: bool = False
    separator: str = ""
    clean_up: bool = False

    def __post_init__(self) -> None:
        size = len(self.tokens)
        _require(0 <= self.blank < size, f"vocabulary.blank: expected an id below {size}, got {self.blank}")
        for token_id in self.special:
            _require(0 <= token_id < size, f"vocabulary.special: expected ids below {size}, got {token_id}")
        is_token = self.word_delimiter is None or self.word_delimiter in self.tokens
        _require(
            is_token, f"vocabulary.word_delimiter: {self.word_delimiter!r} is not among the tokens; use null for none"
        )

    @cached_property
    def delimiter_id(self) -> int | None:
        """Id of the word delimiter, or None."""
        return None if self.word_delimiter is None else self.tokens.index(self.word_delimiter)


@dataclass(frozen=True)
class WordEdges:
    """Seconds from where a word's sound begins to its first token, and from its last token to where its sound ends.

    They are means; what they were measured on stands in the report.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            _require(abs(value) <= 1, f"word_edges.{name}: expected at most 1 second, got {value}")


@dataclass(frozen=True)
class Features:
    """What the hidden states are that a feature extractor gives.

    `layers` are their numbers, ascending: 0 is what goes into the first layer of the transformer, N what comes out of
    the N-th (None: the encoder's last hidden state). Each has `dimensions` numbers a frame; in the graphs' output they
    stand side by side.
    """

    dimensions: int
    layers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _require(self.dimensions > 0, f"features.dimensions: expected a positive number, got {self.dimensions}")
        if self.layers is not None:
            is_ascending = list(self.layers) == sorted(set(self.layers)) and min(self.layers, default=-1) >= 0
            _require(is_ascending, "features.layers: expected numbers of layers, ascending and at least one")

    @property
    def size(self) -> int:
        """Numbers of a frame in the graphs' output."""
        return self.dimensions * (1 if self.layers is None else len(self.layers))


@dataclass(frozen=True)
class LanguageModel:
    """The n-gram model that a bundle carries, and how a search weighs it: see `ctc.fusion.FusionWeights`."""

    file: str
    alpha: float = 0.5
    beta: float = 1.5
    unknown_offset: float = -10.0
    score_boundary: bool = True

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "unknown_offset"):
            value = getattr(self, name)
            _require(math.isfinite(value), f"language_model.{name}: expected a number, got {value}")


@dataclass(frozen=True)
class Golden:
    """A numpy file (.npz) with a short input and the output expected for it, and the largest difference allowed."""

    file: str
    tolerance: float

    def __post_init__(self) -> None:
        sound = 0 < self.tolerance < math.inf
        _require(sound, f"golden.tolerance: expected a positive number, got {self.tolerance}")


@dataclass(frozen=True)
class Manifest:
    """All of it. `files` lists every file but the manifest itself; `report` and `provenance` are free-form JSON.

    Each task has the one fact that it needs (`NEEDED`) and none of the others': `vocabulary`, `decoder`, `labels`, the
    names of what a classifier tells apart in the order of their ids, `dimensions`, the size of an embedding, or
    `features`. `problem_type` says of a classifier of utterances what its logits mean (`PROBLEM_TYPES`; None: the
    first). `static` is there where the graphs have fixed shapes, `language_model` where a CTC model has one. Bundles of
    older exports have no `context`.
    """

    task: Task
    engine: EngineName
    precision: Precision
    audio: Audio
    graphs: dict[str, Graph]
    files: dict[str, File]
    frames: Frames
    golden: Golden
    context: Context | None = None
    vocabulary: Vocabulary | None = None
    decoder: Decoder | None = None
    labels: tuple[str, ...] | None = None
    dimensions: int | None = None
    features: Features | None = None
    problem_type: str | None = None
    static: Static | None = None
    word_edges: WordEdges | None = None
    language_model: LanguageModel | None = None
    report: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        for name in self.files:
            _check_path(name)
        self._check_task()
        self._check_graphs()
        _require(self.golden.file in self.files, f"golden.file: {self.golden.file!r} is not listed in files")
        hop = math.prod(self.frames.strides)
        _require(hop == self.audio.hop, f"audio.hop is {self.audio.hop}, but the strides in frames multiply to {hop}")
        self._check_shortest()

    @property
    def bytes(self) -> int:
        """Size of all files of the bundle but the manifest."""
        return sum(file.bytes for file in self.files.values())

    @property
    def reach(self) -> int:
        """Frames on each side of a frame that convolutions see; see `Context`."""
        return REACH if self.context is None else self.context.reach

    @property
    def contract(self) -> Contract:
        """What the graphs of this model take and give."""
        if self.static is not None:
            return static_contract(self.task, self.static, self.decoder)
        return contract(self.task, self.decoder)

    @property
    def opened(self) -> tuple[str, ...]:
        """The graphs that are loaded with the bundle; others wait until they are needed."""
        if self.static is None:
            return REQUIRED[self.task]
        names = tuple(self.contract)
        return (names[0], "prefill", "step") if self.task == "encoder-decoder" else names[:1]

    def _check_task(self) -> None:
        for name in dict.fromkeys(NEEDED.values()):
            is_there, is_needed = getattr(self, name) is not None, NEEDED[self.task] == name
            _require(is_there or not is_needed, f"{name}: a bundle of the task {self.task!r} must have it")
            _require(is_needed or not is_there, f"{name}: a bundle of the task {self.task!r} must not have it")
        _require(self.labels is None or len(self.labels) > 0, "labels: expected at least one")
        is_valid = self.problem_type is None or self.problem_type in PROBLEM_TYPES
        _require(is_valid, f"problem_type: expected one of {', '.join(PROBLEM_TYPES)}, got {self.problem_type!r}")
        if self.language_model is not None:
            _require(self.task == "ctc", f"language_model: a bundle of the task {self.task!r} must not have it")
            file = self.language_model.file
            _require(file in self.files, f"language_model.file: {file!r} is not listed in files")
        has_one_class = self.problem_type is None or self.task == "audio-classification"
        _require(has_one_class, f"problem_type: a bundle of the task {self.task!r} must not have it")
        _require(self.word_edges is None or self.task == "ctc", "word_edges: only a bundle of the task 'ctc' has them")
        sound = self.dimensions is None or self.dimensions > 0
        _require(sound, f"dimensions: expected a positive number, got {self.dimensions}")
        if self.decoder is not None:
            _require(self.decoder.text in self.files, f"decoder.text: {self.decoder.text!r} is not listed in files")

    def _check_shortest(self) -> None:
        shortest, needed = self.audio.shortest, 2 if self.task == "audio-xvector" else 1
        count = self.frames.count(shortest)
        message = f"{shortest} samples give {count or 'no'} frame by the layers in frames, {self.task!r} needs {needed}"
        _require(count >= needed, f"audio.shortest: {message}")
        least = shortest if self.static is None else self.static.buckets[0]
        _require(least >= shortest, f"static.buckets: {least} samples are fewer than audio.shortest, {shortest}")

    def _check_graphs(self) -> None:
        for name in REQUIRED[self.task] if self.static is None else self.contract:
            _require(name in self.graphs, f"graphs: the graph {name!r} is missing")
        for name, graph in self.graphs.items():
            for file in (graph.file, graph.weights, *(each.file for each in graph.compiled)):
                _require(file is None or file in self.files, f"graphs.{name}: {file!r} is not listed in files")
        for name, (inputs, outputs) in self.contract.items():
            if name in self.graphs:
                _check_names(f"graphs.{name}.inputs", self.graphs[name].inputs, inputs)
                _check_names(f"graphs.{name}.outputs", self.graphs[name].outputs, outputs)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read and check a manifest. Raises BundleError, one line that names the field."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{MANIFEST_FILE} is not JSON ({error}): export the bundle again") from None
        if not isinstance(data, dict):
            raise BundleError(f"{MANIFEST_FILE}: expected a JSON object, got {type(data).__name__}")
        _check_format(data.get("format"))
        _check_choice("task", data, Task)
        _check_choice("engine", data, EngineName)
        _check_choice("precision", data, Precision)
        manifest: Manifest = build(cls, data, "")
        return manifest

    def to_json(self) -> str:
        """Indented JSON text. Raises BundleError for a `report` or `provenance` that JSON cannot hold."""
        data = dataclasses.asdict(self)
        ordered = {"format": data.pop("format"), **data}
        try:
            return json.dumps(ordered, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        except (TypeError, ValueError) as error:
            raise BundleError(f"{MANIFEST_FILE}: report or provenance cannot be written as JSON: {error}") from None


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise BundleError(f"{MANIFEST_FILE}: {message}")


def _check_format(found: object) -> None:
    if isinstance(found, int) and not isinstance(found, bool) and found > FORMAT:
        raise BundleError(f"bundle format {found}, this runtime reads up to {FORMAT}: upgrade edgespeech-runtime")
    _require(found == FORMAT and found is not True, f"format: expected {FORMAT}, got {found!r}")


def _check_choice(name: str, data: dict[str, Any], choices: Any) -> None:
    names = get_args(choices)
    if name in data and data[name] not in names:
        message = f"{name} {data[name]!r} is not one of {', '.join(names)}: upgrade edgespeech-runtime, or export again"
        raise BundleError(f"{MANIFEST_FILE}: {message}")


def _check_names(where: str, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    names, due = [t.name for t in found], [t.name for t in expected]
    _require(sorted(names) == sorted(due), f"{where}: expected {', '.join(due)}, got {', '.join(names) or 'none'}")


def _check_path(name: str) -> None:
    """Only plain relative names with slashes; a backslash or a colon would mean something else on Windows."""
    parts = PurePosixPath(name).parts
    plain = (
        bool(parts)
        and not name.startswith("/")
        and ".." not in parts
        and name.isprintable()
        and not set(name) & set("\\:")
    )
    _require(plain and name == "/".join(parts), f"files: {name!r} is not a plain path inside the bundle")
