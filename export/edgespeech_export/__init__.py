"""Export: a checkpoint goes in, a bundle that was proven on the real runtime comes out."""

from edgespeech_export.errors import ExportError, ProofError, TargetExistsError
from edgespeech_export.export import ExportOptions, export
from edgespeech_export.graphs.lengths import Lengths
from edgespeech_export.sources.static import StaticShapes

__all__ = ["ExportError", "ExportOptions", "Lengths", "ProofError", "StaticShapes", "TargetExistsError", "export"]
