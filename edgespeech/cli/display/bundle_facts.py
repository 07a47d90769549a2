"""Facts of a bundle, for `inspect`: from its manifest, and whether its files are those that were exported."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgespeech_runtime.bundle.contracts import Decoder, Tensor
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, Features, Graph, Manifest, Vocabulary
from edgespeech_runtime.choices import ENGINES
from edgespeech_runtime.cli.display.output import INDENT, few, label_row, number, size, table, wrapped
from edgespeech_runtime.errors import BundleError
from edgespeech_runtime.text import Detokenizer

from edgespeech.cli.display.proof import bucket_rows, language_model_rows, proof_rows
from edgespeech.cli.display.quantization import quantization_rows

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class BundleFacts:
    """A bundle's manifest, and what is wrong with its files (None: nothing).

    `languages` are the names that `--language` takes; None where the table that has them cannot be read.
    """

    folder: Path
    manifest: Manifest
    problem: BundleError | None
    languages: list[str] | None

    def as_dict(self) -> dict[str, Any]:
        """The manifest for JSON, with keys more: `checksums_hold`, `problem`; of a decoder, `languages`."""
        facts = asdict(self.manifest)
        if self.manifest.vocabulary is not None:
            facts["vocabulary"]["size"] = len(self.manifest.vocabulary.tokens)
        if self.manifest.decoder is not None:
            facts["decoder"]["languages"] = self.languages
        problem = None if self.problem is None else str(self.problem)
        return {
            "kind": "bundle",
            "folder": str(self.folder),
            "checksums_hold": problem is None,
            "problem": problem,
        } | facts

    def lines(self) -> Iterator[str]:
        """The facts to read."""
        manifest = self.manifest
        yield f"{self.folder}: a bundle, format {manifest.format}"
        yield from table(self._head())
        if manifest.decoder is not None:
            yield ""
            yield "generation, where the caller does not say"
            yield from table((name, str(value)) for name, value in sorted(manifest.decoder.generation.items()))
        yield ""
        yield "files"
        files = sorted(manifest.files.items(), key=lambda item: -item[1].bytes)
        yield from table((name, size(file.bytes)) for name, file in files)
        holds = "every file is as it was exported" if self.problem is None else str(self.problem)
        yield f"{INDENT}checksums: {holds}"
        for name, graph in manifest.graphs.items():
            yield ""
            yield from _graph_lines(name, graph, manifest.report)
        rows = [*proof_rows(manifest.report), *quantization_rows(manifest.report)]
        if rows:
            yield ""
            yield "proof"
            yield from table(rows)
        if manifest.provenance:
            yield ""
            yield "from"
            yield from table(_flat(manifest.provenance))

    def _head(self) -> list[tuple[str, str]]:
        manifest, audio = self.manifest, self.manifest.audio
        milliseconds = 1000 / audio.sampling_rate
        vocabulary = [] if manifest.vocabulary is None else _vocabulary_rows(manifest.vocabulary)
        decoder = [] if manifest.decoder is None else _decoder_rows(manifest.decoder, self.languages)
        dimensions = [] if manifest.dimensions is None else [("embedding", number(manifest.dimensions, "dimension"))]
        if manifest.features is not None:
            dimensions = _feature_rows(manifest.features)
        return [
            ("task", manifest.task),
            ("engine", ENGINES[manifest.engine].title),
            ("precision", manifest.precision),
            ("size", size(manifest.bytes)),
            ("audio", f"{audio.sampling_rate} Hz, {'normalised' if audio.normalize else 'as it is'}"),
            ("frame", f"{audio.hop} samples, {audio.hop * milliseconds:g} ms"),
            *bucket_rows(manifest),
            ("shortest input", f"{audio.shortest} samples, {audio.shortest * milliseconds:g} ms"),
            *_window_rows(manifest),
            *vocabulary,
            *language_model_rows(manifest),
            *([] if manifest.labels is None else [label_row(manifest.labels)]),
            *dimensions,
            *decoder,
        ]


def _window_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """How long a recording is run as a whole, of models that give frames."""
    if manifest.task not in ("ctc", "audio-frame-classification", "feature-extraction") or manifest.static is not None:
        return []
    from edgespeech_runtime.long.windows import Geometry  # here, because it imports numpy

    sizes = Geometry.of_model(manifest)
    window = sizes.window * sizes.hop / sizes.rate
    return [("long recordings", f"above {sizes.whole / sizes.rate:g} s in windows of {window:.3g} s")]


def read_bundle(folder: Path) -> BundleFacts:
    """Read a bundle's manifest and check its files.

    Raises:
        BundleError: the manifest cannot be read; a damaged file beside it is a fact, not an error.
    """
    problem: BundleError | None = None
    try:
        manifest = open_bundle(folder).manifest
    except BundleError as error:
        problem = error
        try:
            manifest = Manifest.from_json((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise problem from None
    languages = None
    if problem is None and manifest.decoder is not None:  # else it may be any file
        try:
            languages = sorted(Detokenizer.from_json((folder / manifest.decoder.text).read_bytes()).languages)
        except BundleError as error:
            problem = error
    return BundleFacts(folder, manifest, problem, languages)


def _feature_rows(features: Features) -> list[tuple[str, str]]:
    layers = "the last hidden state" if features.layers is None else ", ".join(map(str, features.layers))
    return [("features", f"{number(features.dimensions, 'dimension')} a frame"), ("layers", layers)]


def _vocabulary_rows(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    delimiter = vocabulary.word_delimiter
    return [
        ("vocabulary", number(len(vocabulary.tokens), "token")),
        ("word delimiter", "none" if delimiter is None else repr(delimiter)),
    ]


def _decoder_rows(decoder: Decoder, languages: list[str] | None) -> list[tuple[str, str]]:
    token = 2 * decoder.layers * decoder.heads * decoder.head_dim * FLOAT32
    maximum = "any" if decoder.longest is None else f"{number(decoder.longest, 'token')}, the first included"
    rows = [
        ("vocabulary", number(decoder.vocabulary_size, "token")),
        ("longest text", maximum),
        ("decoder", f"{number(decoder.layers, 'layer')}, {number(decoder.heads, 'head')} of {decoder.head_dim}"),
        ("cache", f"{size(token)} for each token and beam, as much for each frame"),
    ]
    if languages is not None:
        rows.append(("languages", few(languages) or "no tokens for them"))
    return rows


def _graph_lines(name: str, graph: Graph, report: Mapping[str, Any]) -> Iterator[str]:
    where = graph.file if graph.weights is None else f"{graph.file}, weights in {graph.weights}"
    yield f"graph {name}: {where}"
    inputs, outputs = wrapped(_tensors(graph.inputs)), wrapped(_tensors(graph.outputs))
    yield from table([*_labelled("in", inputs), *_labelled("out", outputs)])
    counted = report.get("operators")
    operators = counted.get(name) if isinstance(counted, Mapping) else None
    if isinstance(operators, Mapping) and operators:
        yield from table(_labelled("ops", wrapped([f"{kind} {count}" for kind, count in operators.items()])))


def _labelled(label: str, lines: list[str]) -> list[tuple[str, str]]:
    return [(label if index == 0 else "", line) for index, line in enumerate(lines)]


def _tensors(tensors: tuple[Tensor, ...]) -> list[str]:
    """Name, type and axes of each; those that all layers of a decoder have stand together, as `cache.0-5.key`."""
    layers: dict[str, list[str]] = {}
    for tensor in tensors:
        parts = tensor.name.split(".")
        layer = parts[1] if len(parts) == 3 else ""  # prefix, layer, kind
        name = f"{parts[0]}.{{}}.{parts[2]}" if layer else tensor.name
        layers.setdefault(f"{name} {tensor.dtype} [{', '.join(tensor.axes)}]", []).append(layer)
    return [
        shown.replace("{}", indices[0] if len(indices) == 1 else f"{indices[0]}-{indices[-1]}")
        for shown, indices in layers.items()
    ]


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as rows, the names joined by dots."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
