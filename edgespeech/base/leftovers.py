"""Weights that published checkpoints hold beside a model's own, known by name and left in the file.

They are of three kinds: tables that are computed today, parameters of older versions that nothing reads, and parts
that only pre-training uses. A name that is none of these stays, and is an error when the weights are loaded.
"""

import re
from collections.abc import Container, Mapping

from torch import Tensor

# `mask_time_emb_vector` is what `masked_spec_embed` was called at first; it stands in facebook/wav2vec2-base-100h.
OBSOLETE = re.compile(r"(.*\.)?(mask_time_emb_vector|position_ids|attn\.(bias|masked_bias)|(en|de)coder\.version)")
# Parts of a pre-training, by the first name behind the family's prefix: codebooks and projections of wav2vec2 and
# UniSpeech, and the targets that HuBERT predicts.
PRE_TRAINING = frozenset(("ctc_proj", "final_proj", "label_embs_concat", "project_hid", "project_q", "quantizer"))


def without_leftovers(weights: Mapping[str, Tensor], own: Container[str], prefix: str) -> dict[str, Tensor]:
    """Return a checkpoint's weights without those that a model does not need, which are known by name.

    `own` are the names of the model's own weights, which always stay; `prefix` is its family's.
    """
    return {name: tensor for name, tensor in weights.items() if name in own or not is_leftover(name, prefix)}


def is_leftover(name: str, prefix: str) -> bool:
    """Whether a weight of that name is needed by no model that does not have it itself."""
    part = name.removeprefix(f"{prefix}.").partition(".")[0]
    return part in PRE_TRAINING or OBSOLETE.fullmatch(name) is not None
