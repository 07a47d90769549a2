"""INT8 graphs of ONNX bundles against the reference model with rounded factors, in torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.onnx.encoder import OnnxEncoder
from edgespeech_calib.quantization.onnx.forms import LayerRanges, StaticForms
from edgespeech_calib.quantization.onnx.frames import has_frames
from edgespeech_calib.quantization.onnx.network import Network
from edgespeech_calib.quantization.onnx.ranges import Range, scale_and_zero
from edgespeech_calib.quantization.onnx.writer import GraphWriter
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_runtime.bundle.folder import open_bundle
from kinds import KINDS, RELATIVES
from onnx import helper
from torch import nn

from edgespeech import AutoModelForCTC

ENGINE = "onnx"  # see `usual`
TYPES = Types("uint8", "int8", False, "")
SAMPLES = 6000
ROUNDED = 40.0  # dB: numbers that lie between two steps may be rounded apart, by either engine


def audio(count: int = 3, samples: int = SAMPLES, seed: int = 0) -> list[np.ndarray]:
    """Noise whose loudness differs, normalised, (1, samples) each."""
    generator = np.random.default_rng(seed)
    envelopes = (np.sin(np.arange(samples) / (300 + 200 * index)) ** 2 + 0.1 for index in range(count))
    values = (envelope * generator.standard_normal(samples) for envelope in envelopes)
    return [((x - x.mean()) / x.std()).astype(np.float32)[None] for x in values]


def utterances() -> Iterator[np.ndarray]:
    """What is calibrated on."""
    return iter(audio())


def decibels(signal: np.ndarray, other: np.ndarray) -> float:
    """Ratio of the signal to its difference from another."""
    return float(10 * np.log10(np.square(signal).sum() / max(np.square(signal - other).sum(), 1e-30)))


class Made:
    """A backend that was calibrated, and what it wrote."""

    def __init__(self, bundle: Path, folder: Path, floating: frozenset[str] = frozenset(), **options: Any) -> None:
        types = options.pop("types", TYPES)
        self.bundle = bundle
        self.backend = OnnxEncoder(open_bundle(bundle), QuantizationOptions(**options), types)
        self.backend.calibrate(utterances, lambda text: None)
        self.folder = folder
        folder.mkdir(parents=True)
        self.graphs = self.backend.write(folder, floating)

    def run(self, graph: str, *inputs: np.ndarray) -> list[np.ndarray]:
        """Run a graph that was written."""
        return run(self.folder / self.graphs[graph].file, *inputs)


def run(file: Path, *inputs: np.ndarray) -> list[np.ndarray]:
    """Run an ONNX file."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(
        None, {node.name: x for node, x in zip(session.get_inputs(), inputs, strict=False)}
    )
    return found


