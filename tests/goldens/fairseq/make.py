"""Make the files beside this one: tiny checkpoints as fairseq stores them, and what fairseq's own models compute.

    pip download --no-deps fairseq==0.12.2 && tar xzf fairseq-0.12.2.tar.gz
    python tests/goldens/fairseq/make.py fairseq-0.12.2

fairseq does not install on current Pythons, so only its model files are imported, unchanged, with torch; the parts
around them (configuration, distribution, registry), which compute nothing here, are stood in for.
"""

import argparse
import dataclasses
import enum
import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

HOME = Path(__file__).parent
CONVOLUTIONS = "[(8, 10, 5)] + [(8, 3, 2)] * 1 + [(8, 2, 2)]"
SIZES = {
    "conv_feature_layers": CONVOLUTIONS,
    "encoder_layers": 2,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 20,
    "encoder_attention_heads": 2,
    "conv_pos": 6,
    "conv_pos_groups": 2,
}
LARGE = {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}
QUANTIZED = {"quantize_targets": True, "final_dim": 12, "latent_vars": 4, "latent_groups": 2, "latent_dim": 0}
LETTERS = ["|", "E", "T", "A", "'", "N"]
PARTS = {  # of fairseq.modules, by file
    "fp32_group_norm": ["Fp32GroupNorm"],
    "layer_norm": ["Fp32LayerNorm", "LayerNorm"],
    "gelu": ["gelu", "gelu_accurate"],
    "grad_multiply": ["GradMultiply"],
    "gumbel_vector_quantizer": ["GumbelVectorQuantizer"],
    "fairseq_dropout": ["FairseqDropout"],
    "multihead_attention": ["MultiheadAttention"],
    "positional_encoding": ["RelPositionalEncoding"],
    "same_pad": ["SamePad"],
    "transpose_last": ["TransposeLast"],
}
AUDIO = np.random.default_rng(0).standard_normal((1, 900)).astype(np.float32)


def stand_in(name: str, **content: Any) -> None:
    """Register a module of that name; as a package it finds the real files below it."""
    module = types.ModuleType(name)
    module.__path__ = [str(Path(sys.argv[1]).joinpath(*name.split(".")))]
    vars(module).update(content)
    sys.modules[name] = module


def import_models() -> tuple[Any, Any]:
    """Return fairseq's modules of wav2vec2 and HuBERT."""
    same = lambda *arguments, **options: lambda thing: thing  # noqa: E731
    choice = lambda names: enum.Enum("Choice", {name: name for name in names})  # noqa: E731
    settings = dataclasses.make_dataclass("FairseqDataclass", [])
    stand_in("fairseq")
    stand_in("omegaconf", II=lambda name: "${" + name + "}", MISSING="???", open_dict=None)
    stand_in("fairseq.dataclass", FairseqDataclass=settings, ChoiceEnum=choice)
    stand_in("fairseq.dataclass.configs", DistributedTrainingConfig=object, FairseqConfig=object)
    sharded = types.SimpleNamespace(FullyShardedDataParallel=nn.Module)
    stand_in("fairseq.distributed", fsdp_wrap=lambda module, **options: module)
    stand_in("fairseq.distributed.fully_sharded_data_parallel", **vars(sharded))
    stand_in("fairseq.data")
    stand_in("fairseq.data.dictionary", Dictionary=list)
    stand_in("fairseq.models", BaseFairseqModel=nn.Module, register_model=same())
    stand_in("fairseq.models.wav2vec")
    stand_in("fairseq.models.hubert")
    stand_in("fairseq.tasks")
    task = dataclasses.make_dataclass(
        "HubertPretrainingConfig", [("label_rate", float, 50.0), ("sample_rate", int, 16000)]
    )
    stand_in("fairseq.tasks.hubert_pretraining", HubertPretrainingConfig=task, HubertPretrainingTask=object)
    sys.modules["fairseq.models"].register_model = lambda *arguments, **options: lambda kind: kind
    stand_in("fairseq.modules")
    stand_in("fairseq.modules.conformer_layer", ConformerWav2Vec2EncoderLayer=object)
    stand_in("fairseq.modules.transformer_sentence_encoder", init_bert_params=lambda module: None)
    for file, names in PARTS.items():
        real = importlib.import_module(f"fairseq.modules.{file}")
        vars(sys.modules["fairseq.modules"]).update({name: getattr(real, name) for name in names})
    wav2vec2 = importlib.import_module("fairseq.models.wav2vec.wav2vec2")
    return wav2vec2, importlib.import_module("fairseq.models.hubert.hubert")


def options_of(kind: type, **values: Any) -> Any:
    """Return a configuration with fairseq's defaults, whose choices are plain texts."""
    fields = {}
    for entry in dataclasses.fields(kind):
        if entry.default is not dataclasses.MISSING:
            fields[entry.name] = entry.default
    return types.SimpleNamespace(**{**fields, **values})


