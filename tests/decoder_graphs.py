"""Decoder graphs of all families over float32 weights, for the tests of what quantizes them, and what they compute.

graph = write(folder, "bart", "onnx")    # a bundle as far as a decoder's backend reads one
run(graph.bundle, graph.inputs, folder)  # outputs by name
step(graph.decoder, graph.inputs)        # the same in torch
"""

import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import decoders
import numpy as np
import onnx
import pytest
import torch
from edgespeech_export.graphs.encoder_decoder import DecoderStep
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers.openvino import to_openvino
from edgespeech_export.writers.tracing import trace
from edgespeech_export.writers.weight_store import WeightStore
from edgespeech_runtime.bundle.contracts import Decoder, contract
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import Graph
from edgespeech_runtime.engines.devices import open_engine
from torch import nn

from edgespeech.decoder.attention import TransposedLinear

# Sizes that are no multiples of a block, heads that are tied or not, with a bias or none, factors that are no powers of
# two, projections that are fused and transposed, every kind of position.
CASES: dict[str, tuple[decoders.Family, dict[str, Any]]] = {
    "bert": ("bert", {"tie_word_embeddings": False, "hidden_size": 36, "intermediate_size": 20}),
    "gpt2": ("gpt2", {"n_embd": 24, "reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True}),
    "bart": ("bart", {"scale_embedding": True, "d_model": 40, "vocab_size": 53}),
    "mbart": ("mbart", {"tie_word_embeddings": False, "decoder_attention_heads": 2}),
    "speech2text2": ("speech2text2", {"d_model": 64}),
}
# Tracing takes seconds each; what speech2text2 has of its own, its positions, is no matter of weights.
USUAL = [pytest.param(name, marks=pytest.mark.slow) if name == "speech2text2" else name for name in CASES]
NEW, SLOTS, FRAMES, BATCH = 3, 5, 7, 2


@dataclass(frozen=True)
class DecoderGraph:
    """A decoder in torch, the bundle of its graph, and inputs."""

    decoder: Any
    bundle: Bundle
    inputs: dict[str, np.ndarray]


@cache
def make(case: str) -> tuple[Any, Decoder, onnx.ModelProto]:
    """Return the decoder, its facts and its graph."""
    family, options = CASES[case]
    torch.manual_seed(5)
    decoder = decoders.make_decoder(family, weights="edgespeech", **options).requires_grad_(False)
    if case == "bart":
        decoder.final_logits_bias = torch.randn(1, decoder.vocab_size)
    geometry = decoder.geometry
    facts = Decoder(*geometry, decoder.vocab_size, decoder.max_length, "detokenizer.json", {})
    fixed = {"vocabulary": facts.vocabulary_size, "heads": facts.heads, "head_dim": facts.head_dim}
    module = DecoderStep(SimpleNamespace(decoder=decoder))  # type: ignore[arg-type]
    source = GraphSource("decoder", module, *contract("encoder-decoder", facts)["decoder"], fixed)
    return decoder, facts, trace(source, lambda frames: 40 * frames).whole()


def write(folder: Path, case: str, engine: str) -> DecoderGraph:
    """Write the graph of a case and its weights into a folder."""
    decoder, facts, model = make(case)
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    folder.mkdir(parents=True)
    WeightStore(folder / "weights.data").save(copied, folder / "decoder.onnx")
    file, weights = "decoder.onnx", "weights.data"
    if engine == "openvino":
        to_openvino(folder / file, folder / "decoder.xml", "float32")
        file, weights = "decoder.xml", "decoder.bin"
    graph = Graph(file, weights, *contract("encoder-decoder", facts)["decoder"])
    manifest = SimpleNamespace(graphs={"decoder": graph}, decoder=facts, engine=engine)
    return DecoderGraph(decoder, Bundle(folder, manifest), inputs(facts))  # type: ignore[arg-type]


def inputs(facts: Decoder) -> dict[str, np.ndarray]:
    """Random tokens, caches and masks."""
    sizes = {"batch": BATCH, "new": NEW, "slots": SLOTS, "columns": SLOTS + NEW, "frames": FRAMES}
    sizes |= {"heads": facts.heads, "head_dim": facts.head_dim}
    generator = np.random.default_rng(3)
    found: dict[str, np.ndarray] = {}
    for tensor in contract("encoder-decoder", facts)["decoder"][0]:
        shape = [sizes[axis] for axis in tensor.axes]
        if tensor.name == "tokens":
            found[tensor.name] = generator.integers(0, facts.vocabulary_size, shape)
        elif tensor.name == "positions":
            found[tensor.name] = np.broadcast_to(np.arange(NEW) + SLOTS - 1, shape).copy()
        elif tensor.name.endswith("bias"):
            found[tensor.name] = np.where(generator.random(shape) < 0.3, -1e4, 0).astype(np.float32)
        else:
            found[tensor.name] = generator.standard_normal(shape).astype(np.float32)
    return found


def run(graph: Graph, folder: Path, given: dict[str, np.ndarray], engine: str) -> dict[str, np.ndarray]:
    """Run a graph as the runtime does."""
    weights = folder / graph.weights if graph.weights else None
    loaded = open_engine(engine, "cpu", 1).load(folder / graph.file, weights, graph.inputs, graph.outputs)  # type: ignore[arg-type]
    return loaded.run(given)


def step(decoder: Any, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the decoder computes in torch."""
    layers = decoder.geometry.layers

    def pairs(prefix: str) -> Any:
        tensors = {name: torch.from_numpy(array) for name, array in given.items()}
        return tuple(
            (tensors[f"{prefix}.{n}.key"].transpose(2, 3), tensors[f"{prefix}.{n}.value"]) for n in range(layers)
        )

    bias, cross_bias = (torch.from_numpy(given[name]) for name in ("bias", "cross_bias"))
    with torch.no_grad():
        logits, new = decoder.step(
            torch.from_numpy(given["tokens"]),
            torch.from_numpy(given["positions"]),
            bias[:, None],
            pairs("cache"),
            pairs("cross"),
            cross_bias[:, None, None],
        )
    found = {"logits": logits.numpy()}
    for n, (key, value) in enumerate(new):
        found |= {f"new.{n}.key": key.transpose(2, 3).numpy(), f"new.{n}.value": value.numpy()}
    return found


def copied(decoder: Any) -> Any:
    """Return a copy whose weights may be changed."""
    return copy.deepcopy(decoder)


def read_weights(decoder: Any) -> dict[str, tuple[nn.Module, bool]]:
    """Modules whose weights a step multiplies with, by path, and whether these are (out, in)."""
    names = decoder.names.layer.cross
    keys_and_values = {f"{names.module}.{path}" for path, parts in names.projections if "q" not in parts}
    return {
        path: (module, not isinstance(module, TransposedLinear))
        for path, module in decoder.named_modules()
        if isinstance(module, nn.Linear | TransposedLinear) and not path.endswith(tuple(keys_and_values))
    }


def decibels(signal: np.ndarray, other: np.ndarray) -> float:
    """Signal-to-noise ratio of `other` as an approximation of `signal`."""
    return float(10 * np.log10(np.square(signal).sum() / max(np.square(signal - other).sum(), 1e-30)))
