"""Twins of published checkpoints, with their real configuration values, give here what transformers computes."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import waveforms
from published import PUBLISHED, make_twin

import edgespeech


def answer(output: Any) -> torch.Tensor:
    """What a head is for, or the states of an encoder."""
    for name in ("embeddings", "logits", "projected_states", "last_hidden_state"):
        if name in output:
            found: torch.Tensor = output[name]
            return found
    raise AssertionError(f"nothing to compare in {list(output)}")


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_it_computes_what_transformers_computes(tmp_path: Path, name: str) -> None:
    folder = make_twin(tmp_path, name)
    kind = PUBLISHED[name][0]["architectures"][0]
    theirs = getattr(transformers, kind).from_pretrained(folder, attn_implementation="eager").eval()
    mine = getattr(edgespeech, kind).from_pretrained(folder)
    audio, _ = waveforms(7000)
    torch.testing.assert_close(answer(mine(audio)), answer(theirs(audio)), atol=1e-4, rtol=1e-4)
