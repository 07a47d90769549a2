"""Facts of a checkpoint folder, for `inspect`: its configuration, and the names and shapes of its weights."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from edgespeech_runtime.cli.display.output import few, label_row, number, size, table
from safetensors import SafetensorError, safe_open

from edgespeech.checkpoint import read_json, read_weights, weight_files
from edgespeech.checkpoint.folder import refuse_pointer
from edgespeech.class_names import in_order
from edgespeech.configuration import CONFIG, Config
from edgespeech.errors import CheckpointError, ProcessingError, UnknownModelError, WeightsError
from edgespeech.generation_config import GENERATION_CONFIG, GenerationConfig
from edgespeech.models.auto import CLASSIFIER_CLASSES, CTC_CLASSES, FRAME_CLASSIFIER_CLASSES, XVECTOR_CLASSES
from edgespeech.models.encoder_decoder.configuration import AS_DECODER, SpeechEncoderDecoderConfig
from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
from edgespeech.models.encoders.table import ENCODER_CLASSES
from edgespeech.processing import AutoTokenizer

# Fields that say how large a model is, by the names of all families.
SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "conv_dim"),
    *("d_model", "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim"),
    *("n_embd", "n_layer", "n_head", "n_inner"),
    *("max_position_embeddings", "n_positions", "max_target_positions", "vocab_size"),
)
# The classes of each family by what stands behind "For" in their names; CTC models were once called the second.
HEADS: dict[str, Mapping[str, Any]] = {
    **dict.fromkeys(("CTC", "MaskedLM"), CTC_CLASSES),
    "SequenceClassification": CLASSIFIER_CLASSES,
    "AudioFrameClassification": FRAME_CLASSIFIER_CLASSES,
    "XVector": XVECTOR_CLASSES,
}
BARE = ("", "PreTraining")  # behind the name of an encoder whose hidden states are exported
Weights: TypeAlias = dict[str, tuple[int, str]]  # number of values and type, by name


@dataclass(frozen=True)
class ConfigFacts:
    """What a configuration says; `differing` are the options that it sets otherwise than its family's defaults."""

    model_type: str
    sizes: dict[str, Any]
    differing: dict[str, Any]

    def lines(self) -> Iterator[str]:
        """The facts to read."""
        yield from table((name, _plain(value)) for name, value in self.sizes.items())
        yield ""
        yield f"options that differ from {self.model_type}'s defaults"
        yield from table((name, _plain(value)) for name, value in self.differing.items() if name not in SIZES)


@dataclass(frozen=True)
class CheckpointFacts(ConfigFacts):
    """What a checkpoint folder holds; `parameters` by part of the model, `files` in bytes.

    `exports_as` is None where there is no head to export, `labels` are empty but for a classifier, `dimensions` None
    but for a model that embeds.
    `halves` are the encoder's and the decoder's facts, `generation` says how such a model generates by itself; of other
    models, both are empty.
    """

    folder: str
    architectures: list[str]
    exports_as: str | None
    parameters: dict[str, int]
    types: list[str]
    files: dict[str, int]
    vocabulary: int | None
    labels: list[str]
    dimensions: int | None
    languages: list[str]
    adapters: list[str]
    halves: dict[str, ConfigFacts]
    generation: dict[str, Any]

    problem = None  # a checkpoint has no checksums that could fail

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": "checkpoint", **asdict(self)}

    def lines(self) -> Iterator[str]:
        """The facts to read."""
        yield f"{self.folder}: a checkpoint"
        family = [self.model_type, *(f"{half.model_type} {name}" for name, half in self.halves.items())]
        yield from table(
            [
                ("family", ", ".join(family)),
                ("class", ", ".join(self.architectures) or "not said"),
                ("exports as", self.exports_as or "nothing: it has no head that can be exported"),
                self._output_row(),
                *((name, shown) for name in ("languages", "adapters") if (shown := few(getattr(self, name)))),
            ]
        )
        yield ""
        for name, half in self.halves.items():
            yield f"sizes of the {name}"
            yield from half.lines()
            yield ""
        if self.halves:
            yield "generation, where the caller does not say"
            yield from table((name, _plain(value)) for name, value in sorted(self.generation.items()))
        else:
            yield "sizes"
            yield from super().lines()
        yield ""
        yield f"parameters: {_grouped(sum(self.parameters.values()))}, {' and '.join(self.types)}"
        yield from table((name, f"{_grouped(count):>13}") for name, count in self.parameters.items())
        yield ""
        yield "weight files"
        yield from table((name, size(count)) for name, count in self.files.items())

    def _output_row(self) -> tuple[str, str]:
        if self.labels:
            return label_row(self.labels)
        if self.dimensions is not None:
            return "embedding", number(self.dimensions, "dimension")
        return "vocabulary", "none" if self.vocabulary is None else number(self.vocabulary, "token")


