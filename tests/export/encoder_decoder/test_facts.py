"""What the graphs of an exported encoder-decoder are made of: the contract's tensors and one set of weights."""

import zipfile
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import onnx
import pytest
from decoders import REFERENCED
from edgespeech_runtime.bundle.contracts import contract
from exported_models import ENGINES, Pair, Pairs
from onnx import external_data_helper

GRAPHS = ("encoder", "encoder_batch", "decoder")
CACHE = "cache"  # in bundles for ONNX Runtime alone
# What masks and arithmetic on shapes are made of.
LEFTOVERS = {"Gather", "Expand", "Range", "Where", "IsNaN", "Cast", "Div", "Squeeze", "Erf"}


def graph(pair: Pair, name: str) -> onnx.GraphProto:
    return onnx.load(pair.bundle / f"{name}.onnx", load_external_data=False).graph


def operators(pair: Pair, name: str) -> Counter[str]:
    return Counter(node.op_type for node in graph(pair, name).node)


@pytest.mark.parametrize("family", REFERENCED)
def test_tensors_are_those_of_the_contract(pairs: Pairs, family: str) -> None:
    pair = pairs.pair(family, "onnx")
    facts = pair.runtime.manifest.decoder
    fixed = {"heads": facts.heads, "head_dim": facts.head_dim, "vocabulary": facts.vocabulary_size}
    expected = contract("encoder-decoder", facts)
    assert tuple(expected) == (*GRAPHS, CACHE)
    assert facts.layers == pair.ours.decoder.geometry.layers
    for name, sides in expected.items():
        found = graph(pair, name)
        for tensors, values in zip(sides, (found.input, found.output), strict=True):
            axes = {
                value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
                for value in values
            }
            assert axes == {tensor.name: [fixed.get(axis, axis) for axis in tensor.axes] for tensor in tensors}


@pytest.mark.parametrize("family", REFERENCED)
def test_the_encoder_has_no_masks_and_no_arithmetic_on_shapes(pairs: Pairs, family: str) -> None:
    """But for the number of utterances, to cut the rows of keys and values into them."""
    pair = pairs.pair(family, "onnx")
    found = operators(pair, "encoder")
    assert not LEFTOVERS & found.keys()
    assert found["Shape"] <= 1
    assert found["Concat"] <= 1
    assert found["Softmax"] == pair.ours.config.encoder.num_hidden_layers


@pytest.mark.parametrize("family", REFERENCED)
def test_the_decoder_joins_scores_and_nothing_else(pairs: Pairs, family: str) -> None:
    """One softmax for each attention, over what two products with keys give, joined; no key or value goes into it."""
    pair = pairs.pair(family, "onnx")
    layers = pair.runtime.manifest.decoder.layers
    found = graph(pair, "decoder")
    makers = {output: node for node in found.node for output in node.output}
    inputs = {value.name for value in found.input}

    def is_score(name: str) -> bool:
        node = makers.get(name)
        while node is not None and node.op_type in ("Mul", "Div", "Add"):
            name = next(n for n in node.input if n in makers)
            node = makers.get(name)
        return node is not None and node.op_type == "MatMul"

    joined = [node for node in found.node if node.op_type == "Concat" and not shape_of(node, makers, found)]
    assert len(joined) == layers
    assert all(is_score(name) for node in joined for name in node.input)
    assert not any(name in inputs for node in found.node if node.op_type == "Concat" for name in node.input)
    assert operators(pair, "decoder")["Softmax"] == 2 * layers
    for value in found.input:  # nothing else reads them, a copy least of all
        if value.name.startswith(("cache.", "cross.")):
            readers = [node.op_type for node in found.node if value.name in node.input and node.op_type != "Shape"]
            assert readers == ["MatMul"], value.name


def shape_of(node: Any, makers: dict[str, Any], found: Any) -> bool:
    """Whether a Concat joins sizes, for a Reshape, rather than numbers."""
    readers = [other for other in found.node if node.output[0] in other.input]
    return all(
        other.op_type in ("Reshape", "Expand", "Slice", "Split") and other.input[1] == node.output[0]
        for other in readers
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", REFERENCED)
def test_all_graphs_share_one_file_of_weights(pairs: Pairs, family: str, engine: str) -> None:
    pair = pairs.pair(family, engine)
    size = 4 * sum(parameter.numel() for parameter in {id(p): p for p in pair.ours.parameters()}.values())
    if engine == "onnx":
        (weights,) = pair.bundle.glob("*.data")
        for name in GRAPHS:
            external = [t for t in graph(pair, name).initializer if external_data_helper.uses_external_data(t)]
            assert {external_data_helper.ExternalDataInfo(t).location for t in external} == {weights.name}
            assert (pair.bundle / f"{name}.onnx").stat().st_size < 100_000
    elif engine == "numpy":
        (weights,) = pair.bundle.glob("weights.npz")
        for name in GRAPHS:
            assert (pair.bundle / f"{name}.json").stat().st_size < 100_000
        with zipfile.ZipFile(weights) as archive:
            size += 400 * len(archive.namelist())  # what numpy and the archive say of each array
    else:
        (weights,) = pair.bundle.glob("*.bin")
        for name in GRAPHS:
            ends = [
                int(data.attrib["offset"]) + int(data.attrib["size"])
                for data in ElementTree.parse(pair.bundle / f"{name}.xml").iterfind(
                    "./layers/layer[@type='Const']/data"
                )
            ]
            assert max(ends) <= weights.stat().st_size
    assert weights.stat().st_size < 1.1 * size


def test_the_report_holds_what_was_measured(pairs: Pairs) -> None:
    for engine in ENGINES:
        report = pairs.pair("bart", engine).runtime.manifest.report
        assert 0 < report["parity"]["single"] <= report["parity"]["tolerance"]
        assert 0 < report["parity"]["batch"] <= report["parity"]["tolerance"]
        assert report["parity"]["same_tokens"]
        assert min(report["parity"]["frames"]) == 1
        assert set(report["operators"]) == {*GRAPHS, *([CACHE] if engine == "onnx" else [])}


def test_the_cache_graph_moves_columns_and_computes_nothing(pairs: Pairs) -> None:
    pair = pairs.pair("bart", "onnx")
    tensors = 2 * pair.runtime.manifest.decoder.layers
    assert operators(pair, CACHE) == {"Concat": tensors, "Gather": tensors}
    assert not graph(pair, CACHE).initializer
