"""Data parallelism over processes of one thread each, by all-reduce once a step.

On a machine that others use too this beats threads: threads wait for each other at every operator, processes once a
step. Without `torchrun` there is one process and every function here does nothing.
"""

from collections.abc import Sequence

import torch
from torch import distributed


def start() -> tuple[int, int]:
    """Join the processes that `torchrun` started; returns this one's rank and how many there are."""
    if not distributed.is_torchelastic_launched():
        return 0, 1
    distributed.init_process_group("gloo")
    return distributed.get_rank(), distributed.get_world_size()


def mean_gradients(parameters: Sequence[torch.Tensor]) -> None:
    """Replace each gradient by its mean over the processes; one that is missing in this process counts as zero."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    _reduce(gradients)
    torch._foreach_div_(gradients, float(size()))


@torch.no_grad()
def gather(parameters: Sequence[torch.Tensor]) -> None:
    """Share parameters of which process i has just updated those at i, i + size, i + 2 size ..."""
    rank = distributed.get_rank() if size() > 1 else 0
    for index, parameter in enumerate(parameters):
        if index % size() != rank:
            parameter.zero_()
    _reduce(list(parameters))


def size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def agree(value: float) -> float:
    """The first process's `value`, so that all stop at the same step."""
    if size() == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64)
    distributed.broadcast(tensor, 0)
    return tensor.item()


def _reduce(tensors: Sequence[torch.Tensor]) -> None:
    """Sum each tensor over the processes, in place, in one exchange."""
    if size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
