"""The proof of float graphs: it lets pass what float32 itself does, on outliers too, and nothing else."""

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import edgespeech_runtime
import numpy as np
import onnx
import pytest
import torch
from checkpoints import make_model
from covering import covering
from edgespeech_export import ExportOptions, ProofError, export
from edgespeech_export.proof.encoder_decoder import WrittenReference
from edgespeech_export.proof.proof import FLOOR, MULTIPLE, InFloat64, exactly
from edgespeech_export.sources.reading import read
from edgespeech_export.writers import tracing
from edgespeech_export.writers.traced_graph import TracedGraph
from edgespeech_export.writers.weight_store import round_weights
from encoder_decoders import make_encoder_decoder
from encoder_decoders import make_model as make_encoder_decoder_model
from onnx import helper, numpy_helper
from trained_twins import OUTLIERS, Outliers, make_twin

PRE_NORM: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}

RIGHT = {("feed-forward", "onnx"), ("massive", "openvino"), ("constant", "numpy")}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Outliers], Path]:
    folder = tmp_path_factory.mktemp("twins")

    def made(kind: Outliers) -> Path:
        return folder / kind if (folder / kind).exists() else make_twin(folder / kind, kind, **PRE_NORM)

    return made


@pytest.mark.parametrize(("kind", "engine"), covering(RIGHT, OUTLIERS, ("onnx", "openvino", "numpy")))
def test_a_right_graph_passes_with_the_outliers_of_trained_weights(
    twin: Any, tmp_path: Path, kind: Outliers, engine: Any
) -> None:
    manifest = export(twin(kind), tmp_path / "bundle", ExportOptions(engine=engine))
    parity: Any = manifest.report["parity"]
    assert parity["tolerance"] == max(FLOOR, MULTIPLE * parity["float32"]) <= manifest.golden.tolerance
    assert 0 < parity["single"] <= parity["tolerance"]
    assert 0 < parity["batch"] <= parity["tolerance"]
    assert parity["same_tokens"]


def with_a_weight_off(model: onnx.ModelProto) -> None:
    """One weight of a matrix is 1 % of the largest off."""
    for tensor in model.graph.initializer:
        if tensor.name.endswith("layers.0.feed_forward.intermediate_dense.weight"):
            values = np.array(numpy_helper.to_array(tensor))
            values[3, 5] += 0.01 * np.abs(values).max()
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            return
    raise AssertionError


