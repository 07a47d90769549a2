"""What training does beyond loss and gradients: chance, freezing, and a few steps that learn."""

from typing import Any

import pytest
import torch
from checkpoints import waveforms
from decoders import FAMILIES, Family
from encoder_decoders import LAYER_NORM, make_model

LABELS = torch.tensor([[5, 6, 7, 2], [9, 2, -100, -100]])
AUDIO, MASK = waveforms(1600, 900)
QUIET: dict[str, Any] = {"apply_spec_augment": False}


@pytest.mark.parametrize("family", FAMILIES)
def test_both_halves_learn(family: Family) -> None:
    """A few steps bring the loss down, and only what is not frozen moves."""
    model = make_model(family, weights="edgespeech", encoder={**LAYER_NORM, **QUIET, "hidden_size": 16}).train()
    model.freeze_feature_encoder()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model(AUDIO, MASK, labels=LABELS).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert not any(name.startswith("encoder.feature_extractor.") for name in moved)
    assert {"encoder.feature_projection.projection.weight", "enc_to_dec_proj.weight"} <= moved
    assert any(name.startswith("decoder.") for name in moved)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        ({"mask_time_prob": 0.6, "mask_time_length": 3}, {}),
        ({**QUIET, "hidden_dropout": 0.3}, {}),
        ({**QUIET, "layerdrop": 0.5, "num_hidden_layers": 6}, {}),
        (QUIET, {"hidden_dropout_prob": 0.3}),
        (QUIET, {"attention_probs_dropout_prob": 0.3}),
    ],
)
def test_chance_of_the_halves(encoder: dict[str, Any], decoder: dict[str, Any]) -> None:
    model = make_model("bert", weights="edgespeech", encoder={**LAYER_NORM, **encoder}, decoder=decoder)
    calm = model(AUDIO, MASK, labels=LABELS).loss

    def run(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return model(AUDIO, MASK, labels=LABELS).loss.detach()

    assert run(1) == run(2) == calm
    model.train()
    assert run(1) == run(1)
    assert len({float(run(seed)) for seed in range(6)}) > 1


def test_dropped_adapter_layers_keep_the_frames_in_step() -> None:
    """Where training leaves out a layer of the adapter there are more frames, and the mask knows."""
    options = {**LAYER_NORM, **QUIET, "add_adapter": True, "layerdrop": 0.5}
    model = make_model("mbart", weights="edgespeech", encoder=options).train()
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        result = model(AUDIO, MASK, labels=LABELS)
        seen.add(result.encoder_last_hidden_state.shape[1])
        assert result.loss.isfinite()
    assert len(seen) > 1


def test_names_that_people_use() -> None:
    model = make_model("gpt2", weights="edgespeech")
    assert model.get_encoder() is model.encoder
    assert model.get_decoder() is model.decoder
    assert model.get_input_embeddings() is model.decoder.transformer.wte
    assert model.get_output_embeddings() is model.decoder.lm_head
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert not model.config.tie_word_embeddings
    assert model.dtype == torch.float32
    assert not model.half().generate(AUDIO.half(), max_length=5).is_floating_point()
