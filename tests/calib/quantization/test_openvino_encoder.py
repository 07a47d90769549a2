"""INT8 graphs of OpenVINO bundles against the float ones, and the noise of a layer against numpy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.openvino import noise as openvino_noise
from edgespeech_calib.quantization.openvino.encoder import OpenvinoEncoder
from edgespeech_calib.quantization.openvino.forms import Learnt, quantize_weight
from edgespeech_calib.quantization.openvino.network import SETTINGS, read
from edgespeech_calib.quantization.openvino.stack import write_convolutions, write_stack
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_export.writers.openvino import store_constants
from edgespeech_export.writers.weight_store import rounded
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.engines.openvino import openvino
from kinds import KINDS, RELATIVES

op = openvino.opset13
ENGINE = "openvino"  # see `usual`
TYPES = Types("uint8", "int8", False, "")
SAMPLES = 6000
GROUP_NORM = ("wav2vec2-group", "hubert-batch-norm", "unispeech-stable")  # kinds with one in the conv stack
ALIKE = 40.0  # dB: numbers that lie between two steps may be rounded apart where sums are made in another order
CLOSE = 15.0  # dB of INT8 to float; random weights of this size give 20 to 37, a wrong scale or range less than 10


def audio(count: int = 3, samples: int = SAMPLES, seed: int = 0) -> list[np.ndarray]:
    """Noise, normalised, (1, samples) each."""
    values = np.random.default_rng(seed).standard_normal((count, samples))
    return [((x - x.mean()) / x.std()).astype(np.float32)[None] for x in values]


def utterances() -> Iterator[np.ndarray]:
    """What is calibrated on."""
    return iter(audio())


def decibels(signal: np.ndarray, other: np.ndarray) -> float:
    """Ratio of the signal to its difference from another."""
    return float(10 * np.log10(np.square(signal).sum() / max(np.square(signal - other).sum(), 1e-30)))


def run(model: Any, *inputs: np.ndarray) -> np.ndarray:
    """The first output of a model as the runtime computes it."""
    compiled = openvino.Core().compile_model(model, "CPU", SETTINGS)
    return np.array(compiled(list(inputs))[0])


class Made:
    """A backend that was calibrated, and what it wrote."""

    def __init__(self, bundle: Path, folder: Path, floating: frozenset[str] = frozenset(), **options: Any) -> None:
        types = options.pop("types", TYPES)
        self.backend = OpenvinoEncoder(open_bundle(bundle), QuantizationOptions(**options), types)
        self.backend.calibrate(utterances, lambda text: None)
        self.bundle = bundle
        self.write(folder, floating)

    def write(self, folder: Path, floating: frozenset[str]) -> None:
        """Write once more."""
        folder.mkdir(parents=True)
        self.folder, self.graphs = folder, self.backend.write(folder, floating)

    def model(self, graph: str) -> Any:
        """A graph that was written."""
        return read(self.folder / self.graphs[graph].file, self.folder / str(self.graphs[graph].weights))

    def float_model(self, graph: str) -> Any:
        """The graph that it was made from."""
        return read_float(self.bundle, graph)

    def weights(self) -> dict[str, np.ndarray]:
        """Weights of the main graph by the names of their layers."""
        nodes = self.model("single").get_ordered_ops()
        constants = [node for node in nodes if node.get_type_name() == "Constant"]
        names = {layer.name for layer in self.backend.layers}
        stored = {n.friendly_name.removeprefix("model.").removesuffix("_float16"): n for n in constants}
        found = {name.removesuffix(".weight"): node for name, node in stored.items()}
        return {name: np.array(node.data) for name, node in found.items() if name in names}


def read_float(bundle: Path, graph: str) -> Any:
    """A graph of a float bundle."""
    entry = open_bundle(bundle).manifest.graphs[graph]
    return read(bundle / entry.file, bundle / str(entry.weights))


@pytest.fixture(scope="module")
def made(float_bundle: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A kind in INT8, once."""
    known: dict[str, Made] = {}

    def make(kind: str) -> Made:
        if kind not in known:
            known[kind] = Made(float_bundle(kind, "openvino"), tmp_path_factory.mktemp("int8") / kind)
        return known[kind]

    return make