def with_another_epsilon(model: onnx.ModelProto) -> None:
    """The norms divide by a deviation that is a thousandth more."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "LayerNormalization" and attribute.name == "epsilon":
                attribute.f = 1e-3


def with_gelu_by_tanh(model: onnx.ModelProto) -> None:
    """One of the activations is the approximation that is often put in its place."""
    node = [node for node in model.graph.node if node.op_type == "Gelu"][-1]
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("approximate", "tanh"))


SPOILS = (with_a_weight_off, with_another_epsilon, with_gelu_by_tanh)
WRONG = {  # each kind, and each of the errors
    ("feed-forward", with_a_weight_off),
    ("massive", with_another_epsilon),
    ("constant", with_gelu_by_tanh),
}


@pytest.mark.parametrize(("kind", "spoil"), covering(WRONG, OUTLIERS, SPOILS))
def test_a_wrong_graph_is_refused_with_outliers_too(twin: Any, tmp_path: Path, kind: Outliers, spoil: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        trace = tracing.trace

        def spoiled(source: Any, samples: Any) -> TracedGraph:
            model = trace(source, samples).whole()
            spoil(model)
            return TracedGraph(model, {})

        patch.setattr(tracing, "trace", spoiled)
        with pytest.raises(ProofError, match="'single' differs from the reference model by"):
            export(twin(kind), tmp_path / "bundle", ExportOptions(engine="onnx"))
    assert not (tmp_path / "bundle").exists()


def test_the_yardstick_is_the_model_in_float64_and_the_model_stays_as_it_was() -> None:
    model = make_model(weights="edgespeech").requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    audio = [torch.randn(1, samples, generator=torch.Generator().manual_seed(samples)) for samples in (4000, 9000)]
    wide = copy.deepcopy(model).double()
    with torch.no_grad():
        doubles = [wide.logits(each.double()) for each in audio]
        singles = [model.logits(each) for each in audio]
    exact, own = exactly(model, lambda dtype: (model.logits(each.to(dtype)) for each in audio))
    assert own == max(float((a - b).abs().max()) for a, b in zip(doubles, singles, strict=True)) > 0
    for a, b in zip(exact, doubles, strict=True):
        np.testing.assert_array_equal(a, b.float().numpy())
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("family", ["bert", "gpt2", "bart", "speech2text2"])
def test_an_encoder_decoder_in_float64_is_the_one_whose_weights_all_are(family: Any) -> None:
    model = make_encoder_decoder_model(family, weights="edgespeech").requires_grad_(False)
    wide, tokens = copy.deepcopy(model).double(), torch.tensor([[2, 7, 9, 11]])
    audio = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        expected = wide.decoder(tokens, encoder_hidden_states=wide.encode(audio)[0]).logits
        with InFloat64(model):
            found = model.decoder(tokens, encoder_hidden_states=model.encode(audio)[0]).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_float16_is_judged_by_the_rounded_model_and_says_what_rounding_does(twin: Any, tmp_path: Path) -> None:
    checkpoint = twin("feed-forward")
    manifest = export(checkpoint, tmp_path / "bundle", ExportOptions(engine="numpy", precision="float16"))
    source = read(checkpoint, None)
    whole = source.reference()
    round_weights(source.model)
    rounded = whole.again(source.model)
    effect = max(float(np.abs(a - b).max()) for a, b in zip(whole.exact, rounded.exact, strict=True))
    parity: Any = manifest.report["parity"]
    assert parity["rounding"] == effect > 10 * parity["tolerance"]
    with edgespeech_runtime.load(tmp_path / "bundle", threads=1) as runtime:
        for waveform, expected in zip(rounded.waveforms, rounded.exact, strict=True):
            np.testing.assert_allclose(runtime.logits(waveform), expected, atol=parity["tolerance"], rtol=0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small speech encoder-decoder."""
    folder = make_encoder_decoder(tmp_path_factory.mktemp("pair") / "gpt2", "gpt2", weights="edgespeech")
    return read(folder, None)


@pytest.fixture(scope="module")
def written(source: Any) -> WrittenReference:
    """What it says."""
    found: WrittenReference = source.reference()
    return found


class Writes:
    """In the place of a bundle: it writes these tokens to every input."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.manifest, self.rows = SimpleNamespace(static=None), rows

    def generate(self, waveforms: Any, **options: Any) -> list[list[int]]:
        """What is written, whatever is asked."""
        return self.rows


@pytest.mark.parametrize("beams", [1, 4])
def test_other_tokens_are_refused_where_the_model_is_sure(source: Any, written: WrittenReference, beams: int) -> None:
    rows = own_texts(source.model, written, beams)
    assert written.agrees(Writes(rows), beams)  # type: ignore[arg-type]
    rows[1] = [*rows[1][:-1], (rows[1][-1] + 1) % 50]
    with pytest.raises(ProofError, match="where the reference model is certain of"):
        written.agrees(Writes(rows), beams)  # type: ignore[arg-type]
    rows[1] = rows[1][:-2]
    with pytest.raises(ProofError, match="where the reference model is certain of"):
        written.agrees(Writes(rows), beams)  # type: ignore[arg-type]


@pytest.mark.parametrize("beams", [1, 4])
def test_two_tokens_that_are_equally_probable_may_change_places(
    source: Any, written: WrittenReference, beams: int
) -> None:
    """The model is made unable to tell two tokens apart, so that chance, or rounding, decides."""
    model = copy.deepcopy(source.model)
    said = Counter(
        token for row in own_texts(model, written, beams) for token in row if token > 2
    )  # 0 to 2 are special
    twins = said.most_common(1)[0][0], 49
    model.decoder.get_input_embeddings().weight[twins[1]] = model.decoder.get_input_embeddings().weight[twins[0]]
    tied, own = replace(written, decoder=model.decoder), own_texts(model, written, beams)
    rows = [[twins[1] if token == twins[0] else token for token in row] for row in own]
    assert rows != own
    assert not tied.agrees(Writes(rows), beams)  # type: ignore[arg-type]


def own_texts(model: Any, written: WrittenReference, beams: int) -> list[list[int]]:
    """What the model itself writes."""
    options: dict[str, Any] = {"num_beams": beams, "max_length": 24}
    return [model.generate(encoder_outputs=(states,), **options)[0].tolist() for states in written.states]
