"""The graphs of an encoder with a head, as torch modules over one model: a waveform in, one output.

What they take and give is the runtime's contract. Graphs of fixed shapes are in `static_graphs`.
"""

from collections.abc import Callable
from typing import Any

from edgespeech_runtime.bundle.contracts import HEADS, contract
from edgespeech_runtime.choices import Task
from torch import Tensor, nn

from edgespeech.encoder.features import Patches
from edgespeech.encoder.transformer import Trace
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.parts import Parts


def computed(model: nn.Module, task: Task) -> Callable[..., Tensor]:
    """Return the method that computes a task's output from waveforms: the model calls it as the contract does."""
    method: Callable[..., Tensor] = getattr(model, HEADS[task].name)
    return method


class Single(nn.Module):
    """The output for utterances of one length; nothing is masked."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self.task = task

    def forward(self, input_values: Tensor) -> Tensor:
        """(batch, samples) -> the task's output."""
        return computed(self.model, self.task)(input_values)


class Batch(nn.Module):
    """The output for a padded batch, each utterance as if alone."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self.task = task

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> Tensor:
        """(batch, samples), real samples (batch,) -> the task's output."""
        return computed(self.model, self.task)(input_values, input_lengths)


class Window(nn.Module):
    """The output for parts of a recording, of one length, whose first layer normalises over the whole recording."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: Tensor, patch_mean: Tensor, patch_spread: Tensor) -> Tensor:
        """(batch, samples), mean (taps,) and spread (axes, taps) of the whole's patches -> the task's output."""
        patches = Patches(patch_mean, patch_spread)
        output = self.model.base_model.encode(input_values, trace=Trace([]), patches=patches)
        outputs: Tensor = self.model.head(self.model.mixed(output.hidden_states, output.last_hidden_state), None)
        return outputs


class Behind(nn.Module):
    """The output for what the conv stack gives."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, conv_features: Tensor, conv_lengths: Tensor | None = None) -> Tensor:
        """(batch, frames, channels), real frames (batch,) -> the task's output."""
        output: Tensor = self.model.of_features(conv_features, conv_lengths)
        return output


def head_graphs(task: Task, model: Any, size: int) -> list[GraphSource]:
    """Return the graphs that the runtime's contract names; `size` is that of the output's last axis."""
    modules: dict[str, nn.Module] = {"single": Single(model, task), "batch": Batch(model, task)}
    if has_windows(task, model):
        modules["window"] = Window(model)
    taps = model.config.conv_kernel[0]
    fixed = {HEADS[task].axes[-1]: size, "taps": taps, "axes": taps}
    graphs = {name: tensors for name, tensors in contract(task).items() if name in modules}
    layers = last_layers(model)
    behind = Parts(model, model.base_model, Behind(model), (HEADS[task],), fixed, layers)
    parts = behind.of({name: inputs for name, (inputs, _) in graphs.items()})
    return [
        GraphSource(name, modules[name], *tensors, fixed, layers=layers, parts=parts[name])
        for name, tensors in graphs.items()
    ]


def has_windows(task: Task, model: Any) -> bool:
    """Whether there is a graph for windows of a recording; models without a norm over time run these as they are."""
    return model.config.feat_extract_norm == "group" and "window" in contract(task)


def last_layers(model: Any) -> nn.ModuleList | None:
    """Return the encoder's layers where the head reads what the last of them gives, None where it reads others too."""
    layers: nn.ModuleList = model.base_model.encoder.layers
    return None if model.reads_all_layers else layers
