"""Weights with the outliers of trained ones: what is planted is there, and the models compute as the reference does."""

import pytest
import torch
from checkpoints import make_model, waveforms
from trained_twins import CONSTANT, MASSIVE, OUTLIERS, SIZES, make_twin, plant

from edgespeech import Wav2Vec2ForCTC

STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
FORMS = {"post-norm": {}, "pre-norm": STABLE}


@torch.no_grad()
def states(kind: str) -> torch.Tensor:
    """What a pre-norm encoder with these outliers passes on from its second layer, (frames, channels)."""
    model = make_model(**SIZES, **STABLE)
    plant(model.base_model, kind)
    audio, _ = waveforms(64000, seed=3)
    return model(audio, output_hidden_states=True).hidden_states[2][0]


def test_one_channel_of_every_frame_is_far_larger_than_the_others() -> None:
    magnitudes = states("feed-forward").abs().median(0).values
    assert magnitudes.max() > 20 * magnitudes.median()
    assert magnitudes.topk(2).values[1] < 0.2 * magnitudes.max()


def test_one_value_of_few_frames_is_far_larger_than_all_others() -> None:
    found = states("massive").abs().amax(1)
    loud = found > MASSIVE / 10
    assert 0 < loud.float().mean() < 0.1
    assert found.max() > MASSIVE
    assert found[~loud].median() < 10


def test_one_channel_is_constant() -> None:
    found = states("constant")
    channel = found.abs().mean(0).argmax()
    assert (found[:, channel] - CONSTANT).abs().max() < 20
    assert found[:, channel].std() < 4


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", OUTLIERS)
def test_a_twin_computes_what_the_reference_computes(tmp_path, kind: str, form: str) -> None:
    make_twin(tmp_path, kind, **FORMS[form])
    theirs = make_model(**SIZES, **FORMS[form])
    plant(theirs.base_model, kind)
    audio, _ = waveforms(32000, seed=4)
    with torch.no_grad():
        expected = theirs.double()(audio.double()).logits
        found = Wav2Vec2ForCTC.from_pretrained(tmp_path).double()(audio.double()).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