@pytest.mark.parametrize("kind", [*KINDS, *RELATIVES])
def test_int8_is_close_to_float_runs_in_integers_and_is_smaller(kind: str, made: Any) -> None:
    case = made(kind)
    (values,) = audio(1, seed=9)
    expected = run(case.float_model("single"), values)
    found = run(case.model("single"), values)
    assert found.shape == expected.shape
    assert CLOSE < decibels(expected, found) < 100  # more would be float
    share = case.backend.integer_share(case.folder, values)
    assert share.floating == ()
    assert 0.5 < share.share < 1
    sizes = [next(folder.glob("*.bin")).stat().st_size for folder in (case.folder, case.bundle)]
    assert sizes[0] < 0.5 * sizes[1]  # biases and norms weigh more in a tiny model


@pytest.mark.parametrize("kind", [*KINDS, *RELATIVES])
def test_in_a_padded_batch_an_utterance_gives_what_it_gives_alone(kind: str, made: Any) -> None:
    case = made(kind)
    (short,) = audio(1, seed=3)
    (long,) = audio(1, samples=2 * SAMPLES + 100, seed=4)
    batch = np.zeros((2, long.shape[1]), np.float32)
    batch[0, : short.shape[1]], batch[1] = short[0], long[0]
    found = run(case.model("batch"), batch, np.array([short.shape[1], long.shape[1]]))
    for row, values in zip(found, (short, long), strict=True):
        alone = run(case.model("single"), values)[0]
        assert decibels(alone, row[: len(alone)]) > ALIKE


@pytest.mark.parametrize("kind", KINDS)
def test_the_forms_for_integers_compute_the_same_in_float(kind: str, float_bundle: Any) -> None:
    bundle = open_bundle(float_bundle(kind, "openvino"))
    (values,) = audio(1)
    expected = run(read_float(bundle.folder, "single"), values)
    stack, convolutions = read_float(bundle.folder, "single"), read_float(bundle.folder, "single")
    assert write_stack(stack, bundle.manifest.frames) == (kind in GROUP_NORM)
    write_convolutions(convolutions, bundle.manifest.frames)
    for model in (stack, convolutions):
        model.validate_nodes_and_infer_types()
        np.testing.assert_allclose(run(model, values), expected, atol=1e-4)


def test_same_audio_same_bytes(made: Any, tmp_path: Path) -> None:
    case = made("wav2vec2-group")
    again = Made(case.bundle, tmp_path / "again")
    files = sorted(path.name for path in case.folder.iterdir())
    assert files == sorted(path.name for path in again.folder.iterdir())
    for name in files:
        assert (case.folder / name).read_bytes() == (again.folder / name).read_bytes()


def test_layers_that_stay_in_float_are_as_they_were(made: Any, tmp_path: Path) -> None:
    case = made("wav2vec2-group")
    names = frozenset(layer.name for layer in case.backend.layers)
    (values,) = audio(1)
    one = "wav2vec2.encoder.layers.0.attention.q_proj"
    before = case.folder, case.graphs
    try:
        case.write(tmp_path / "all", names)
        expected = case.float_model("single")
        store_constants(expected, rounded)  # what stays in float is stored as float16
        np.testing.assert_allclose(run(case.model("single"), values), run(expected, values), atol=1e-4)
        assert case.backend.integer_share(case.folder, values).integer_macs == 0
        case.write(tmp_path / "one", frozenset({one}))
        assert {name for name, weight in case.weights().items() if weight.dtype.kind == "f"} == {one}
    finally:
        case.folder, case.graphs = before
    assert {weight.dtype.name for weight in case.weights().values()} == {"int8"}


def test_without_vnni_weights_use_seven_bits(float_bundle: Any, tmp_path: Path) -> None:
    case = Made(
        float_bundle("wav2vec2-group", "openvino"), tmp_path / "reduced", types=Types("uint8", "int8", True, "")
    )
    assert {int(np.abs(weight).max()) for weight in case.weights().values()} == {63}


