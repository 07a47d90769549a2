"""Speech2Text2 against what transformers 4 computed: logits in one call and step by step, losses and gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import speech2text2_goldens as goldens
import torch
from safetensors.torch import load_file
from torch import Tensor

from edgespeech.checkpoint import load_into, read_json
from edgespeech.decoder import TextDecoder
from edgespeech.models.decoders.speech2text2 import Speech2Text2Config, Speech2Text2ForCausalLM

CASES = [pytest.param(case, source, id=f"{case}-{source}") for case in goldens.CASES for source in ("single", "batch")]


def decoder(case: str) -> TextDecoder:
    """The decoder of an encoder-decoder checkpoint that transformers 4 wrote."""
    folder = goldens.checkpoint(case)
    model = Speech2Text2ForCausalLM(Speech2Text2Config.from_dict(read_json(folder / "config.json")["decoder"]))
    load_into(model, model.adopted(halved(folder)), case)
    return model.eval()


def halved(folder: Path) -> dict[str, Tensor]:
    weights = load_file(folder / "model.safetensors")
    return {name.removeprefix("decoder."): tensor for name, tensor in weights.items() if name.startswith("decoder.")}


class Golden:
    """Arrays of a case as tensors; the encoder's states where they are real, for padded ones tell nothing."""

    def __init__(self, case: str, source: str) -> None:
        self.arrays = {name: torch.from_numpy(array) for name, array in goldens.arrays(case).items()}
        self.source = source
        frames = self["frames"]
        self.states = self["states"].nan_to_num()
        self.mask = (torch.arange(self.states.shape[1]) < frames[:, None]).long()

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[f"{self.source}.{name}"]


def close(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_names_and_shapes_are_the_checkpoints() -> None:
    for case in goldens.CASES:
        model = decoder(case)
        stored = {name: tensor.shape for name, tensor in halved(goldens.checkpoint(case)).items()}
        assert {name: tensor.shape for name, tensor in model.stored().items()} == stored
        table = halved(goldens.checkpoint(case))["model.decoder.embed_positions.weights"]
        torch.testing.assert_close(model.get_buffer("model.decoder.embed_positions.weights"), table, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("case", "source"), CASES)
class TestGoldens:
    """Each checkpoint, one recording and three."""

    @torch.no_grad()
    def test_one_call(self, case: str, source: str) -> None:
        golden, model = Golden(case, source), decoder(case)
        for ids, logits in (("ids", "logits"), ("padded_ids", "padded_logits")):
            close(model(golden[ids].long(), None, golden.states, golden.mask).logits, golden[logits])

    @torch.no_grad()
    def test_attention_mask(self, case: str, source: str) -> None:
        golden, model = Golden(case, source), decoder(case)
        ids = golden["padded_ids"].long()
        mask = (ids != model.config.pad_token_id).long()
        mask[:, 0] = 1
        close(model(ids, mask, golden.states, golden.mask).logits, golden["padded_logits_masked"])

    @torch.no_grad()
    def test_steps(self, case: str, source: str) -> None:
        golden, model = Golden(case, source), decoder(case)
        cross = model.cross(golden.states)
        cross_bias = (1 - golden.mask)[:, None, None].float() * -1e4
        for ids, steps in (("ids", "steps"), ("padded_ids", "padded_steps")):
            tokens, cache, found = golden[ids].long(), (), []
            for place in range(tokens.shape[1]):
                bias = torch.zeros(len(tokens), 1, 1, place + 1)
                positions = torch.full((len(tokens), 1), place)
                logits, new = model.step(tokens[:, place : place + 1], positions, bias, cache, cross, cross_bias)
                cache = tuple(
                    tuple(torch.cat(pair, 2) for pair in zip(*columns, strict=True))
                    for columns in (zip(cache, new, strict=True) if cache else ((column,) for column in new))
                )
                found.append(logits)
            close(torch.cat(found, 1), golden[steps])


@pytest.mark.parametrize("case", goldens.CASES)
@torch.no_grad()
def test_sequences_longer_than_the_table(case: str) -> None:
    golden, model = Golden(case, "single"), decoder(case)
    ids = golden["long_ids"].long()
    assert ids.shape[1] > model.max_length
    table = model.state_dict()["model.decoder.embed_positions.weights"].shape
    close(model(ids, None, golden.states, golden.mask).logits, golden["long_logits"])
    assert model.state_dict()["model.decoder.embed_positions.weights"].shape == table


@pytest.mark.parametrize("case", goldens.CASES)
def test_loss_and_gradients(case: str) -> None:
    """The loss is the encoder-decoder's: of the labels shifted right, each position with its own label."""
    golden, model = Golden(case, "batch"), decoder(case)
    labels: Any = golden["labels"].long()
    ids = torch.cat([torch.full_like(labels[:, :1], model.config.decoder_start_token_id), labels[:, :-1]], 1)
    ids = ids.masked_fill(ids == -100, model.config.pad_token_id)
    output = model(ids, None, golden.states, golden.mask, labels)
    close(output.logits.detach(), golden["labels_logits"])
    torch.testing.assert_close(output.loss.detach(), golden["loss"].float(), atol=1e-5, rtol=0)
    output.loss.backward()
    expected = {
        name.removeprefix("decoder."): digest
        for name, digest in goldens.gradients(case).items()
        if name.startswith("decoder.")
    }
    assert expected.keys() == {name for name, tensor in model.named_parameters() if tensor.grad is not None}
    for name, digest in expected.items():
        if name.endswith("k_proj.bias"):  # vanishes
            continue
        found = goldens.digest(model.get_parameter(name).grad.numpy())
        np.testing.assert_allclose(found, digest, rtol=0, atol=1e-4 * np.abs(digest).max(), err_msg=name)
