"""Speech encoder-decoders for the tests of their bundles: checkpoints, models in torch and bundles of each engine.

pair = Pairs(folder).pair("bart", "onnx")
pair.runtime.generate(audio) == [row.tolist() for row in pair.ours.generate(...)]

What differs between encoders and decoders is here at least once: norms, adapters, activations, a projection or none,
start tokens, vocabularies of several kinds.
"""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import speech2text2_goldens
import text_vocabularies
import torch
import transformers
from decoders import REFERENCED
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.audio.waveform import normalize
from encoder_decoders import LAYER_NORM, make_encoder_decoder
from sharing import once

from edgespeech import SpeechEncoderDecoderModel

ENGINES = ("onnx", "openvino", "numpy")
END = 2  # of all these models
RATE = 16000  # Hz
CALLED_LONG = 480  # positions of the decoder that generates long sequences

# By the decoder's family: encoder's family, its options, those of the decoder, of both, and a vocabulary.
MADE: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str | None]] = {
    "bert": (  # group norm, the published convolutions of 320 samples a frame; sizes alike
        "wav2vec2",
        {
            "conv_dim": [24, 16, 16, 16, 16, 16, 24],
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
            "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        },
        {"tie_word_embeddings": False},
        {},
        "bert",
    ),
    "gpt2": (  # post-norm, a projection, a start token that is not the beginning's
        "hubert",
        {"conv_pos_batch_norm": True, "feat_proj_layer_norm": False, "num_hidden_layers": 1, "hidden_act": "gelu_new"},
        {"n_embd": 24, "n_positions": CALLED_LONG, "scale_attn_by_inverse_layer_idx": True},
        {"decoder_start_token_id": 7},
        None,
    ),
    "bart": (  # layer norm, an adapter to fewer channels, which are the decoder's
        "wav2vec2",
        {**LAYER_NORM, "num_hidden_layers": 1, "add_adapter": True, "output_hidden_size": 24, "num_adapter_layers": 1},
        {"d_model": 24, "scale_embedding": True, "decoder_layers": 3, "encoder_layers": 3},
        {},
        None,
    ),
    "mbart": (  # pre-norm, the languages' tokens
        "unispeech",
        {**LAYER_NORM, "num_hidden_layers": 1, "hidden_act": "relu"},
        {"pad_token_id": 1, "bos_token_id": 0, "activation_function": "relu"},
        {"pad_token_id": 1, "decoder_start_token_id": 2},
        "mbart50",
    ),
}
SEEDS = {"bert": 4, "gpt2": 5, "bart": 3, "mbart": 7}  # weights with which sequences end at different places
GOLDEN = {f"speech2text2-{case}": case for case in speech2text2_goldens.CASES}


@dataclass(frozen=True)
class Pair:
    """A checkpoint, its model here and in transformers (None: transformers has none), and its bundle, loaded."""

    checkpoint: Path
    ours: Any
    theirs: Any
    bundle: Path
    runtime: Any

    @property
    def vocabulary(self) -> int:
        """Tokens of the decoder."""
        return int(self.ours.decoder.vocab_size)

    def values(self, waveform: np.ndarray) -> torch.Tensor:
        """What the models in torch are given for one waveform, (1, samples)."""
        is_normalized = self.runtime.manifest.audio.normalize
        return torch.from_numpy(normalize(waveform) if is_normalized else waveform)[None]

    def expected(self, waveform: np.ndarray, **options: Any) -> list[list[int]]:
        """The rows that transformers generates for one utterance, without what it puts behind the end."""
        rows = reference_rows(self.theirs, self.values(waveform), **options)
        return [without_padding(row, options.get("eos_token_id", END)) for row in rows]


class Pairs:
    """Makes each pair once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checkpoints: dict[str, Path] = {}
        self._models: dict[str, tuple[Any, Any]] = {}
        self._pairs: dict[tuple[str, ...], Pair] = {}

    def checkpoint(self, name: str) -> Path:
        """Write the checkpoint of a family ("bart"), or copy a golden one ("speech2text2-plain")."""
        if name not in self._checkpoints:
            make = copy_golden if name in GOLDEN else make_checkpoint
            self._checkpoints[name] = once(self._folder / name, lambda folder: make(folder, name))
        return self._checkpoints[name]

    def models(self, name: str) -> tuple[Any, Any]:
        """The model here and in transformers."""
        if name not in self._models:
            folder, theirs = self.checkpoint(name), None
            if name in REFERENCED:
                theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager")
                theirs.eval()
            self._models[name] = SpeechEncoderDecoderModel.from_pretrained(folder), theirs
        return self._models[name]

    def pair(self, name: str, engine: str, precision: str = "float32") -> Pair:
        """Export, load, and load the models."""
        key = (name, engine, precision)
        if key not in self._pairs:
            checkpoint = self.checkpoint(name)
            options = ExportOptions(engine=engine, precision=precision)  # type: ignore[arg-type]
            bundle = once(self._folder / "-".join(key), lambda folder: export(checkpoint, folder, options))
            runtime = edgespeech_runtime.load(bundle, threads=1)
            self._pairs[key] = Pair(checkpoint, *self.models(name), bundle, runtime)
        return self._pairs[key]

    def close(self) -> None:
        """Let go of all bundles."""
        for pair in self._pairs.values():
            pair.runtime.close()


def make_checkpoint(folder: Path, family: str) -> Path:
    """Write a checkpoint of MADE and return its folder."""
    encoder_family, encoder, decoder, both, vocabulary = MADE[family]
    size = {}
    if vocabulary is not None:
        folder.mkdir(parents=True)
        text_vocabularies.write_checkpoint(folder, vocabulary)
        kept = {path.name: path.read_bytes() for path in folder.iterdir()}
        size = {"vocab_size": len(transformers.AutoTokenizer.from_pretrained(folder))}
    make_encoder_decoder(
        folder,
        family,  # type: ignore[arg-type]
        encoder_family,  # type: ignore[arg-type]
        seed=SEEDS[family],
        encoder=encoder,
        decoder={**decoder, **size},
        **both,
    )
    if vocabulary is not None:
        for name in ("vocab.json", "special_tokens_map.json", "tokenizer_config.json"):
            (folder / name).unlink()
        for name, content in kept.items():
            (folder / name).write_bytes(content)
    return folder


def copy_golden(folder: Path, name: str) -> Path:
    """Copy a checkpoint of the goldens, whose audio goes into the model as it is."""
    shutil.copytree(speech2text2_goldens.checkpoint(GOLDEN[name]), folder)
    extractor = folder / "preprocessor_config.json"
    extractor.write_text(extractor.read_text("utf-8").replace('"do_normalize": true', '"do_normalize": false'), "utf-8")
    return folder


def sounds(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    """Tones in noise of these lengths, of different pitch, loudness and offset, so that what is heard differs."""
    generator = np.random.default_rng([seed, 77])

    def sound(index: int, samples: int) -> np.ndarray:
        pitch, shape = generator.uniform(40, 3000), generator.uniform(1, 4)  # Hz
        tone = np.sin(2 * np.pi * pitch * np.arange(samples) / RATE) ** int(shape)
        noise = generator.uniform(0.05, 0.5) * generator.standard_normal(samples)
        return ((0.1 + 0.1 * (index % 5)) * (tone + noise) + 0.02 * index).astype(np.float32)

    return [sound(index, samples) for index, samples in enumerate(lengths)]


@torch.no_grad()
def reference_rows(theirs: Any, values: torch.Tensor, **options: Any) -> list[list[int]]:
    """What transformers generates for (batch, samples)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of harmless combinations
        found: list[list[int]] = theirs.generate(values, **options).tolist()
    return found


def without_padding(row: list[int], ends: int | list[int]) -> list[int]:
    """A row up to its first end token, which the start token is not."""
    known = [ends] if isinstance(ends, int) else ends
    end = next((index for index, token in enumerate(row[1:], 2) if token in known), len(row))
    return row[:end]
