"""Reference models in torch."""
