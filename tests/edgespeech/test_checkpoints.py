"""Checkpoint folders: every way that weights may lie in one, and every way in which one may be broken."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import CLASSES, FAMILIES, TINY, Family, enliven, make_checkpoint, waveforms
from safetensors.torch import load_file, save_file

import edgespeech
from edgespeech import AutoModelForCTC, HubertForCTC, Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Model
from edgespeech.errors import CheckpointError, ConfigError, MissingFileError, UnknownModelError, WeightsError

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "checkpoint")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / WEIGHTS)


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Change the weight file of a checkpoint."""
    weights = weights_of(folder)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def configure(folder: Path, **values: Any) -> None:
    """Change the config.json of a checkpoint."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def shard(folder: Path, parts: int = 3) -> None:
    """Split the weight file as the reference library does."""
    weights = weights_of(folder)
    (folder / WEIGHTS).unlink()
    table = {}
    for part in range(parts):
        name = f"model-{part + 1:05d}-of-{parts:05d}.safetensors"
        chosen = {key: weights[key] for key in sorted(weights)[part::parts]}
        table |= dict.fromkeys(chosen, name)
        save_file(chosen, folder / name, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 0}, "weight_map": table}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


def to_pickle(folder: Path) -> None:
    """Replace the weight file by a pickled one."""
    torch.save(weights_of(folder), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def to_sharded_pickle(folder: Path) -> None:
    """Replace the weight file by two pickled ones."""
    weights = weights_of(folder)
    (folder / WEIGHTS).unlink()
    table = {}
    for part in range(2):
        name = f"pytorch_model-{part}.bin"
        chosen = {key: weights[key] for key in sorted(weights)[part::2]}
        table |= dict.fromkeys(chosen, name)
        torch.save(chosen, folder / name)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": table}))


@pytest.mark.parametrize("layout", [shard, to_pickle, to_sharded_pickle])
def test_layouts(folder: Path, layout: Callable[[Path], None]) -> None:
    expected = Wav2Vec2ForCTC.from_pretrained(folder).state_dict()
    layout(folder)
    found = AutoModelForCTC.from_pretrained(folder).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_shards_written_by_transformers(tmp_path: Path) -> None:
    model = transformers.HubertForCTC(transformers.HubertConfig(**TINY)).eval()
    enliven(model)
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    audio, _ = waveforms(4000)
    with torch.no_grad():
        torch.testing.assert_close(HubertForCTC.from_pretrained(tmp_path)(audio).logits, model(audio).logits)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_are_loaded_as_float32(folder: Path, kind: torch.dtype) -> None:
    expected = {name: tensor.to(kind).float() for name, tensor in weights_of(folder).items()}
    rewrite(folder, lambda weights: weights.update({name: value.to(kind) for name, value in weights.items()}))
    configure(folder, dtype=str(kind).removeprefix("torch."), torch_dtype="float16")
    model = Wav2Vec2ForCTC.from_pretrained(folder)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    model.save_pretrained(folder / "again")
    saved = json.loads((folder / "again" / "config.json").read_text())
    assert saved["dtype"] == "float32"
    assert "torch_dtype" not in saved


@pytest.mark.parametrize(
    ("family", "head"),
    [
        *((family, head) for family in FAMILIES for head in ("ForCTC", "ForSequenceClassification")),
        *((family, "ForPreTraining") for family in ("wav2vec2", "unispeech", "unispeech-sat")),
        *((family, head) for family in ("wav2vec2", "wavlm") for head in ("ForXVector", "ForAudioFrameClassification")),
    ],
)
def test_an_encoder_out_of_a_checkpoint_with_a_head(tmp_path: Path, family: Family, head: str) -> None:
    name = CLASSES[family]
    extra = {"codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 4, "classifier_proj_size": 8}
    config = getattr(transformers, name + "Config")(**TINY, **extra, use_weighted_layer_sum=True)
    model = getattr(transformers, name + head)(config).eval()
    model.save_pretrained(tmp_path)
    encoder = getattr(edgespeech, name + "Model").from_pretrained(tmp_path)
    audio, _ = waveforms(4000)
    with torch.no_grad():
        expected = model.base_model(audio).last_hidden_state
        torch.testing.assert_close(encoder(audio).last_hidden_state, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_ctc_model_out_of_an_encoder_lacks_its_head(tmp_path: Path, family: Family) -> None:
    make_checkpoint(tmp_path, family, head="Model")
    with pytest.raises(WeightsError, match=r"weights missing in .*: lm_head\.bias, lm_head\.weight;"):
        getattr(edgespeech, CLASSES[family] + "ForCTC").from_pretrained(tmp_path, require_all_weights=True)


def test_the_masking_vector_may_be_missing(folder: Path) -> None:
    """As in facebook/wav2vec2-base-960h, whose configuration asks for one."""
    rewrite(folder, lambda weights: weights.pop("wav2vec2.masked_spec_embed"))
    drawn = Wav2Vec2ForCTC.from_pretrained(folder).wav2vec2.masked_spec_embed.detach()
    assert 0 <= float(drawn.min()) < float(drawn.max()) <= 1
    assert Wav2Vec2Model.from_pretrained(folder).masked_spec_embed.shape == (32,)


def test_the_masking_vector_may_be_superfluous(folder: Path) -> None:
    model = Wav2Vec2ForCTC.from_pretrained(folder, mask_time_prob=0.0)
    assert not hasattr(model.wav2vec2, "masked_spec_embed")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("options", [{}, {"feat_extract_norm": "layer", "do_stable_layer_norm": True}])
def test_round_trip(tmp_path: Path, family: Family, options: dict[str, Any]) -> None:
    model = AutoModelForCTC.from_pretrained(make_checkpoint(tmp_path / "first", family, **options))
    model.save_pretrained(tmp_path / "deep" / "second")
    again = AutoModelForCTC.from_pretrained(tmp_path / "deep" / "second")
    assert type(again) is type(model)
    assert again.config.to_dict() == model.config.to_dict() | {"dtype": "float32"}
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert {path.name for path in (tmp_path / "deep" / "second").iterdir()} == {"config.json", WEIGHTS}
    again.save_pretrained(tmp_path / "deep" / "second")  # over the files that it came from
    AutoModelForCTC.from_pretrained(tmp_path / "deep" / "second")


def test_loading_leaves_the_random_generator_alone(folder: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = Wav2Vec2ForCTC.from_pretrained(folder)
    assert torch.equal(torch.rand(3), expected)
    assert not model.training
    assert model.name_or_path == folder
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_fresh_weights_are_drawn_like_those_of_transformers() -> None:
    sizes = TINY | {"hidden_size": 256, "conv_dim": [128] * 7, "num_conv_pos_embeddings": 128, "conv_bias": True}
    for family in ("wav2vec2", "unispeech"):  # one rule for all here; HuBERT's projection differs in transformers only
        name = CLASSES[family]
        torch.manual_seed(0)
        ours = getattr(edgespeech, name + "ForCTC")(getattr(edgespeech, name + "Config")(**sizes)).state_dict()
        theirs = getattr(transformers, name + "ForCTC")(getattr(transformers, name + "Config")(**sizes)).state_dict()
        for key, tensor in ours.items():
            if key.endswith("pos_conv_embed.conv.parametrizations.weight.original1"):
                # What the paper's code draws; transformers means to, but its draw is lost in the weight norm.
                assert float(tensor.std()) == pytest.approx(2 * (128 * 256) ** -0.5, rel=0.02)
            elif tensor.numel() >= 1000:
                assert float(tensor.std()) == pytest.approx(float(theirs[key].std()), rel=0.1), key


# What is broken, and what the message must say.


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, lambda weights: weights.pop(name))


def add(name: str) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, lambda weights: weights.update({name: torch.zeros(2)}))


def cut(name: str, keep: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])

    return change


def unlink(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


def after(first: Callable[[Path], None], second: Callable[[Path], Any]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        first(folder)
        second(folder)

    return change


INDEX = f"{WEIGHTS}.index.json"
SHARD = "model-00002-of-00003.safetensors"
BIAS = "wav2vec2.encoder.layers.1.attention.k_proj.bias"
BROKEN: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "missing": (drop(BIAS), WeightsError, f"weights missing in .*: {BIAS}; does config.json"),
    "superfluous": (add("wav2vec2.spare"), WeightsError, "Wav2Vec2ForCTC does not have: wav2vec2.spare; does"),
    "misshapen": (
        after(drop(BIAS), add(BIAS)),
        WeightsError,
        rf"{BIAS} in .* has shape \[2\], the configuration asks for \[32\]",
    ),
    "wider configuration": (lambda path: configure(path, intermediate_size=50), WeightsError, "asks for"),
    "deeper configuration": (lambda path: configure(path, num_hidden_layers=9), WeightsError, "and 107 more"),
    "shallower configuration": (lambda path: configure(path, num_hidden_layers=1), WeightsError, "and 11 more"),
    "truncated": (cut(WEIGHTS, 5000), WeightsError, "not a readable safetensors file"),
    "empty": (cut(WEIGHTS, 0), WeightsError, "not a readable safetensors file"),
    "html": (write(WEIGHTS, b"<!DOCTYPE html>" * 9), WeightsError, "not a readable safetensors file"),
    "no weights": (unlink(WEIGHTS), MissingFileError, "no weights in .*: expected model.safetensors, pytorch_model"),
    "missing shard": (after(shard, unlink(SHARD)), MissingFileError, f"shard {SHARD} named by {INDEX} is missing"),
    "truncated shard": (after(shard, cut(SHARD, 900)), WeightsError, f"{SHARD} is not a readable"),
    "truncated index": (after(shard, cut(INDEX, 100)), CheckpointError, f"{INDEX} is not valid JSON"),
    "index of nothing": (after(shard, write(INDEX, b"{}")), CheckpointError, "must hold a weight_map"),
    "index of numbers": (after(shard, write(INDEX, b'{"weight_map": {"a": 1}}')), CheckpointError, "weight_map"),
    "index out of the folder": (
        after(shard, write(INDEX, b'{"weight_map": {"a": "../model.safetensors"}}')),
        MissingFileError,
        "shard ../model.safetensors named by",
    ),
    "index without a weight": (
        after(shard, write(INDEX, json.dumps({"weight_map": {"a": SHARD}}).encode())),
        WeightsError,
        "lack weights that the index names: a",
    ),
    "truncated pickle": (after(to_pickle, cut("pytorch_model.bin", 3000)), WeightsError, "not a readable weight file"),
    "pickle of a list": (
        after(unlink(WEIGHTS), lambda path: torch.save([1, 2], path / "pytorch_model.bin")),
        WeightsError,
        "must hold a table of tensors",
    ),
    "pickle of numbers": (
        after(unlink(WEIGHTS), lambda path: torch.save({"a": 1}, path / "pytorch_model.bin")),
        WeightsError,
        "must hold a table of tensors",
    ),
    "no config": (unlink("config.json"), MissingFileError, "config.json is missing in"),
    "truncated config": (cut("config.json", 100), CheckpointError, "config.json is not valid JSON"),
    "binary config": (write("config.json", b"\xff\xfe\x00"), CheckpointError, "config.json is not valid JSON"),
    "config of a list": (write("config.json", b"[]"), CheckpointError, "must hold a JSON object, got list"),
    "another family": (
        lambda path: configure(path, model_type="hubert"),
        CheckpointError,
        "model_type 'wav2vec2', got",
    ),
    "text size": (lambda path: configure(path, hidden_size="abc"), ConfigError, "hidden_size must be int, got 'abc'"),
}


@pytest.mark.parametrize(("damage", "error", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_checkpoints(folder: Path, damage: Callable[[Path], Any], error: type[Exception], message: str) -> None:
    damage(folder)
    with pytest.raises(error, match=message) as caught:
        Wav2Vec2ForCTC.from_pretrained(folder)
    assert "\n" not in str(caught.value)


class Malicious:
    """Unpickles by calling a function of the attacker's choice."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("malicious"),)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_runs_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, save: Any) -> None:
    monkeypatch.chdir(folder)
    (folder / WEIGHTS).unlink()
    save({"weight": Malicious()}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="not a readable weight file") as caught:
        Wav2Vec2ForCTC.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "malicious").exists()


