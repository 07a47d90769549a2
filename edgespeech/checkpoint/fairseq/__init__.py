"""Checkpoints of fairseq: one file of torch, of which a folder in the Hugging Face layout is made."""

from edgespeech.checkpoint.fairseq.folder import fairseq_folder

__all__ = ["fairseq_folder"]
