"""Facts of a bundle, for `inspect`: from its manifest, and whether its files are those that were exported."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgespeech_runtime.bundle import open_bundle
from edgespeech_runtime.errors import BundleError
from edgespeech_runtime.manifest import MANIFEST_FILE, Graph, Manifest, Tensor

from edgespeech.cli.output import INDENT, number, size, table
from edgespeech.cli.proof import ENGINE_NAMES, proof_rows

OPERATORS_A_LINE = 8


@dataclass(frozen=True)
class BundleFacts:
    """A bundle's manifest, and what is wrong with its files (None: nothing)."""

    folder: Path
    manifest: Manifest
    problem: BundleError | None

    def as_dict(self) -> dict[str, Any]:
        """The manifest for JSON, with two keys more: `checksums_hold` and `problem`."""
        found = asdict(self.manifest)
        found["vocabulary"]["size"] = len(self.manifest.vocabulary.tokens)
        problem = None if self.problem is None else str(self.problem)
        return {
            "kind": "bundle",
            "folder": str(self.folder),
            "checksums_hold": problem is None,
            "problem": problem,
        } | found

    def lines(self) -> Iterator[str]:
        """The facts to read."""
        manifest = self.manifest
        yield f"{self.folder}: a bundle, format {manifest.format}"
        yield from table(self._head())
        yield ""
        yield "files"
        files = sorted(manifest.files.items(), key=lambda item: -item[1].bytes)
        yield from table((name, size(file.bytes)) for name, file in files)
        holds = "every file is as it was exported" if self.problem is None else str(self.problem)
        yield f"{INDENT}checksums: {holds}"
        for name, graph in manifest.graphs.items():
            yield ""
            yield from _graph_lines(name, graph, manifest.report)
        rows = proof_rows(manifest.report)
        if rows:
            yield ""
            yield "proof"
            yield from table(rows)
        if manifest.provenance:
            yield ""
            yield "from"
            yield from table(_flat(manifest.provenance))

    def _head(self) -> list[tuple[str, str]]:
        manifest, audio, vocabulary = self.manifest, self.manifest.audio, self.manifest.vocabulary
        milliseconds = 1000 / audio.sampling_rate
        delimiter = vocabulary.word_delimiter
        return [
            ("task", manifest.task),
            ("engine", ENGINE_NAMES[manifest.engine]),
            ("precision", manifest.precision),
            ("size", size(sum(file.bytes for file in manifest.files.values()))),
            ("audio", f"{audio.sampling_rate} Hz, {'normalised' if audio.normalize else 'as it is'}"),
            ("frame", f"{audio.hop} samples, {audio.hop * milliseconds:g} ms"),
            ("shortest input", f"{audio.shortest} samples, {audio.shortest * milliseconds:g} ms"),
            ("vocabulary", number(len(vocabulary.tokens), "token")),
            ("word delimiter", "none" if delimiter is None else repr(delimiter)),
        ]


def read_bundle(folder: Path) -> BundleFacts:
    """Read a bundle's manifest and check its files.

    Raises:
        BundleError: the manifest cannot be read; a damaged file beside it is a fact, not an error.
    """
    try:
        return BundleFacts(folder, open_bundle(folder).manifest, None)
    except BundleError as problem:
        try:
            manifest = Manifest.from_json((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise problem from None
        return BundleFacts(folder, manifest, problem)


def _graph_lines(name: str, graph: Graph, report: Mapping[str, Any]) -> Iterator[str]:
    where = graph.file if graph.weights is None else f"{graph.file}, weights in {graph.weights}"
    yield f"graph {name}: {where}"
    yield from table([("in", _tensors(graph.inputs)), ("out", _tensors(graph.outputs))])
    counted = report.get("operators")
    operators = counted.get(name) if isinstance(counted, Mapping) else None
    if isinstance(operators, Mapping) and operators:
        names = [f"{kind} {count}" for kind, count in operators.items()]
        chunks = [", ".join(names[i : i + OPERATORS_A_LINE]) for i in range(0, len(names), OPERATORS_A_LINE)]
        yield from table([("ops", chunks[0]), *(("", chunk) for chunk in chunks[1:])], indent=INDENT)


def _tensors(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(f"{tensor.name} {tensor.dtype} [{', '.join(tensor.axes)}]" for tensor in tensors)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as rows, the names joined by dots."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