@pytest.mark.parametrize("found", ["whisper", None])
def test_an_unknown_model_type(folder: Path, found: str | None) -> None:
    configure(folder, model_type=found)
    with pytest.raises(UnknownModelError, match=f"model_type {found!r}; CTC models are known for: data2vec-audio"):
        AutoModelForCTC.from_pretrained(folder)


def test_a_file_in_place_of_a_folder(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"got the file .*model.safetensors; give the folder"):
        Wav2Vec2ForCTC.from_pretrained(folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="it is a file; give a folder"):
        Wav2Vec2ForCTC.from_pretrained(folder).save_pretrained(folder / WEIGHTS)


def test_overrides_that_are_no_fields(folder: Path) -> None:
    with pytest.raises(ConfigError, match="Wav2Vec2Config has no fast, foo; check the spelling"):
        Wav2Vec2ForCTC.from_pretrained(folder, foo=1, fast=True, hidden_dropout=0.5)
    with pytest.raises(ConfigError, match="got a config and hidden_dropout"):
        Wav2Vec2Model.from_pretrained(folder, config=Wav2Vec2Config(**TINY), hidden_dropout=0.5)
    with pytest.raises(ConfigError, match="Wav2Vec2Model needs a Wav2Vec2Config, got a HubertConfig"):
        Wav2Vec2Model.from_pretrained(folder, config=edgespeech.HubertConfig(**TINY))
    assert Wav2Vec2ForCTC.from_pretrained(folder, hidden_dropout=0.5).config.hidden_dropout == 0.5
    assert Wav2Vec2ForCTC.from_pretrained(folder, config=Wav2Vec2Config(**TINY)).config == Wav2Vec2Config(**TINY)


@pytest.mark.parametrize("existed", [True, False])
def test_a_failed_save_changes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    model = Wav2Vec2ForCTC.from_pretrained(folder)
    target = folder if existed else tmp_path / "new"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(weights: Any, path: Path, **options: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with torch.no_grad():
        model.lm_head.bias.add_(1.0)
    with pytest.raises(OSError, match="no space left"):
        model.save_pretrained(target)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not (tmp_path / "new").exists()
