"""Gradients of a reference model against ours."""

from typing import Any


def same_gradients(ours: Any, theirs: Any, least: float = 1e-6) -> None:
    """Compare every parameter's gradient, within 1e-4 of its largest number and `least`."""
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        reference = expected.pop(name).grad
        if reference is None:
            assert parameter.grad is None or not parameter.grad.any(), name
            continue
        scale = float(reference.abs().max())
        assert float((parameter.grad - reference).abs().max()) <= 1e-4 * scale + least, name
    assert not expected
