"""A checkpoint's weights under a text decoder's names: prefixes, tied weights, other heads and older names.

Nothing is read from files here, and nothing is copied into the model.
"""

import re
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgespeech.decoder.drawing import draw

if TYPE_CHECKING:
    from edgespeech.decoder.decoder import TextDecoder

# Tables of positions and causal masks that older checkpoints hold, and the versions of fairseq's.
RECOMPUTED = re.compile(
    r"(.*\.)?(position_ids|token_type_ids|(attn|crossattention)\.(bias|masked_bias)|(en|de)coder\.version"
    r"|embed_positions\._float_tensor)"
)
RENAMED = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
# First names of what stands beside the decoder under its prefix, and beside its own head.
BESIDE = frozenset(("pooler", "encoder", "shared"))
HEADS = frozenset(
    (
        *("classification_head", "classifier", "multiple_choice_head"),
        *("qa_outputs", "score", "seq_relationship", "summary"),
    )
)
LOGITS_BIAS = "final_logits_bias"


def adopted(decoder: "TextDecoder", weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a checkpoint's weights under the decoder's names, without those of parts that stand beside a decoder.

    Of tied weights, either name may be missing. Two that differ although the configuration ties them are untied, as the
    reference library does, and so says the configuration from then on. A `final_logits_bias` is taken over where it is
    not zero.
    """
    own = decoder.state_dict()
    weights = {_current(name): tensor for name, tensor in weights.items() if not RECOMPUTED.fullmatch(name)}
    weights = _prefixed(decoder, weights)
    tokens = f"{decoder.names.tokens}.weight"
    shared = weights.get(f"{decoder.base_model_prefix}.shared.weight")
    if shared is not None:
        weights.setdefault(tokens, shared)
    bias = weights.pop(LOGITS_BIAS, None)
    if bias is not None and bool(bias.any()):
        decoder.final_logits_bias = torch.zeros(1, decoder.vocab_size)
        weights[LOGITS_BIAS] = bias
    elsewhere = BESIDE - {name.split(".")[1] for name in own if "." in name}
    weights = {name: tensor for name, tensor in weights.items() if not _elsewhere(decoder, name, elsewhere)}
    parameters = dict(decoder.named_parameters(remove_duplicate=False))
    weights |= {name: tensor for name, tensor in own.items() if name not in parameters and name != LOGITS_BIAS}
    return _tied(decoder, weights)


def completed(decoder: "TextDecoder", weights: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Add fresh weights for the cross-attention and the head, each where the checkpoint has nothing of it.

    Warns:
        UserWarning: names the weights that are fresh.
    """
    own = decoder.state_dict()
    fresh: list[str] = []
    for group in (_cross_attention(decoder), _head(decoder)):
        if not any(name in weights for name in group):
            fresh += group
    if not fresh:
        return weights
    draw(decoder, decoder.architecture)
    warnings.warn(
        f"{source} has no weights for {', '.join(fresh)}: they are fresh, train the model before use", stacklevel=2
    )
    return weights | {name: own[name].clone() for name in fresh}


def _current(name: str) -> str:
    for old, new in RENAMED:
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _prefixed(decoder: "TextDecoder", weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the names of a checkpoint without any head the prefix that they have beside one."""
    prefix = decoder.base_model_prefix + "."
    if any(name.startswith(prefix) for name in weights):
        return weights
    beside = HEADS | {LOGITS_BIAS, decoder.names.head.split(".")[0]}
    return {name if name.split(".")[0] in beside else prefix + name: tensor for name, tensor in weights.items()}


def _elsewhere(decoder: "TextDecoder", name: str, beside: frozenset[str]) -> bool:
    """Whether a weight belongs to another part of the checkpoint: to one `beside` the decoder, or to another head."""
    first, _, rest = name.partition(".")
    if first == decoder.base_model_prefix:
        return rest.split(".")[0] in beside
    return first in HEADS or (first == "cls" and rest.split(".")[0] in HEADS)


def _tied(decoder: "TextDecoder", weights: dict[str, Tensor]) -> dict[str, Tensor]:
    names = decoder.names
    pairs = [(f"{names.tokens}.weight", f"{names.head}.weight")] if decoder.architecture.tied else []
    if names.head_bias is not None:
        pairs.append((names.head_bias, f"{names.head}.bias"))
    for source, target in pairs:
        if source in weights and target in weights and decoder.architecture.tied:
            if not torch.equal(weights[source], weights[target]):
                decoder.untie()
        elif source in weights:
            weights = {**weights, target: weights.get(target, weights[source])}
        elif target in weights:
            weights = {**weights, source: weights[target]}
    return weights


def _cross_attention(decoder: "TextDecoder") -> list[str]:
    if not decoder.architecture.cross:
        return []
    names = decoder.names.layer.cross
    parts = (f".{names.module}.", f".{names.norm}.")
    return [name for name in decoder.state_dict() if any(part in name for part in parts)]


def _head(decoder: "TextDecoder") -> list[str]:
    """Return the names of the head's weights that are not the token table's."""
    names = decoder.names
    table = f"{names.head}.weight" if decoder.architecture.tied else None
    roots = {names.head.rpartition(".")[0] or names.head}  # of a head in several parts, what they stand under
    return [name for name in decoder.state_dict() if name != table and any(name.startswith(f"{r}.") for r in roots)]
