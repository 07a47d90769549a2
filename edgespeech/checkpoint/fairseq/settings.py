"""What a checkpoint of fairseq says of itself: the options of its model and its task, as plain values.

They were kept as an `argparse.Namespace` (`args`) at first and as a configuration of omegaconf (`cfg`) later; of a
fine-tuned model, those of the pre-trained one below it stand inside, as `w2v_args`.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgespeech.checkpoint.pickled import Record
from edgespeech.errors import CheckpointError, UnknownModelError

# By fairseq's names of models, the family.
MODELS = {"wav2vec2": "wav2vec2", "wav2vec_ctc": "wav2vec2", "hubert": "hubert", "hubert_ctc": "hubert"}
# Modules whose classes hold settings, or values of a training; their objects are read as records.
OWNERS = ("argparse.Namespace", "fairseq.", "omegaconf.", "numpy.", "typing.", "enum.", "pathlib.", "collections.")
PLAIN = ("dict", "list", "tuple", "int", "float", "str", "bool", "object", "frozenset", "bytes")  # types among settings
MISSING = "???"  # omegaconf's word for a value that nobody has set
STRIDES = (5, 2, 2, 2, 2, 2, 2)


def is_setting(name: str) -> bool:
    """Whether a class of that name holds settings or values only."""
    return name.startswith(OWNERS) or name in {
        f"{home}.{kind}" for home in ("builtins", "__builtin__") for kind in PLAIN
    }


@dataclass(frozen=True)
class Settings:
    """The options of the model, with those of the pre-trained model below it, and of the task."""

    model: Mapping[str, Any]
    task: Mapping[str, Any]

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Settings":
        """Collect the options out of what a checkpoint's file holds."""
        whole = plain(state.get("cfg")) or plain(state.get("args")) or {}
        inner = plain(_part(whole, "model").get("w2v_args")) or {}
        model = {**_part(whole, "model"), **_part(inner, "model")}
        for name in ("_name", "arch"):  # which model it is, the outer one says
            if _part(whole, "model").get(name):
                model[name] = _part(whole, "model")[name]
        return cls(model, {**_part(inner, "task"), **_part(whole, "task")})

    def family(self, weights: Mapping[str, Any], path: Path) -> str:
        """Return the family; that of an old file that does not say it is known by its weights.

        Raises:
            UnknownModelError: another model of fairseq.
        """
        name = self.model.get("_name") or self.model.get("arch")
        if name is None:
            return "hubert" if "label_embs_concat" in weights else "wav2vec2"
        if name in MODELS:
            return MODELS[name]
        raise UnknownModelError(f"{path} is a {name} of fairseq; known are: {', '.join(MODELS)}")

    @property
    def labels(self) -> str | None:
        """The name of the labels that a head was trained on, as in `dict.ltr.txt`; HuBERT's task has a list of them."""
        labels = self.task.get("labels")
        labels = labels[0] if isinstance(labels, list) and labels else labels
        return labels if isinstance(labels, str) else None

    def strides(self, layers: int, path: Path) -> list[int]:
        """Return the stride of each convolution, out of an expression such as `[(512, 10, 5)] + [(512, 3, 2)] * 4`.

        Raises:
            CheckpointError: it is another expression, or has another number of layers.
        """
        text = self.model.get("conv_feature_layers")
        strides = list(STRIDES) if text is None else [layer[2] for layer in conv_layers(str(text), path)]
        if len(strides) != layers:
            raise CheckpointError(f"{path} has weights of {layers} convolutions, but conv_feature_layers is {text}")
        return strides


def _part(options: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the options of the model or of the task; a namespace has all of them in one."""
    part = options.get(name)
    return part if isinstance(part, Mapping) else options


def plain(value: Any) -> Any:
    """Return settings as dictionaries, lists and values, whatever classes held them."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if not isinstance(value, Record):
        return None if isinstance(value, str) and value == MISSING else value
    fields = vars(value)
    for name in ("_content", "_val"):  # of omegaconf's containers, and of its nodes
        if name in fields:
            return plain(fields[name])
    own = {name: inner for name, inner in fields.items() if name != "arguments"}
    if own:
        return plain(own)
    return plain(value.arguments[0]) if len(value.arguments) == 1 else None  # an enumeration's member


def conv_layers(text: str, path: Path) -> list[tuple[int, int, int]]:
    """Read channels, kernel and stride of each convolution; only lists, `+` and `*` are understood, nothing is run.

    Raises:
        CheckpointError: another expression.
    """
    try:
        layers = _value(ast.parse(text, mode="eval").body)
        return [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in layers]
    except (SyntaxError, TypeError, ValueError):
        raise CheckpointError(
            f"{path}: conv_feature_layers is {text!r}, expected a list of three numbers each"
        ) from None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Mult) and max(x for x in (left, right) if isinstance(x, int)) > 100:
            raise ValueError("too many layers")
        return left + right if isinstance(node.op, ast.Add) else left * right
    return ast.literal_eval(node)
