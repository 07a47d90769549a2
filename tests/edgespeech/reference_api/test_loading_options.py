"""Options of `from_pretrained` that say from where, in which type and onto what: done, or refused by name."""

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import TINY, make_checkpoint
from encoder_decoders import make_encoder_decoder

import edgespeech
from edgespeech.base.loading_options import LoadingOptions
from edgespeech.errors import ConfigError, MissingFileError

SMALL: dict[str, Any] = {
    "num_hidden_layers": 1,
    "conv_dim": [16, 12],
    "conv_kernel": [10, 8],
    "conv_stride": [8, 8],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), **SMALL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder_decoder(tmp_path_factory.mktemp("whole"), "bart")


@pytest.mark.parametrize("given", ["float16", "torch.bfloat16", torch.float64])
@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_types(folder: Path, whole: Path, name: str, given: Any) -> None:
    wanted = given if isinstance(given, torch.dtype) else getattr(torch, given.removeprefix("torch."))
    ctc: Any = edgespeech.AutoModelForCTC.from_pretrained(folder, **{name: given})
    both: Any = edgespeech.SpeechEncoderDecoderModel.from_pretrained(whole, **{name: given})
    for model in (ctc, both):
        assert {parameter.dtype for parameter in model.parameters()} == {wanted}


def test_the_checkpoint_s_own_type(folder: Path, tmp_path: Path) -> None:
    assert edgespeech.Wav2Vec2ForCTC.from_pretrained(folder).dtype == torch.float32
    edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, dtype="float16").save_pretrained(tmp_path)
    assert edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path).dtype == torch.float32
    assert edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path, dtype="auto").dtype == torch.float16


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), {"": "cpu"}])
def test_devices(folder: Path, device: Any) -> None:
    assert edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, device_map=device).device.type == "cpu"


def test_a_device_that_holds_no_values(folder: Path) -> None:
    model = edgespeech.Wav2Vec2Model.from_pretrained(folder, device_map="meta")
    assert model.device.type == "meta"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device_map": "auto"}, "device_map must be one device, such as 'cpu' or 'cuda:0', .* got 'auto'"),
        ({"device_map": "balanced"}, "device_map must be one device"),
        ({"device_map": {"encoder": "cpu", "decoder": "cuda:0"}}, "device_map must be one device"),
        ({"dtype": "int8"}, "dtype must be a type of floating-point weights, such as 'float16', or 'auto', got 'int8'"),
        ({"dtype": "half_float"}, "dtype must be a type"),
        ({"attn_implementation": "flash_attention_2"}, "attn_implementation='flash_attention_2' is not possible"),
        ({"attn_implementation": "sdpa"}, "attn_implementation='sdpa' is not possible: 'eager' is what is computed"),
        (
            {"from_flax": True},
            "from_flax=True is not possible: a checkpoint of Flax weights is read without being told",
        ),
        ({"from_tf": True}, "from_tf=True is not possible"),
        ({"trust_remote_code": True}, "trust_remote_code=True is not possible: code that comes with a checkpoint is"),
        ({"weights_only": False}, "weights_only=False is not possible"),
        ({"variant": "fp16"}, "variant='fp16' is not possible"),
        ({"load_in_8bit": True}, "load_in_8bit=True is not possible: export the model with --precision int8"),
        ({"devicemap": "cpu"}, "Wav2Vec2Config has no devicemap; check the spelling"),
    ],
)
def test_refusals(folder: Path, options: dict[str, Any], message: str) -> None:
    for kind in (edgespeech.Wav2Vec2ForCTC, edgespeech.Wav2Vec2Model, edgespeech.AutoModelForCTC):
        with pytest.raises(ConfigError, match=message) as caught:
            kind.from_pretrained(folder, **options)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match="device_map cuda:0 is not there: ") as caught:
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, device_map="cuda:0")
    assert "\n" not in str(caught.value)


def test_a_folder_needs_nothing_of_the_hub(folder: Path, tmp_path: Path) -> None:
    options = {"revision": "main", "token": False, "cache_dir": tmp_path, "local_files_only": True}
    expected = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder).state_dict()
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, **options, attn_implementation="eager")
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert edgespeech.Wav2Vec2Config.from_pretrained(folder, **options) == model.config
    inner = edgespeech.AutoModelForCTC.from_pretrained(folder.parent, subfolder=folder.name)
    assert inner.config == model.config
    with pytest.raises(MissingFileError, match="there is no subfolder 'nope' in"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, subfolder="nope")


def test_weights_of_the_caller(folder: Path) -> None:
    state = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder).state_dict()
    state["lm_head.bias"] = torch.full_like(state["lm_head.bias"], 2.0)
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, state_dict=state)
    assert bool((model.lm_head.bias == 2.0).all())


def test_names_of_arguments(folder: Path) -> None:
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(pretrained_model_name_or_path=folder)
    auto = edgespeech.AutoModelForCTC.from_pretrained(pretrained_model_name_or_path=folder, config=model.config)
    assert auto.config is model.config
    assert edgespeech.Wav2Vec2Config.from_pretrained(pretrained_model_name_or_path=folder) == model.config


def test_what_the_hub_is_asked_for() -> None:
    given = {"revision": "v2", "token": "t", "cache_dir": "c", "force_download": True, "hidden_dropout": 0.0}
    loading, rest = LoadingOptions.parted({**given, "torch_dtype": "float16"})
    assert (loading.hub.revision, loading.hub.token, loading.hub.cache_dir) == ("v2", "t", "c")
    assert (loading.hub.force_download, loading.hub.local_files_only, loading.dtype) == (True, False, "float16")
    assert rest == {"hidden_dropout": 0.0}
    assert TINY["hidden_dropout"] == rest["hidden_dropout"]
