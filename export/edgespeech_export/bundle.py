"""Writing what makes a folder of graphs a bundle: the golden file, the list of files with their hashes, the manifest.

Float, INT8 and NPU bundles are finished by this one writer. The graphs themselves are written by `writers`.
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, File, Golden, Graph, Manifest

from edgespeech_export.proof.proof import Arrays

GOLDEN_FILE = "golden.npz"
# The golden output of a quantized bundle is the float model's, so that the self-check sees the whole distance from what
# is right. Rounding differs between processors: twice the difference measured here leaves room for that.
GOLDEN_MARGIN = 2.0
GOLDEN_MINIMUM = 1e-3
UNMEASURED = 1e30  # tolerance of a bundle whose difference is yet to be measured


class BundleWriter:
    """Writes everything in a bundle's folder that is not a graph or its weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_golden(self, arrays: Arrays, tolerance: float) -> Golden:
        """Write a short input and the output expected for it; returns their entry in the manifest."""
        np.savez_compressed(self.folder / GOLDEN_FILE, allow_pickle=False, **arrays)
        return Golden(GOLDEN_FILE, tolerance)

    def create(self, **fields: Any) -> Manifest:
        """Write the manifest of a new bundle over the files that lie in the folder; `fields` are all but `files`."""
        return self._save(Manifest(files=self._listing(), **fields))

    def derive(self, source: Bundle, graphs: dict[str, Graph]) -> Manifest:
        """Write the manifest of the INT8 form of `source`, whose new graphs lie in the folder.

        Files of the source that belong to no graph are copied, but for those that the folder has already. Its report
        is left out, and any golden difference is tolerated until `golden_measured_here` says which one is to be
        expected.
        """
        manifest = source.manifest
        for name in sorted(manifest.files.keys() - _graph_files(manifest)):
            if not (self.folder / name).exists():
                shutil.copyfile(source.path(name), self.folder / name)
        golden = Golden(manifest.golden.file, UNMEASURED)
        files = self._listing()
        derived = replace(manifest, precision="int8", graphs=graphs, files=files, golden=golden, report={})
        return self._save(derived)

    def update(self, manifest: Manifest, **changes: Any) -> Manifest:
        """Write a manifest again with other fields; the files in the folder are those that it lists already."""
        return self._save(replace(manifest, **changes))

    def golden_measured_here(self, manifest: Manifest) -> Golden:
        """Run the bundle's self-check, and return its golden entry with the tolerance that follows from the difference.

        Raises:
            EngineError: the bundle cannot be run.
        """
        with edgespeech_runtime.load(self.folder, self_check="never") as model:
            return replace(manifest.golden, tolerance=golden_tolerance(model.self_check()))

    def _listing(self) -> dict[str, File]:
        names = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        names.pop(MANIFEST_FILE, None)
        return {name: File(path.stat().st_size, sha256(path)) for name, path in sorted(names.items())}

    def _save(self, manifest: Manifest) -> Manifest:
        (self.folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
        return manifest


def golden_tolerance(difference: float) -> float:
    """Return the golden tolerance for a measured difference, rounded up to two digits."""
    value = max(GOLDEN_MARGIN * difference, GOLDEN_MINIMUM)
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit) * unit:.1e}")


def _graph_files(manifest: Manifest) -> set[str]:
    """Names of the files that graphs and their weights are in, compiled forms included."""
    graphs = manifest.graphs.values()
    files = {file for graph in graphs for file in (graph.file, graph.weights) if file is not None}
    return files | {compiled.file for graph in graphs for compiled in graph.compiled}
