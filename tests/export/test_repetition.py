"""Layers that are alike are traced twice and repeated: the graph computes what one computes that is traced whole."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import decoder_graphs
import decoders
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from checkpoints import make_model
from edgespeech_export.graphs.encoder_decoder import DecoderStep
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.heads import head_graphs
from edgespeech_export.writers.repetition import shortened
from edgespeech_export.writers.tracing import trace
from edgespeech_runtime.bundle.contracts import Decoder, contract
from kinds import HEAD_KINDS, KINDS, RELATIVES
from layer_changes import CHANGES, with_another_activation

LAYERS = 4
SHORT: dict[str, Any] = {"conv_dim": [16, 12], "conv_kernel": [10, 8], "conv_stride": [8, 8]}  # 64 samples a frame
DECODERS: dict[str, tuple[decoders.Family, dict[str, Any]]] = {
    "bert": ("bert", {"num_hidden_layers": LAYERS}),
    "gpt2": ("gpt2", {"n_layer": LAYERS}),
    "bart": ("bart", {"decoder_layers": LAYERS}),
    "mbart": ("mbart", {"decoder_layers": LAYERS}),
}
USUAL = ("wav2vec2-adapters", "wavlm-distances", "bart")  # the rest is alike; tracing takes seconds each


def covering(kinds: Any) -> list[Any]:
    return [pytest.param(kind, marks=() if kind in USUAL else pytest.mark.slow) for kind in kinds]


def encoder_graph(kind: str, name: str = "batch", layers: int = LAYERS) -> GraphSource:
    family, options = {**KINDS, **RELATIVES}[kind]
    model = make_model(family, weights="edgespeech", **{**SHORT, **options, "num_hidden_layers": layers})
    sources = {source.name: source for source in head_graphs("ctc", model.requires_grad_(False), 32)}
    return sources[name]


def decoder_graph(case: str, **options: Any) -> tuple[GraphSource, Decoder]:
    family, sizes = DECODERS[case]
    decoder = decoders.make_decoder(family, weights="edgespeech", **{**sizes, **options}).requires_grad_(False)
    facts = Decoder(*decoder.geometry, decoder.vocab_size, decoder.max_length, "detokenizer.json", {})
    fixed = {"vocabulary": facts.vocabulary_size, "heads": facts.heads, "head_dim": facts.head_dim}
    module = DecoderStep(SimpleNamespace(decoder=decoder))  # type: ignore[arg-type]
    ports = contract("encoder-decoder", facts)["decoder"]
    return GraphSource("decoder", module, *ports, fixed, layers=decoder.layers), facts


def outputs(source: GraphSource, given: dict[str, Any]) -> tuple[onnx.ModelProto, dict[str, Any]]:
    model = trace(source, lambda frames: 64 * frames + 10).whole()
    assert [each.name for each in model.graph.input] == [spec.name for spec in source.inputs]
    names = [each.name for each in model.graph.output]
    assert names == [spec.name for spec in source.outputs]
    values = onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)
    return model, dict(zip(names, values, strict=True))


def traced_whole(source: GraphSource) -> GraphSource:
    """The same graph, traced anew with all of its layers."""
    return replace(source, layers=None, kept={}, masked=None, parts=tuple(map(traced_whole, source.parts)))


def is_repeated(model: onnx.ModelProto, layers: int = LAYERS) -> bool:
    return any(node.name.endswith(f".{layers - 1}") for node in model.graph.node)


def assert_same(source: GraphSource, given: dict[str, Any]) -> None:
    repeated, found = outputs(source, given)
    whole, expected = outputs(traced_whole(source), given)
    assert is_repeated(repeated)
    assert not is_repeated(whole)
    assert sorted(node.op_type for node in repeated.graph.node) == sorted(node.op_type for node in whole.graph.node)
    assert {tensor.name for tensor in repeated.graph.initializer if tensor.dims} >= {
        tensor.name for tensor in whole.graph.initializer if tensor.name.startswith(("model.", "decoder."))
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", covering([*KINDS, *RELATIVES]))
def test_an_encoder(kind: str) -> None:
    waveforms = np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    assert_same(encoder_graph(kind), {"input_values": waveforms, "input_lengths": np.array([4000, 1500])})


@pytest.mark.parametrize("case", covering(DECODERS))
def test_a_decoder_with_its_cache(case: str) -> None:
    source, facts = decoder_graph(case)
    assert_same(source, decoder_graphs.inputs(facts))


def test_layers_that_differ_are_traced_whole() -> None:
    source, facts = decoder_graph("gpt2", scale_attn_by_inverse_layer_idx=True, n_layer=3)
    model, _ = outputs(source, decoder_graphs.inputs(facts))
    assert not is_repeated(model, 3)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("index", [1, LAYERS - 1])
def test_one_layer_that_differs_is_seen(change: Any, index: int) -> None:
    model = make_model(weights="edgespeech", **{**KINDS["wav2vec2-adapters"][1], "num_hidden_layers": LAYERS})
    layers = model.base_model.encoder.layers
    assert shortened(model, layers) is not None
    change(layers[index])
    assert shortened(model, layers) is None


def test_a_first_layer_that_differs_is_traced_whole() -> None:
    source = encoder_graph("wav2vec2-adapters", layers=3)
    assert source.layers is not None
    with_another_activation(source.layers[0])
    waveforms = np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    given = {"input_values": waveforms, "input_lengths": np.array([4000, 1500])}
    model, found = outputs(source, given)
    assert not is_repeated(model, 3)
    with torch.no_grad():
        expected = source.module(*map(torch.from_numpy, given.values())).numpy()
    np.testing.assert_allclose(found["logits"][0], expected[0], atol=1e-4)


def test_a_head_that_reads_all_layers_has_them_traced() -> None:
    family, head, options = HEAD_KINDS["class-unispeech"]
    model = make_model(family, weights="edgespeech", head=head, **{**SHORT, **options, "num_hidden_layers": LAYERS})
    (source, *_) = head_graphs("audio-classification", model.requires_grad_(False), 2)
    assert source.layers is None


def test_the_copy_with_two_layers_has_the_same_tensors() -> None:
    model = make_model(weights="edgespeech", num_hidden_layers=LAYERS)
    short = shortened(model, model.base_model.encoder.layers)
    assert short is not None
    whole = model.state_dict()
    assert {name: tensor.data_ptr() for name, tensor in short.state_dict().items()} == {
        name: tensor.data_ptr()
        for name, tensor in whole.items()
        if not name.startswith(("wav2vec2.encoder.layers.2.", "wav2vec2.encoder.layers.3."))
    }
