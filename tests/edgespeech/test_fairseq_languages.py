"""Checkpoints of MMS as fairseq stores them: adapters, heads and vocabularies of all languages in the model's file.

The twin is written by transformers and put under fairseq's names here; the names and the place of the adapters are
those of `AdapterFast` in fairseq's wav2vec2.py, and of its examples/speech_recognition/new/infer.py.
"""

import re
import sys
import types
from pathlib import Path
from typing import Any

import edgespeech_runtime
import pytest
import torch
import transformers
from checkpoints import LANGUAGES, make_multilingual, tokens, waveforms
from edgespeech_export import ExportOptions, export
from safetensors.torch import load_file

import edgespeech
from edgespeech.errors import CheckpointError, MissingFileError

NAMES = (
    (r"^lm_head\.", "w2v_encoder.proj."),
    (r"^wav2vec2\.", "w2v_encoder.w2v_model."),
    (r"conv_layers\.(\d+)\.conv\.", r"conv_layers.\1.0."),
    (r"conv_layers\.(\d+)\.layer_norm\.", r"conv_layers.\1.2.1."),
    (r"feature_projection\.projection\.", "post_extract_proj."),
    (r"feature_projection\.layer_norm\.", "layer_norm."),
    (r"masked_spec_embed", "mask_emb"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original0", "pos_conv.0.weight_g"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original1", "pos_conv.0.weight_v"),
    (r"pos_conv_embed\.conv\.", "pos_conv.0."),
    (r"(layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm."),
    (r"(layers\.\d+)\.attention\.", r"\1.self_attn."),
    (r"feed_forward\.intermediate_dense\.", "fc1."),
    (r"feed_forward\.output_dense\.", "fc2."),
    (r"adapter_layer\.norm\.weight", "adapter_layer.ln_W"),
    (r"adapter_layer\.norm\.bias", "adapter_layer.ln_b"),
    (r"adapter_layer\.linear_1\.weight", "adapter_layer.W_a"),
    (r"adapter_layer\.linear_1\.bias", "adapter_layer.b_a"),
    (r"adapter_layer\.linear_2\.weight", "adapter_layer.W_b"),
    (r"adapter_layer\.linear_2\.bias", "adapter_layer.b_b"),
)


def as_fairseq(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under fairseq's names; those of adapters have an axis in front."""
    table = {}
    for name, tensor in weights.items():
        renamed = name
        for pattern, replacement in NAMES:
            renamed = re.sub(pattern, replacement, renamed)
        table[renamed] = tensor[None] if ".adapter_layer." in name else tensor
    return table


class Held:
    """A class of fairseq's whose objects only hold attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


@pytest.fixture
def dictionary(monkeypatch: pytest.MonkeyPatch) -> type[Held]:
    """`fairseq.data.dictionary.Dictionary`, as far as a pickle knows it."""
    name = "fairseq.data.dictionary"
    module: Any = types.ModuleType(name)
    module.Dictionary = type("Dictionary", (Held,), {"__module__": name})
    monkeypatch.setitem(sys.modules, name, module)
    for parent in ("fairseq", "fairseq.data"):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    kind: type[Held] = module.Dictionary
    return kind


def mms(folder: Path, target: Path, dictionary: type[Held], drop: str = "") -> Path:
    """Write the file of fairseq of a folder with adapters; `drop` leaves out a part of each language."""
    adapters = {}
    for language, size in LANGUAGES.items():
        path = folder / f"adapter.{language}.safetensors"
        weights = load_file(path) if path.exists() else torch.load(folder / f"adapter.{language}.bin")
        symbols = ["<s>", "<pad>", "</s>", "<unk>", *tokens(size)[4:]]
        adapters[language] = {
            "model": as_fairseq(weights),
            "task_state": {"target_dictionary": dictionary(symbols=symbols)},
        }
        if drop:
            adapters[language].pop(drop)
    convolutions = "[(24, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] + [(24, 2, 2)]"
    pre_trained = {"_name": "wav2vec2", "conv_feature_layers": convolutions, "encoder_attention_heads": 4}
    pre_trained |= {"layer_norm_first": True, "extractor_mode": "layer_norm"}
    cfg = {
        "model": {"_name": "wav2vec_ctc", "w2v_args": {"model": pre_trained}},
        "task": {"_name": "audio_finetuning", "labels": "ltr", "normalize": True},
    }
    model = as_fairseq(load_file(folder / "model.safetensors"))
    torch.save({"args": None, "cfg": cfg, "model": model, "adapter": adapters}, target)
    return target


@pytest.mark.parametrize("language", LANGUAGES)
@torch.no_grad()
def test_each_language(tmp_path: Path, dictionary: type[Held], language: str) -> None:
    folder = make_multilingual(tmp_path / "theirs")
    file = mms(folder, tmp_path / "mms1b_all.pt", dictionary)
    theirs = transformers.Wav2Vec2ForCTC.from_pretrained(folder, attn_implementation="eager").eval()
    theirs.load_adapter(language)
    audio, _ = waveforms(4000)
    model = edgespeech.AutoModelForCTC.from_pretrained(file, target_lang=language, ignore_mismatched_sizes=True)
    torch.testing.assert_close(model(audio).logits, theirs(audio).logits, atol=1e-5, rtol=1e-5)
    tokenizer = edgespeech.AutoTokenizer.from_pretrained(file, target_lang=language)
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == tokens(LANGUAGES[language])
    switched = edgespeech.AutoModelForCTC.from_pretrained(file)
    switched.load_adapter(language)
    torch.testing.assert_close(switched(audio).logits, model(audio).logits)


def test_a_bundle_of_one_language(tmp_path: Path, dictionary: type[Held]) -> None:
    file = mms(make_multilingual(tmp_path / "theirs"), tmp_path / "mms.pt", dictionary)
    export(file, tmp_path / "bundle", ExportOptions(engine="numpy", target_lang="fra"))
    with edgespeech_runtime.load(tmp_path / "bundle") as model:
        assert list(model.manifest.vocabulary.tokens) == tokens(LANGUAGES["fra"])


def test_what_is_missing_is_named(tmp_path: Path, dictionary: type[Held]) -> None:
    folder = make_multilingual(tmp_path / "theirs")
    file = mms(folder, tmp_path / "mms.pt", dictionary)
    with pytest.raises(MissingFileError, match=r"no adapter for 'xxx'.*; it holds: deu, eng, fra, zsm-script_latin"):
        edgespeech.AutoModelForCTC.from_pretrained(file, target_lang="xxx")
    for part in ("model", "task_state"):
        file = mms(folder, tmp_path / f"{part}.pt", dictionary, drop=part)
        with pytest.raises(
            CheckpointError, match=r"the language 'eng' must have weights \(model\) and a target_dictionary"
        ):
            edgespeech.AutoModelForCTC.from_pretrained(file)
    torch.save({**torch.load(file, weights_only=False), "adapter": [1]}, tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="must hold its adapters by language, got list"):
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "list.pt")
