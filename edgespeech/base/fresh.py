"""Weights that a checkpoint does not have and that are drawn: those of a new head, or of an adapter."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from edgespeech.base.loading_options import LoadingOptions
from edgespeech.errors import WeightsError


def grouped(names: Iterable[str], key: Callable[[str], str | None]) -> list[list[str]]:
    """Return the names of weights in groups that go together, by a key; without one a weight is in none."""
    groups: dict[str, list[str]] = {}
    for name in names:
        group = key(name)
        if group is not None:
            groups.setdefault(group, []).append(name)
    return list(groups.values())


def completed(
    weights: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    groups: list[list[str]],
    drawn: Callable[[], Mapping[str, Tensor]],
    source: str,
    loading: LoadingOptions,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights with those added that may be missing, and what there is to say of loading.

    Args:
        weights: the checkpoint's, under the model's names.
        own: the model's, of which the shapes count.
        groups: names of weights of which a checkpoint may have none.
        drawn: gives fresh weights of the whole model.
        source: what a message calls the checkpoint.
        loading: whether weights of other shapes are drawn, and whether any may be.

    Raises:
        WeightsError: one in a group has another shape, which `ignore_mismatched_sizes` would ignore.

    Warns:
        UserWarning: names the weights that are fresh.
    """
    shapes = [
        (name, list(tensor.shape), list(own[name].shape))
        for name, tensor in weights.items()
        if name in own and tensor.shape != own[name].shape
    ]
    if shapes and not loading.ignore_mismatched_sizes:
        for name, there, wanted in shapes:
            if any(name in group for group in groups) and not loading.require_all_weights:
                raise WeightsError(
                    f"weight {name} in {source} has shape {there}, the configuration asks for {wanted}; "
                    "with ignore_mismatched_sizes=True a fresh one is taken"
                )
        shapes = []
    kept = {name: tensor for name, tensor in weights.items() if name not in {name for name, _, _ in shapes}}
    missing = [] if loading.require_all_weights else _absent(kept, groups)
    fresh = sorted({*missing, *(name for name, _, _ in shapes)})
    info = {
        "missing_keys": set(fresh) - {name for name, _, _ in shapes},
        "unexpected_keys": set(),
        "mismatched_keys": {(name, tuple(there), tuple(wanted)) for name, there, wanted in shapes},
        "error_msgs": [],
    }
    if not fresh:
        return kept, info
    values = drawn()
    warnings.warn(
        f"{source} has no weights for {', '.join(fresh)}: they are fresh, train the model before use", stacklevel=2
    )
    return kept | {name: values[name] for name in fresh}, info


def _absent(weights: Mapping[str, Tensor], groups: list[list[str]]) -> list[str]:
    """Return the names in groups of which a checkpoint has nothing."""
    return [name for group in groups if not any(other in weights for other in group) for name in group]