def read_checkpoint(folder: Path) -> CheckpointFacts:
    """Read a checkpoint's configuration and the shapes of its weights.

    Raises:
        UnknownModelError: a family that edgespeech does not have.
        CheckpointError: a file that must be there is missing or damaged.
        ConfigError: the configuration contradicts itself.
    """
    data = read_json(folder / CONFIG)
    families = {**dict.fromkeys(sorted(CTC_CLASSES), _encoder), SpeechEncoderDecoderConfig.model_type: _encoder_decoder}
    model_type = data.get("model_type")
    if model_type not in families:
        raise UnknownModelError(f"{folder / CONFIG} has model_type {model_type!r}; known are {', '.join(families)}")
    weights = _weights(folder)
    common: dict[str, Any] = {
        "folder": str(folder),
        "labels": [],
        "dimensions": None,
        "architectures": [str(name) for name in data.get("architectures") or []],
        "types": sorted({dtype for _, dtype in weights.values()}),
        "files": {path.name: path.stat().st_size for path in weight_files(folder)},
        "adapters": sorted({path.name.split(".")[1] for path in folder.glob("adapter.*.*")}),
    }
    return CheckpointFacts(**common | families[model_type](folder, data, weights))


def _encoder(folder: Path, data: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """Of an encoder with a head on it, or without one."""
    model_type = str(data["model_type"])
    family = CTC_CLASSES[model_type]  # any of a family's classes has its configuration and its prefix
    config: Any = family.config_class.from_dict(data)
    name = str((data.get("architectures") or [family.__name__])[0])
    head = name.partition("For")[2]
    kind = (ENCODER_CLASSES if head in BARE else HEADS.get(head, {})).get(model_type)
    vocabulary = _vocabulary(folder)
    nested = bool(vocabulary) and all(isinstance(value, dict) for value in vocabulary.values())
    has_labels = kind is not None and kind in (*CLASSIFIER_CLASSES.values(), *FRAME_CLASSIFIER_CLASSES.values())
    return vars(_config_facts(config)) | {
        "exports_as": None if kind is None else kind.__name__,
        "labels": list(in_order(config.id2label)) if has_labels else [],
        "dimensions": config.xvector_output_dim if kind in XVECTOR_CLASSES.values() else None,
        "parameters": _by_part(weights, family.base_model_prefix),
        "vocabulary": None if nested or not vocabulary else len(vocabulary),
        "languages": sorted(vocabulary) if nested else [],
        "halves": {},
        "generation": {},
    }


def _encoder_decoder(folder: Path, data: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    config = SpeechEncoderDecoderConfig.from_dict(data)
    halves = {name: _config_facts(getattr(config, name)) for name in ("encoder", "decoder")}
    if (folder / GENERATION_CONFIG).is_file():
        generation = GenerationConfig.from_pretrained(folder)
    else:
        generation = GenerationConfig.from_model_config(data)
    try:
        detokenizer = AutoTokenizer.from_pretrained(folder).detokenizer_facts()
    except (CheckpointError, ProcessingError):  # a fact, not an error: the model is told of all the same
        detokenizer = None
    return {
        "model_type": config.model_type,
        "sizes": {},
        "differing": {},
        "exports_as": SpeechEncoderDecoderModel.__name__,
        "parameters": _by_part(weights, ""),
        "vocabulary": None if detokenizer is None else len(detokenizer.tokens),
        "languages": [] if detokenizer is None else sorted(detokenizer.languages),
        "halves": halves,
        "generation": generation.to_dict(),
    }


def _config_facts(config: Config) -> ConfigFacts:
    own = {entry.name: getattr(config, entry.name) for entry in fields(config) if entry.name != "extra"}
    followed = {"output_hidden_size": own["hidden_size"]} if "output_hidden_size" in own else AS_DECODER
    defaults = type(config).from_dict(followed)  # what follows from other fields, or from the place, says nothing
    return ConfigFacts(
        model_type=config.model_type,
        sizes={name: own[name] for name in SIZES if name in own},
        differing={name: value for name, value in own.items() if value != getattr(defaults, name)},
    )


def _weights(folder: Path) -> Weights:
    """All weights of a checkpoint, from the heads of safetensors files; pickles must be read whole."""
    paths = weight_files(folder)
    if paths[0].suffix != ".safetensors":
        return {
            name: (tensor.numel(), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in read_weights(folder).items()
        }
    weights = {}
    for path in paths:
        refuse_pointer(path)
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118  (it is no dict)
                    part = file.get_slice(name)
                    weights[name] = (math.prod(part.get_shape()), str(part.get_dtype()))
        except SafetensorError as error:
            raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch it again") from None
    return weights


def _by_part(weights: Weights, prefix: str) -> dict[str, int]:
    """Parameters by the first name below the family's prefix, largest first; encoder and decoder by the second too."""
    counts: dict[str, int] = {}
    for name, (count, _) in weights.items():
        parts = name.removeprefix(f"{prefix}.").split(".")
        part = ".".join(parts[:2]) if parts[0] in ("encoder", "decoder") else parts[0]
        counts[part] = counts.get(part, 0) + count
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _vocabulary(folder: Path) -> dict[str, Any]:
    path = folder / "vocab.json"
    return read_json(path) if path.is_file() else {}


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _plain(value: Any) -> str:
    """A configuration's value as config.json spells it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
