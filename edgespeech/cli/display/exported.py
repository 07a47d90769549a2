"""What `export` and `quantize` print of the bundle that they have written."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgespeech_runtime.choices import ENGINES
from edgespeech_runtime.cli.display.output import say, table, to_json

from edgespeech.cli.display.proof import bucket_rows, language_model_rows, proof_rows, word_edge_rows
from edgespeech.cli.display.quantization import quantization_rows

if TYPE_CHECKING:
    from edgespeech_runtime.bundle.manifest import Manifest


def show(
    bundle: Path,
    manifest: "Manifest",
    rows: Iterable[tuple[str, str]] = (),
    measured: Mapping[str, Any] | None = None,
    *,
    as_json: bool,
) -> None:
    """Print the report of a bundle: as JSON with what was `measured` in this run, or as a table that ends in `rows`."""
    if as_json:
        say(to_json(_summary(bundle, manifest) | ({"measured": measured} if measured else {}), indent=2))
        return
    say(f"{bundle}: {manifest.task} on {ENGINES[manifest.engine].title}, {manifest.precision}")
    report = manifest.report
    head = [*bucket_rows(manifest), *language_model_rows(manifest), *word_edge_rows(manifest)]
    for line in table([*head, *proof_rows(report), *quantization_rows(report), *rows]):
        say(line)


def _summary(bundle: Path, manifest: "Manifest") -> dict[str, Any]:
    return {
        "bundle": str(bundle),
        "task": manifest.task,
        "engine": manifest.engine,
        "precision": manifest.precision,
        "files": {name: file.bytes for name, file in manifest.files.items()},
        "report": manifest.report,
        "provenance": manifest.provenance,
    }
