"""The recipe of docs/architecture.md for a family of text decoders: one file, and a line in the table."""

import importlib
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import torch
from checkpoints import enliven, write_processor
from edgespeech_export import ExportOptions, export
from encoder_decoders import END, PAD, SHORT, START

import edgespeech
from edgespeech.generation_config import GenerationConfig
from edgespeech.models.decoders.table import DECODER_CLASSES

FAMILY = '''
"""Toy: a decoder whose norms follow the sublayers, with parameters named after the rooms of a house."""

from dataclasses import dataclass

from edgespeech.decoder import Alias, Architecture, TextDecoder, TextDecoderConfig
from edgespeech.decoder.names import AttentionNames, DecoderNames, LayerNames


@dataclass(kw_only=True)
class ToyConfig(TextDecoderConfig):
    """Configuration of a toy."""

    model_type = "toy"
    sizes = ("width", "depth", "heads", "steps")
    shared = ("width", "heads")
    activations = ("nonlinearity",)

    hidden_size = Alias("width")
    max_position_embeddings = Alias("steps")
    num_attention_heads = Alias("heads")
    num_hidden_layers = Alias("depth")

    vocab_size: int = 30
    width: int = 32
    depth: int = 2
    heads: int = 4
    steps: int = 40
    nonlinearity: str = "relu"

    @property
    def architecture(self) -> Architecture:
        """See `TextDecoderConfig.architecture`."""
        return Architecture(
            vocab_size=self.vocab_size,
            size=self.width,
            layers=self.depth,
            heads=self.heads,
            inner=2 * self.width,
            max_positions=self.steps,
            activation=self.nonlinearity,
            cross=self.add_cross_attention,
            deviation=0.05,
            tied=self.tie_word_embeddings,
        )


class ToyForCausalLM(TextDecoder):
    """A toy with its head."""

    config_class = ToyConfig
    base_model_prefix = "house"
    shifts_labels = False
    names = DecoderNames(
        tokens="house.hall.words",
        positions="house.hall.times",
        layers="house.floors",
        layer=LayerNames(
            attention=AttentionNames("own", (("q", "q"), ("k", "k"), ("v", "v")), out="o", norm="own_norm"),
            cross=AttentionNames("other", (("q", "q"), ("kv", "kv")), out="o", norm="other_norm"),
            feed_in="up",
            activation="bend",
            feed_out="down",
            feed_norm="down_norm",
        ),
        head="roof",
    )
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, imported from a package of its own and entered into the table."""
    package = tmp_path / "toy_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "toy.py").write_text(FAMILY)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("toy_package.toy")
    monkeypatch.setitem(DECODER_CLASSES, "toy", module.ToyForCausalLM)
    return module


@pytest.fixture
def checkpoint(toy: Any, tmp_path: Path) -> Path:
    """A speech encoder-decoder with a toy for its decoder."""
    torch.manual_seed(0)
    encoder = edgespeech.Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, **SHORT,
    )  # fmt: skip
    decoder = toy.ToyConfig(is_decoder=True, add_cross_attention=True)
    model = edgespeech.SpeechEncoderDecoderModel(
        encoder=edgespeech.Wav2Vec2Model(encoder), decoder=toy.ToyForCausalLM(decoder)
    )
    enliven(model)
    ids = {"decoder_start_token_id": START, "eos_token_id": END, "pad_token_id": PAD}
    for name, value in ids.items():
        setattr(model.config, name, value)
    model.generation_config = GenerationConfig(**ids, max_length=20)
    folder = tmp_path / "checkpoint"
    model.eval().save_pretrained(folder)
    write_processor(folder, decoder.vocab_size, False)
    return folder


def test_a_family_by_the_recipe_is_trained_stored_exported_and_run(checkpoint: Path, tmp_path: Path) -> None:
    model = edgespeech.SpeechEncoderDecoderModel.from_pretrained(checkpoint).eval()
    names = {name for name, _ in model.named_parameters()}
    assert {"decoder.house.hall.words.weight", "decoder.house.floors.1.other.kv.weight"} <= names
    audio = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    values = torch.from_numpy(audio)[None]

    loss = model(values, labels=torch.tensor([[5, 7, END]])).loss
    loss.backward()
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if "floors" in name)

    export(checkpoint, tmp_path / "bundle", ExportOptions(engine="onnx"))
    with edgespeech_runtime.load(tmp_path / "bundle", threads=1) as runtime:
        assert isinstance(runtime, edgespeech_runtime.EncoderDecoderModel)
        for beams in (1, 3):
            expected = model.generate(values, max_new_tokens=12, num_beams=beams)[0].tolist()
            assert runtime.generate(audio, max_new_tokens=12, num_beams=beams) == expected