def test_layers_say_their_names_and_work(made: Any) -> None:
    layers = {layer.name: layer for layer in made("wav2vec2-group").backend.layers}
    frames = 99  # of two seconds
    assert layers["lm_head"].macs == frames * 32 * 32
    assert layers["wav2vec2.encoder.layers.1.feed_forward.output_dense"].macs == frames * 48 * 32
    assert layers["wav2vec2.encoder.layers.0.attention.scores"].macs == frames * frames * 32
    assert layers["wav2vec2.encoder.layers.0.attention.mix"].macs == frames * frames * 32
    assert layers["wav2vec2.encoder.pos_conv_embed.conv"].kind == "positional"
    assert layers["wav2vec2.feature_extractor.conv_layers.6.conv"].stage == "features"
    assert "wav2vec2.feature_extractor.conv_layers.0.conv" not in layers
    assert layers["lm_head"].stage == "head"


def test_every_layer_has_its_noise(made: Any) -> None:
    backend = made("wav2vec2-adapters").backend
    noise = backend.noise(lambda: iter(audio(1, seed=5)))
    assert noise.keys() == {layer.name for layer in backend.layers}
    assert all(15 < ratio < 100 for ratio in noise.values())


def test_noise_of_a_layer_is_that_of_its_rounded_factors() -> None:
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((16, 8)).astype(np.float32)
    taken = op.parameter([1, -1], np.float32, name="values")
    constant = op.constant(weight)
    constant.friendly_name = "model.head.weight"
    product = op.matmul(op.reshape(taken, op.constant([1, -1, 8]), special_zero=False), constant, False, True)
    model = openvino.Model([op.result(product)], [taken], "head")
    learnt = Learnt(((-2.0, 2.0),))
    values = np.clip(generator.standard_normal((1, 800)), -2, 2).astype(np.float32)
    found = openvino_noise.noise(model, {"head": learnt}, TYPES, lambda: iter([values]))
    step = 4 / 255
    rounded = (np.rint((values.reshape(-1, 8) + 2) / step) * step - 2).astype(np.float32)
    integers, scales = quantize_weight(weight, (0,), TYPES)
    expected = decibels(values.reshape(-1, 8) @ weight.T, rounded @ (integers * scales).T)
    assert found == {"head": pytest.approx(expected, abs=0.3)}  # zero is moved to the nearest step


def test_the_encoder_of_an_encoder_decoder(float_bundle: Any, tmp_path: Path) -> None:
    bundle = float_bundle("encoder-decoder", "openvino")
    case = Made(bundle, tmp_path / "int8")
    assert case.graphs.keys() == {"encoder", "encoder_batch"}
    (values,) = audio(1, seed=2)
    expected, found = run(case.float_model("encoder"), values), run(case.model("encoder"), values)
    assert decibels(expected, found) > CLOSE
    assert case.backend.integer_share(case.folder, values).floating == ()


def test_nothing_is_printed(float_bundle: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Made(float_bundle("wav2vec2-group", "openvino"), tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "named"),
    [({"ranges": "entropy"}, "minmax"), ({"ranges": "percentile"}, "minmax"), ({"scheme": "dynamic"}, "static")],
)
def test_what_openvino_has_not_is_refused(options: dict[str, Any], named: str, float_bundle: Any) -> None:
    bundle = open_bundle(float_bundle("wav2vec2-group", "openvino"))
    with pytest.raises(QuantizationError, match=named):
        OpenvinoEncoder(bundle, QuantizationOptions(**options), TYPES)


def test_calibration_needs_audio_and_comes_first(float_bundle: Any, tmp_path: Path) -> None:
    backend = OpenvinoEncoder(open_bundle(float_bundle("wav2vec2-group", "openvino")), QuantizationOptions(), TYPES)
    with pytest.raises(QuantizationError, match="before calibration"):
        backend.write(tmp_path, frozenset())
    with pytest.raises(QuantizationError, match="no utterance"):
        backend.calibrate(lambda: iter([]), lambda text: None)