@pytest.fixture(scope="module")
def made_of(float_bundle: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Quantize a kind, once."""
    made: dict[str, Made] = {}

    def make(kind: str) -> Made:
        if kind not in made:
            made[kind] = Made(float_bundle(kind, "onnx"), tmp_path_factory.mktemp("int8") / kind)
        return made[kind]

    return make


def products(model: nn.Module) -> dict[str, nn.Module]:
    """What of a model in torch can be quantized: linear layers, and convolutions that mix channels.

    Not the gates of relative positions, whose terms a graph has added up.
    """
    kinds = (nn.Linear, nn.Conv1d)
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, kinds) and not name.endswith(".gru_rel_pos_linear")
        if not (isinstance(module, nn.Conv1d) and module.groups == module.in_channels)
    }


def step(values: torch.Tensor, limits: Any) -> torch.Tensor:
    """Round an activation as 8 bits do."""
    scale, zero = scale_and_zero(limits, TYPES)
    return torch.fake_quantize_per_tensor_affine(values, float(scale), int(zero), 0, 255)


def step_of_frames(values: torch.Tensor, limits: Any, channels: int) -> torch.Tensor:
    """Round an activation as 8 bits do, each frame over its own peak; `channels` is their axis."""
    peaks = values.abs().amax(channels, keepdim=True)
    return step(values / peaks, limits) * peaks


def framed(made: Made) -> set[str]:
    """Layers whose frames have ranges of their own."""
    return {p.name for p in made.backend._products if has_frames(p, made.backend._network)}


@torch.no_grad()
def rounded(model: nn.Module, made: Made) -> nn.Module:
    """Make a model in torch compute with rounded factors."""
    for name, module in products(model).items():
        ranges = made.backend._ranges[name]  # type: ignore[index]
        factors = torch.from_numpy(made.backend._factors.get(name, np.ones(1, np.float32)))  # of equalisation
        if factors.numel() > 1:
            module.weight.mul_(factors)
        scales = module.weight.abs().flatten(1).amax(1).clamp(min=1e-30) / 127
        zeros = torch.zeros(len(scales), dtype=torch.int32)
        module.weight.copy_(torch.fake_quantize_per_channel_affine(module.weight, scales, zeros, 0, -127, 127))
        channels = (-1 if isinstance(module, nn.Linear) else 1) if name in framed(made) else None
        module.register_forward_pre_hook(
            lambda _, args, factors=factors, limits=ranges.source, channels=channels: (
                step(args[0] / factors, limits) if channels is None else step_of_frames(args[0], limits, channels),
            )
        )
        if ranges.output is not None:
            module.register_forward_hook(lambda _, args, result, limits=ranges.output: step(result, limits))
    return model


def reference(checkpoint: Path) -> nn.Module:
    """The model in torch, its weight norm folded."""
    model = AutoModelForCTC.from_pretrained(checkpoint).requires_grad_(False).eval()
    for module in model.modules():
        if nn.utils.parametrize.is_parametrized(module, "weight"):
            nn.utils.parametrize.remove_parametrizations(module, "weight")
    return model


@pytest.mark.parametrize("kind", [*KINDS, *RELATIVES])
def test_layers_are_those_of_the_reference_model(kind: str, made_of: Any, tiny_checkpoint: Any) -> None:
    backend = made_of(kind).backend
    modules = products(reference(tiny_checkpoint(kind)))
    assert {layer.name for layer in backend.layers} == set(modules)
    for layer in backend.layers:
        positional = isinstance(modules[layer.name], nn.Conv1d) and modules[layer.name].groups > 1
        assert (layer.kind == "positional") == positional
        assert (layer.stage == "features") == (".conv_layers." in layer.name)
        assert (layer.stage == "head") == (layer.name == "lm_head")
        assert layer.macs > 0


@pytest.mark.parametrize("kind", KINDS)
def test_graph_computes_what_rounded_factors_give(kind: str, made_of: Any, tiny_checkpoint: Any) -> None:
    made = made_of(kind)
    model, heard = reference(tiny_checkpoint(kind)), audio(4, seed=5)
    exact = [model.logits(torch.from_numpy(values)).numpy() for values in heard]
    rounded(model, made)
    wanted = [model.logits(torch.from_numpy(values)).numpy() for values in heard]
    nearness = [decibels(logits, made.run("single", values)[0]) for logits, values in zip(wanted, heard, strict=True)]
    for near, float_logits, logits in zip(nearness, exact, wanted, strict=True):
        assert near > decibels(float_logits, logits)  # nearer to it than it is to float
    assert max(nearness) > ROUNDED  # where no number fell between two steps


@pytest.mark.parametrize("kind", [*KINDS, *RELATIVES])
def test_padded_batch_is_the_utterances_alone(kind: str, made_of: Any) -> None:
    made = made_of(kind)
    long, short = audio(1, 6000)[0], audio(1, 3100, seed=1)[0]
    padded = np.concatenate([long, np.pad(short, ((0, 0), (0, 2900)))])
    (batch,) = made.run("batch", padded, np.array([6000, 3100]))
    for row, values in zip(batch, (long, short), strict=True):
        (alone,) = made.run("single", values)
        assert decibels(alone[0], row[: alone.shape[1]]) > ROUNDED


@pytest.mark.parametrize("kind", ["wav2vec2-group", "unispeech-stable"])
def test_frames_have_ranges_of_their_own_where_no_norm_comes_before(kind: str, made_of: Any) -> None:
    found = framed(made_of(kind))
    inside = ("attention.out_proj", "feed_forward.output_dense")
    assert {name for name in found if "encoder.layers" in name} == {
        f"wav2vec2.encoder.layers.{index}.{name}".replace("wav2vec2", kind.partition("-")[0])
        for index in range(2)
        for name in inside
    }
    assert not any(name.endswith(("projection", "intermediate_dense", "q_proj")) for name in found)


def test_a_frame_that_is_a_thousand_times_as_loud_costs_the_others_nothing(tmp_path: Path) -> None:
    """A linear layer over 20 frames of noise, of which one is loud: each keeps some 40 dB."""
    generator = np.random.default_rng(0)
    frames = generator.standard_normal((20, 64)).astype(np.float32)
    frames[7] *= 1000.0
    weight = generator.standard_normal((64, 32)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["input_values", "shape"], ["frames"]),
        helper.make_node("MatMul", ["frames", "model.a.weight"], ["result"], name="a"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input_values", onnx.TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("result", onnx.TensorProto.FLOAT, None)],
        [
            onnx.numpy_helper.from_array(values, name)
            for name, values in (("model.a.weight", weight), ("shape", np.array([1, -1, 64])))
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "x.onnx")
    network = Network.read(tmp_path / "x.onnx")
    (product,) = network.products
    writer = GraphWriter()
    forms = StaticForms(writer, network, TYPES, {}, {product.name: LayerRanges(Range(-1.0, 1.0))})
    writer.keep(network.nodes[0])
    forms.write(product, product.output)
    onnx.save(writer.model(network), tmp_path / "int8.onnx")
    exact, found = (run(tmp_path / name, frames.reshape(1, -1))[0][0] for name in ("x.onnx", "int8.onnx"))
    ratios = [decibels(before, after) for before, after in zip(exact, found, strict=True)]
    assert min(ratios) > 35


def test_other_runtimes_graph_has_their_name_and_the_same_layers(made_of: Any) -> None:
    made = made_of("wav2vec2-group")
    assert made.graphs["interchange"].file == "model.int8.onnx"
    assert [path.name for path in made.folder.glob("model?int8.onnx")] == ["model.int8.onnx"]
    (values,) = audio(1, seed=5)
    logprobs, _, logits = run(made.folder / "model.int8.onnx", 0.1 * values + 0.2, np.array([SAMPLES]))
    single = torch.from_numpy(made.run("single", values)[0]).log_softmax(-1).numpy()
    printed = np.arange(5, single.shape[2])  # special tokens lend their probability to the blank
    assert decibels(single[..., printed], logprobs[..., printed]) > ROUNDED - 10
    assert decibels(single, torch.from_numpy(logits).log_softmax(-1).numpy()) > ROUNDED - 10


def test_the_graph_of_the_hub_is_the_runtimes_over_the_same_weights(made_of: Any) -> None:
    made = made_of("wav2vec2-group")
    assert {graph.weights for graph in made.graphs.values()} == {"onnx/model_quantized.onnx_data"}
    hub = made.graphs["hub"]
    assert (hub.file, hub.outputs) == ("onnx/model_quantized.onnx", made.graphs["single"].outputs)
    (values,) = audio(1, seed=5)
    np.testing.assert_array_equal(run(made.folder / hub.file, values)[0], made.run("single", values)[0])
    standard = onnx.load(made.folder / made.graphs["interchange"].file, load_external_data=False)
    assert {node.domain for node in standard.graph.node} == {""}  # for any runtime
    settings = json.loads((made.folder / "config.json").read_text(encoding="utf-8"))["transformers.js_config"]
    assert settings == {"dtype": "q8", "use_external_data_format": True}


@pytest.mark.parametrize("kind", ["wav2vec2-adapters", "hubert-batch-norm"])
def test_onnxruntime_runs_every_layer_in_integers(kind: str, made_of: Any) -> None:
    made = made_of(kind)
    (values,) = audio(1)
    share = made.backend.integer_share(made.folder, values)
    assert share.floating == ()
    assert 0.5 < share.share < 1.0
    assert share.total_macs > share.integer_macs > 0


def test_macs_are_those_of_the_reference_model(made_of: Any, tiny_checkpoint: Any) -> None:
    kind = "wav2vec2-adapters"
    # Of 511 frames behind the second convolution, no block has to be filled up.
    made, model, (values,) = made_of(kind), reference(tiny_checkpoint(kind)), audio(1, 5120)
    counted = dict.fromkeys(products(model), 0)
    for name, module in products(model).items():
        per_number = module.weight[0].numel()
        module.register_forward_hook(
            lambda _, args, result, name=name, each=per_number: counted.update({name: result.numel() * each})
        )
    model.logits(torch.from_numpy(values))
    assert made.backend.integer_share(made.folder, values).integer_macs == sum(counted.values())


def test_layers_named_stay_in_float(float_bundle: Any, tmp_path: Path) -> None:
    bundle = float_bundle("wav2vec2-group", "onnx")
    every = frozenset(layer.name for layer in OnnxEncoder(open_bundle(bundle), QuantizationOptions(), TYPES).layers)
    made = Made(bundle, tmp_path / "none", every)
    (values,) = audio(1)
    assert decibels(run(bundle / "single.onnx", values)[0], made.run("single", values)[0]) > 50  # float16's rounding
    assert made.backend.integer_share(made.folder, values).share == 0

    name = "wav2vec2.encoder.layers.1.feed_forward.output_dense"
    (tmp_path / "one").mkdir()
    made.backend.write(tmp_path / "one", frozenset({name}))
    stored = {x.name: x.data_type for x in onnx.load(tmp_path / "one" / "batch.onnx").graph.initializer}
    assert stored[f"model.{name}.weight_float16"] == onnx.TensorProto.FLOAT16
    others = {f"model.{layer}.weight" for layer in every - {name}}
    assert not others & stored.keys()
    assert all(stored[f"{weight}_int8"] == onnx.TensorProto.INT8 for weight in others)


def test_same_audio_gives_the_same_files(float_bundle: Any, made_of: Any, tmp_path: Path) -> None:
    made = made_of("wav2vec2-group")
    again = Made(float_bundle("wav2vec2-group", "onnx"), tmp_path / "again")
    files, others = (
        sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        for folder in (made.folder, again.folder)
    )
    assert files == others
    for file in files:
        assert (made.folder / file).read_bytes() == (again.folder / file).read_bytes()


def test_noise_of_a_layer_is_that_of_its_rounded_factors(made_of: Any, tiny_checkpoint: Any) -> None:
    kind = "wav2vec2-adapters"
    made = made_of(kind)
    found = made.backend.noise(lambda: iter(audio(1, seed=3)))
    exact, (values,) = reference(tiny_checkpoint(kind)), audio(1, seed=3)
    names = list(products(exact))
    inputs: dict[str, torch.Tensor] = {}
    for name, module in products(exact).items():
        module.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0].clone()}))
    exact.logits(torch.from_numpy(values))
    coarse = products(rounded(reference(tiny_checkpoint(kind)), made))
    assert found.keys() == set(names)
    for name, module in products(exact).items():
        bias = module.bias if isinstance(module, nn.Linear) else None  # which comes after the product
        wanted, rough = (layer(inputs[name]) - (0 if bias is None else bias) for layer in (module, coarse[name]))
        assert found[name] == pytest.approx(decibels(wanted.numpy(), rough.numpy()), abs=0.5), name


@pytest.mark.parametrize("types", [Types("int8", "int8", False, ""), Types("uint8", "int8", True, "")])
def test_number_types_of_other_targets(types: Types, float_bundle: Any, tmp_path: Path) -> None:
    bundle = float_bundle("wav2vec2-group", "onnx")
    made = Made(bundle, tmp_path / "made", types=types)
    (values,) = audio(1, seed=5)
    assert decibels(run(bundle / "single.onnx", values)[0], made.run("single", values)[0]) > 15
    graph = onnx.load(made.folder / "single.onnx").graph
    weights = [onnx.numpy_helper.to_array(x) for x in graph.initializer if x.name.endswith(".weight_int8")]
    assert max(np.abs(weight).max() for weight in weights) == (63 if types.reduce_range else 127)
    assert made.backend.integer_share(made.folder, values).floating == ()


@pytest.mark.parametrize("method", ["minmax", "entropy"])
def test_methods_of_ranges(method: str, float_bundle: Any, tmp_path: Path) -> None:
    bundle = float_bundle("wav2vec2-group", "onnx")
    made = Made(bundle, tmp_path / "made", ranges=method)
    (values,) = audio(1, seed=5)
    assert decibels(run(bundle / "single.onnx", values)[0], made.run("single", values)[0]) > 15


@pytest.mark.parametrize("kind", ["wav2vec2-adapters", "unispeech-stable"])
def test_dynamic_scheme(kind: str, float_bundle: Any, tmp_path: Path) -> None:
    bundle = float_bundle(kind, "onnx")
    made = Made(bundle, tmp_path / "made", scheme="dynamic")
    (values,) = audio(1, seed=5)
    exact, found = run(bundle / "single.onnx", values)[0], made.run("single", values)[0]
    assert 15 < decibels(exact, found) < 60
    assert all(layer.kind != "positional" for layer in made.backend.layers)
    assert made.backend.integer_share(made.folder, values).floating == ()
    alone = made.backend.noise(utterances)
    assert alone.keys() == {layer.name for layer in made.backend.layers}
    assert min(alone.values()) > 10


def test_encoder_of_an_encoder_decoder(float_bundle: Any, tmp_path: Path) -> None:
    bundle = float_bundle("encoder-decoder", "onnx")
    made = Made(bundle, tmp_path / "made")
    assert sorted(made.graphs) == ["cache", "encoder", "encoder_batch"]
    long, short = audio(1, 6000)[0], audio(1, 3100, seed=1)[0]
    exact, found = run(bundle / "encoder.onnx", long), made.run("encoder", long)
    for wanted, got in zip(exact, found, strict=True):
        assert decibels(wanted, got) > 15
    batch = made.run(
        "encoder_batch", np.concatenate([long, np.pad(short, ((0, 0), (0, 2900)))]), np.array([6000, 3100])
    )
    for whole, got in zip(found, batch, strict=True):
        assert decibels(whole[0], got[0]) > ROUNDED
    heads = {layer.name for layer in made.backend.layers if layer.stage == "head"}
    assert heads
    assert all(name.startswith("decoder.") or ".decoder." in name or "enc_to_dec" in name for name in heads)


def test_calibration_without_audio_is_an_error(float_bundle: Any) -> None:
    backend = OnnxEncoder(open_bundle(float_bundle("wav2vec2-group", "onnx")), QuantizationOptions(), TYPES)
    with pytest.raises(QuantizationError, match="no utterance"):
        backend.calibrate(lambda: iter(()), lambda text: None)
    with pytest.raises(QuantizationError, match="before calibration"):
        backend.noise(utterances)
