"""Checkpoint folders in the Hugging Face layout: where they lie, and their JSON and weight files."""

from edgespeech.checkpoint.folder import read_json, staged, write_json
from edgespeech.checkpoint.resolving import resolve
from edgespeech.checkpoint.weights import load_into, read_adapter, read_weights, weight_files, write_weights

__all__ = [
    "load_into",
    "read_adapter",
    "read_json",
    "read_weights",
    "resolve",
    "staged",
    "weight_files",
    "write_json",
    "write_weights",
]
