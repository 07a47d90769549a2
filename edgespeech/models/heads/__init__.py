"""Heads on a speech encoder: CTC, classifiers, x-vectors, pre-training."""
