"""Errors of the export.

EdgeSpeechError
└── ExportError (RuntimeError)              the export failed; nothing was written
    ├── TargetExistsError (FileExistsError)     the bundle's folder is there already
    ├── PrecisionError                          a weight that the precision cannot hold
    └── ProofError                              the exported graphs do not compute what the reference model computes
"""

from pathlib import Path

from edgespeech.errors import EdgeSpeechError


class ExportError(EdgeSpeechError, RuntimeError):
    """The export failed; nothing was written."""


class TargetExistsError(ExportError, FileExistsError):
    """The bundle's folder is there already, and it was not asked to be replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists; choose another folder, or replace it with --force (force=True)")


class PrecisionError(ExportError):
    """A weight lies beyond what the precision can hold."""


class ProofError(ExportError):
    """The exported graphs do not compute what the reference model computes."""
