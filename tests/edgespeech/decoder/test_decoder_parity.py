"""The decoder gives what transformers gives: names, logits with and without cache, losses and gradients."""

from typing import Any

import pytest
import torch
from decoders import (
    FAMILIES,
    OPTIONS,
    POSITIONS,
    REFERENCED,
    VOCABULARY,
    Family,
    encoder_states,
    make_decoder,
    make_pair,
    token_ids,
)
from torch import Tensor, nn

from edgespeech.decoder import Cache, TextDecoder

VARIANTS = [
    pytest.param(family, options, id=f"{family}-{index}")
    for family in REFERENCED
    for index, options in enumerate(OPTIONS[family])
]
HIDDEN = -1e4
BATCH, LENGTH, FRAMES = 3, 9, 11


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    states, mask = encoder_states(FRAMES, 5, 1)
    return token_ids(BATCH, LENGTH), states, mask


def bias_of(seen: Tensor) -> Tensor:
    """Boolean (batch, new, slots + new) -> the bias that `step` takes."""
    return (~seen).float()[:, None] * HIDDEN


def joined(cache: Cache, new: Cache) -> Cache:
    return tuple(
        (torch.cat([key, more_keys], 2), torch.cat([value, more_values], 2))
        for (key, value), (more_keys, more_values) in zip(cache, new, strict=True)
    )


def stepped(model: TextDecoder, ids: Tensor, cuts: list[int], cross: Cache, cross_bias: Tensor | None) -> Tensor:
    """Logits of whole sequences, computed in pieces that end at `cuts`."""
    cache = empty(model, len(ids))
    found, start = [], 0
    for end in cuts:
        new = end - start
        seen = torch.ones(len(ids), new, end).tril(start).bool()
        positions = torch.arange(start, end).expand(len(ids), -1)
        logits, columns = model.step(ids[:, start:end], positions, bias_of(seen), cache, cross, cross_bias)
        assert columns[0][0].shape == (len(ids), model.geometry.heads, new, model.geometry.head_dim)
        cache, start = joined(cache, columns), end
        found.append(logits)
    return torch.cat(found, 1)


def empty(model: TextDecoder, batch: int) -> Cache:
    layers, heads, size = model.geometry
    return ((torch.zeros(batch, heads, 0, size),) * 2,) * layers


