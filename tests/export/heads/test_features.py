"""Feature extractors against transformers' hidden states: each engine, alone and in a padded batch; what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import torch
import transformers
from checkpoints import CLASSES, make_checkpoint
from edgespeech_export import ExportOptions, export
from edgespeech_export.errors import ExportError
from edgespeech_export.sources.reading import read, task_of
from edgespeech_runtime.audio.waveform import normalize
from exported_models import sounds
from kinds import LAYER_NORM, SMALL

from edgespeech.errors import ConfigError, EdgeSpeechError

TOLERANCE = 1e-4
# By name: family, head of the checkpoint, its options, layers to export.
CASES: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "last": ("hubert", "Model", {}, None),
    "adapter": ("wav2vec2", "Model", {"add_adapter": True, "num_adapter_layers": 1, "output_hidden_size": 20}, None),
    "pre-trained": ("wav2vec2", "ForPreTraining", {**LAYER_NORM, "num_hidden_layers": 3}, "all"),
    "below a head": ("wavlm", "ForXVector", {"num_hidden_layers": 2, "num_buckets": 32, "add_adapter": True}, (0, 1)),
    "one of several": ("unispeech-sat", "ForCTC", {"num_hidden_layers": 3}, (2,)),
    "weighted": ("data2vec-audio", "ForSequenceClassification", {"use_weighted_layer_sum": True}, "last"),
}
RUNS = [("last", "onnx"), ("pre-trained", "onnx"), ("below a head", "openvino"), ("one of several", "onnx")]
RUNS += [("weighted", "numpy")]
FURTHER = [("adapter", "numpy"), ("below a head", "numpy"), ("weighted", "openvino")]
CHOSEN = [*RUNS, *(pytest.param(*run, marks=pytest.mark.slow) for run in FURTHER)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`made(name, engine)`: the checkpoint, the encoder in transformers and the bundle, each made once."""
    found: dict[Any, Any] = {}
    folder = tmp_path_factory.mktemp("features")

    def checkpoint(name: str) -> Path:
        family, head, options, _ = CASES[name]
        if name not in found:
            small = {"codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 4, **SMALL}
            found[name] = make_checkpoint(folder / name, family, head=head, **{**small, **options})  # type: ignore[arg-type]
            for path in ("vocab.json", "tokenizer_config.json", "special_tokens_map.json"):
                (found[name] / path).unlink()
        return found[name]  # type: ignore[no-any-return]

    def get(name: str, engine: str) -> tuple[Any, Path]:
        if (name, engine) not in found:
            bundle = folder / f"{name}-{engine}"
            export(checkpoint(name), bundle, ExportOptions(engine=engine, layers=CASES[name][3]))  # type: ignore[arg-type]
            kind = getattr(transformers, CLASSES[CASES[name][0]] + "Model")  # type: ignore[index]
            theirs = kind.from_pretrained(checkpoint(name), attn_implementation="eager").eval()
            found[name, engine] = theirs, bundle
        return found[name, engine]  # type: ignore[no-any-return]

    get.checkpoint = checkpoint  # type: ignore[attr-defined]
    return get


@torch.no_grad()
def expected(theirs: Any, waveform: np.ndarray, layers: Any) -> np.ndarray:
    """The hidden states of one utterance as a bundle gives them."""
    output = theirs(torch.from_numpy(normalize(waveform))[None], output_hidden_states=True)
    if layers in (None, "last"):
        return output.last_hidden_state[0].numpy()  # type: ignore[no-any-return]
    chosen = range(len(output.hidden_states)) if layers == "all" else layers
    found = np.stack([output.hidden_states[layer][0].numpy() for layer in chosen])
    return found if len(found) > 1 else found[0]


@pytest.mark.parametrize(("name", "engine"), CHOSEN)
def test_features_are_the_references_alone_and_in_a_padded_batch(made: Any, name: str, engine: str) -> None:
    theirs, bundle = made(name, engine)
    with edgespeech_runtime.load(bundle, threads=1) as model:
        shortest, hop = model.manifest.audio.shortest, model.manifest.audio.hop
        audio = sounds(shortest, shortest + hop - 1, shortest + hop, 9000, 16000)
        right = [expected(theirs, waveform, CASES[name][3]) for waveform in audio]
        together = model.features(audio, batch_size=len(audio))
        for waveform, states, padded in zip(audio, right, together, strict=True):
            for found in (model.features(waveform), padded):
                assert found.dtype == np.float32
                np.testing.assert_allclose(found, states, atol=TOLERANCE, rtol=0)


FACTS = {  # dimensions, and the layers that the manifest lists
    "last": (32, None),
    "adapter": (20, None),
    "pre-trained": (32, [0, 1, 2, 3]),
    "below a head": (32, [0, 1]),
    "one of several": (32, [2]),
    "weighted": (32, None),
}


@pytest.mark.parametrize(("name", "engine"), CHOSEN)
def test_the_manifest_says_which_layers_they_are(made: Any, name: str, engine: str) -> None:
    _, bundle = made(name, engine)
    manifest = json.loads((bundle / "edgespeech.json").read_text(encoding="utf-8"))
    assert manifest["task"] == "feature-extraction"
    assert manifest["report"]["parity"]["least_cosine"] > 0.9999
    assert (manifest["features"]["dimensions"], manifest["features"]["layers"]) == FACTS[name]


def test_what_stands_above_the_last_layer_is_not_in_the_bundle(made: Any) -> None:
    _, bundle = made("one of several", "onnx")
    content = (bundle / "single.onnx").read_bytes()
    assert b"encoder.layers.1.feed_forward" in content
    assert b"encoder.layers.2." not in content
    assert b"lm_head" not in content


def test_an_encoder_alone_is_exported_for_its_features(made: Any) -> None:
    assert task_of(made.checkpoint("last")) == task_of(made.checkpoint("pre-trained")) == "feature-extraction"
    assert task_of(made.checkpoint("one of several")) == "ctc"
    assert task_of(made.checkpoint("one of several"), "last") == "feature-extraction"
    assert read(made.checkpoint("pre-trained"), None).task == "feature-extraction"


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ((4,), ConfigError, "numbers from 0, the input of the first layer, to 3, the output of the last; got 4"),
        ((0, -1), ConfigError, "got 0, -1"),
        ((1, 1), ConfigError, "got 1, 1"),
        ((), ConfigError, "got none"),
        ("first", ExportError, "layers must be 'last', 'all' or a tuple of numbers, got 'first'"),
        (3, ExportError, "layers must be 'last', 'all' or a tuple of numbers, got 3"),
    ],
)
def test_layers_that_are_not_there(made: Any, tmp_path: Path, layers: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        export(made.checkpoint("pre-trained"), tmp_path / "bundle", ExportOptions(layers=layers))
    assert not [*tmp_path.iterdir()]


def test_what_needs_the_head(made: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is exported as a model for features, leave it out"):
        read(made.checkpoint("last"), "deu")
    folder = Path(shutil.copytree(made.checkpoint("last"), tmp_path / "copy"))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(EdgeSpeechError, match="preprocessor_config"):
        read(folder, None)