@torch.no_grad()
def lively(model: nn.Module) -> nn.Module:
    """Draw weights that all matter."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim < 2:
            parameter.add_(torch.randn_like(parameter) * 0.2)
        elif parameter.shape[:2] != (1, 1):  # not the lengths of the positional convolution
            parameter.normal_(0.0, parameter[0].numel() ** -0.5)
    return model.eval()


def keep(name: str, state: dict[str, Any], labels: list[str] | None = None, zipped: bool = True, **golden: Any) -> None:
    """Write a checkpoint, its dictionary and its golden."""
    folder = HOME / name
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / f"{name}.pt", _use_new_zipfile_serialization=zipped)
    arrays = {
        key: np.asarray(value.detach() if isinstance(value, torch.Tensor) else value) for key, value in golden.items()
    }
    np.savez_compressed(folder / "golden.npz", audio=AUDIO, **arrays)
    if labels is not None:
        (folder / "dict.ltr.txt").write_text("".join(f"{label} {99 - n}\n" for n, label in enumerate(labels)))
    print(name, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


def fine_tuned(model: nn.Module, name: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Put a CTC head on a model: the weights under their names in fairseq, and the logits (batch, frames, tokens)."""
    torch.manual_seed(1)
    head = nn.Linear(16, 4 + len(LETTERS))
    states = model.extract_features(torch.from_numpy(AUDIO), None)
    logits = head(states["x"] if isinstance(states, dict) else states[0])
    left_out = ("quantizer", "project_q", "final_proj", "label_embs_concat")  # `remove_pretraining_modules`
    weights = {k: v for k, v in model.state_dict().items() if k.split(".")[0] not in left_out}
    table = {f"w2v_encoder.w2v_model.{key}": value for key, value in weights.items()}
    return {**table, "w2v_encoder.proj.weight": head.weight.data, "w2v_encoder.proj.bias": head.bias.data}, logits


def main() -> None:
    """Make all of them."""
    wav2vec2, hubert = import_models()
    audio = torch.from_numpy(AUDIO)

    options = options_of(wav2vec2.Wav2Vec2Config, **SIZES, **QUANTIZED)
    model = lively(wav2vec2.Wav2Vec2Model(options))
    states = model.extract_features(audio, None)["x"]
    args = argparse.Namespace(**vars(options), arch="wav2vec2", normalize=False, sample_rate=16000)
    numbers = {"epoch": np.float64(3.0), "best_loss": np.float32(1.5)}  # as in the iterator's state of a training
    state = {
        "args": args,
        "cfg": None,
        "model": model.state_dict(),
        "extra_state": numbers,
        "last_optimizer_state": None,
    }
    keep("wav2vec_small", state, zipped=False, states=states)

    weights, logits = fine_tuned(model, "wav2vec_ctc")
    outer = argparse.Namespace(arch="wav2vec_ctc", w2v_args=args, labels="ltr", normalize=False, dropout=0.0)
    keep("wav2vec_small_960h", {"args": outer, "model": weights}, LETTERS, zipped=False, logits=logits)

    options = options_of(wav2vec2.Wav2Vec2Config, **SIZES, **QUANTIZED, **LARGE)
    model = lively(wav2vec2.Wav2Vec2Model(options))
    task = {"_name": "audio_pretraining", "normalize": True, "sample_rate": 16000}
    cfg = {"model": {**vars(options), "_name": "wav2vec2"}, "task": task, "common": {"fp16": True}}
    keep(
        "xlsr2_tiny",
        {"args": None, "cfg": cfg, "model": model.state_dict()},
        states=model.extract_features(audio, None)["x"],
    )

    weights, logits = fine_tuned(model, "wav2vec_ctc")
    outer = {"_name": "wav2vec_ctc", "w2v_path": "/checkpoint/xlsr.pt", "w2v_args": cfg, "layerdrop": 0.1}
    both = {"model": outer, "task": {**task, "_name": "audio_finetuning", "labels": "ltr"}}
    keep("xlsr2_tiny_ctc", {"args": None, "cfg": both, "model": weights}, LETTERS, logits=logits)

    names = [["a"] * 5]
    options = options_of(hubert.HubertConfig, **SIZES, final_dim=12, label_rate=50.0)
    task_options = types.SimpleNamespace(label_rate=50.0, sample_rate=16000)
    model = lively(hubert.HubertModel(options, task_options, names))
    cfg = {"model": {**vars(options), "_name": "hubert"}, "task": {"_name": "hubert_pretraining", "normalize": False}}
    keep("hubert_base", {"cfg": cfg, "model": model.state_dict()}, states=model.extract_features(audio, None)[0])

    options = options_of(hubert.HubertConfig, **SIZES, **LARGE, final_dim=12, label_rate=50.0)
    model = lively(hubert.HubertModel(options, task_options, names))
    weights, logits = fine_tuned(model, "hubert_ctc")
    cfg = {"model": {**vars(options), "_name": "hubert"}, "task": {"_name": "hubert_pretraining", "normalize": True}}
    outer = {"_name": "hubert_ctc", "w2v_path": "/checkpoint/hubert.pt", "w2v_args": cfg, "normalize": True}
    both = {"model": outer, "task": {"_name": "audio_finetuning", "labels": "ltr", "normalize": True}}
    keep("hubert_large_ctc", {"cfg": both, "model": weights}, LETTERS, logits=logits)


if __name__ == "__main__":
    main()