@pytest.mark.parametrize(("family", "options"), VARIANTS)
class TestAgainstTransformers:
    """Each option combination of each family."""

    def test_names_and_shapes(self, family: Family, options: dict[str, Any]) -> None:
        theirs, mine = make_pair(family, **options)
        assert shapes(mine) == shapes(theirs)
        for parameters in ("named_parameters", "named_buffers"):
            expected = {name: tensor.shape for name, tensor in getattr(theirs, parameters)()}
            if parameters == "named_parameters":
                assert {name: tensor.shape for name, tensor in getattr(mine, parameters)()} == expected

    def test_whole_sequences(self, family: Family, options: dict[str, Any]) -> None:
        theirs, mine = make_pair(family, **options)
        ids, states, frames = inputs()
        masks = torch.ones(BATCH, LENGTH).long()
        masks[0, :2] = 0  # padded on the left, and on the right
        masks[1, 6:] = 0
        for mask, frame_mask in ((None, None), (masks, frames), (None, frames)):
            with torch.no_grad():
                expected = theirs(
                    ids,
                    attention_mask=mask,
                    encoder_hidden_states=states,
                    encoder_attention_mask=frame_mask,
                    output_hidden_states=True,
                    output_attentions=True,
                )
                found = mine(ids, mask, states, frame_mask, output_hidden_states=True, output_attentions=True)
            assert expected.logits.std() > 0.1
            torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)
            for name in ("hidden_states", "attentions", "cross_attentions"):
                for one, other in zip(found[name], expected[name], strict=True):
                    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)

    def test_every_step_with_a_cache(self, family: Family, options: dict[str, Any]) -> None:
        theirs, mine = make_pair(family, **options)
        ids, states, frames = inputs()
        past, expected = None, []
        with torch.no_grad():
            for start, end in ((0, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9)):
                output = theirs(
                    ids[:, start:end],
                    encoder_hidden_states=states,
                    encoder_attention_mask=frames,
                    past_key_values=past,
                    use_cache=True,
                )
                past = output.past_key_values
                expected.append(output.logits)
            cross, cross_bias = mine.cross(states), bias_of(frames[:, None].bool())
            for cuts in ([4, 5, 6, 7, 8, 9], list(range(1, 10)), [9], [2, 6, 9]):
                found = stepped(mine, ids, cuts, cross, cross_bias)
                torch.testing.assert_close(found, torch.cat(expected, 1), atol=1e-5, rtol=1e-5)

    def test_without_encoder_states(self, family: Family, options: dict[str, Any]) -> None:
        theirs, mine = make_pair(family, **options)
        ids, _, _ = inputs()
        with torch.no_grad():
            expected = theirs(ids).logits
            torch.testing.assert_close(mine(ids).logits, expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(stepped(mine, ids, [3, 9], (), None), expected, atol=1e-5, rtol=1e-5)

    def test_loss_and_gradients(self, family: Family, options: dict[str, Any]) -> None:
        theirs, mine = make_pair(family, **options)
        ids, states, frames = inputs()
        labels = token_ids(BATCH, LENGTH, seed=1)
        labels[1, 5:] = -100
        mask = torch.ones(BATCH, LENGTH).long()
        mask[1, 5:] = 0
        one, other = states.clone().requires_grad_(), states.clone().requires_grad_()
        expected = theirs(
            ids, attention_mask=mask, encoder_hidden_states=one, encoder_attention_mask=frames, labels=labels
        )
        found = mine(ids, mask, other, frames, labels)
        torch.testing.assert_close(found.loss, expected.loss, atol=1e-5, rtol=0)
        expected.loss.backward()
        found.loss.backward()
        mine_by_name = dict(mine.named_parameters())
        for name, parameter in [*theirs.named_parameters(), ("states", one)]:
            gradient = other.grad if name == "states" else mine_by_name[name].grad
            if parameter.grad is None:  # BERT's bias where it is not tied to the head's
                assert gradient is None
                continue
            scale = max(float(parameter.grad.abs().max()), 1e-3)
            torch.testing.assert_close(gradient, parameter.grad, atol=1e-4 * scale, rtol=1e-4, msg=name)


DROPOUTS: dict[Family, dict[str, float]] = {
    "bert": {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.2},
    "gpt2": {"resid_pdrop": 0.3, "embd_pdrop": 0.1, "attn_pdrop": 0.2},
    "bart": {"dropout": 0.3, "attention_dropout": 0.2, "activation_dropout": 0.1, "decoder_layerdrop": 0.3},
    "mbart": {"dropout": 0.3, "attention_dropout": 0.2, "activation_dropout": 0.1, "decoder_layerdrop": 0.3},
}


@pytest.mark.parametrize("family", REFERENCED)
def test_dropout_draws_in_the_same_places(family: Family) -> None:
    """From the same seed, the same elements and layers are dropped."""
    theirs, mine = make_pair(family, **DROPOUTS[family])
    ids, states, frames = inputs()
    found = set()
    for seed in range(4):
        torch.manual_seed(seed)
        expected = theirs.train()(ids, encoder_hidden_states=states, encoder_attention_mask=frames, use_cache=False)
        torch.manual_seed(seed)
        logits = mine.train()(ids, None, states, frames).logits
        torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
        found.add(float(logits.detach().sum()))
    assert len(found) == 4


@pytest.mark.parametrize("family", FAMILIES)
class TestStep:
    """What holds for every family, Speech2Text2 too."""

    def test_beams_as_positions_equal_rows(self, family: Family) -> None:
        """Three hypotheses in one sequence, told apart by the bias alone, are what they are in rows of their own."""
        model = make_decoder(family)
        states, _ = encoder_states(FRAMES)
        cross = model.cross(states)
        prompt = token_ids(1, 2, seed=3) % (VOCABULARY - 10) + 8  # no padding
        beams = torch.tensor([[11, 12, 13], [14, 15, 16], [17, 18, 19]])  # (step, beam)
        parents = torch.tensor([[0, 0, 0], [2, 0, 0], [1, 1, 2]])
        rows, columns = prompt.expand(3, -1), torch.tensor([[0, 1]]).expand(3, -1)
        with torch.no_grad():
            seen = torch.ones(1, 2, 2).tril().bool()
            _, cache = model.step(prompt, torch.tensor([[0, 1]]), bias_of(seen), empty(model, 1), cross)
            for step, (tokens, of) in enumerate(zip(beams, parents, strict=True)):
                rows = torch.cat([rows[of], tokens[:, None]], 1)
                slots = cache[0][0].shape[2]
                columns = torch.cat([columns[of], slots + torch.arange(3)[:, None]], 1)
                seen = torch.zeros(1, 3, slots + 3, dtype=torch.bool)
                seen[0].scatter_(1, columns, True)
                positions = torch.full((1, 3), 2 + step)
                logits, new = model.step(tokens[None], positions, bias_of(seen), cache, cross)
                cache = joined(cache, new)
                expected = model(rows, None, states.expand(3, -1, -1)).logits[:, -1]
                torch.testing.assert_close(logits[0], expected, atol=1e-5, rtol=1e-5)

    def test_hidden_slots_and_frames_do_not_count(self, family: Family) -> None:
        """Cache and cross cache may hold anything where the biases hide them, and the result is the same to the bit."""
        model = make_decoder(family)
        states, _ = encoder_states(FRAMES)
        layers, heads, size = model.geometry
        with torch.no_grad():
            cross = model.cross(states)
            frames = torch.arange(FRAMES + 6)[None, None] < FRAMES
            ids, positions = token_ids(1, 3, seed=2), torch.tensor([[0, 1, 2]])
            seen = torch.cat([torch.zeros(1, 3, 4), torch.ones(1, 3, 3).tril()], 2).bool()
            found = []
            for seed in range(2):
                torch.manual_seed(seed)
                noise = [torch.randn(layers, 1, heads, length, size) * 30 for length in (4, 4, 6, 6)]
                cache = tuple((noise[0][index], noise[1][index]) for index in range(layers))
                longer = joined(cross, tuple((noise[2][index], noise[3][index]) for index in range(layers)))
                found.append(model.step(ids, positions, bias_of(seen), cache, longer, bias_of(frames))[0])
            alone = model(ids, None, states).logits
        assert torch.equal(found[0], found[1])
        torch.testing.assert_close(found[0], alone, atol=1e-5, rtol=1e-5)

    def test_no_cache_is_an_empty_one(self, family: Family) -> None:
        model = make_decoder(family)
        cross = model.cross(encoder_states(FRAMES)[0])
        ids, positions = token_ids(1, 3), torch.tensor([[0, 1, 2]])
        bias = bias_of(torch.ones(1, 3, 3).tril().bool())
        with torch.no_grad():
            logits, _ = model.step(ids, positions, bias, empty(model, 1), cross)
            torch.testing.assert_close(model.step(ids, positions, bias, (), cross)[0], logits)

    def test_geometry(self, family: Family) -> None:
        model = make_decoder(family)
        assert model.geometry == (2, 4, 8)
        assert (model.hidden_size, model.vocab_size, model.max_length) == (32, VOCABULARY, POSITIONS)


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_stays_finite(family: Family) -> None:
    model = make_decoder(family).to(torch.bfloat16)
    states, frames = encoder_states(FRAMES, 5, 1)
    mask = torch.ones(3, 6).long()
    mask[0, :2] = 0
    logits = model(token_ids(3, 6), mask, states.to(torch.bfloat16), frames).logits
    assert logits.dtype == torch.bfloat16
    assert logits.isfinite().all()


def test_upcast_scores_under_mixed_precision() -> None:
    """With `reorder_and_upcast_attn`, GPT-2's attention weights are float32's under autocast, as in transformers."""
    theirs, mine = make_pair("gpt2", reorder_and_upcast_attn=True)
    states, frames = encoder_states(FRAMES, 5, 1)
    ids = token_ids(3, 6)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = theirs(ids, encoder_hidden_states=states, encoder_attention_mask=frames).logits
        found = mine(ids, None, states, frames).logits
    torch.testing.assert_close(found, expected, atol=3e-2, rtol=3e-2)
