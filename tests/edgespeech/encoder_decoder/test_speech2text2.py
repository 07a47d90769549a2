"""Encoder-decoders with a Speech2Text2 decoder, against goldens of transformers 4 (tests/goldens/speech2text2)."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from speech2text2_goldens import CASES, Generation, arrays, attention_mask, checkpoint, digest, generations, gradients

from edgespeech import SpeechEncoderDecoderModel

MAX_LENGTH = 20  # of transformers 4 where nobody says; 5 adds it to the prompt
INPUTS = [(case, name) for case in CASES for name in ("single", "batch")]
GENERATIONS = [pytest.param(case, entry, id=f"{case}: {entry.name}") for case in CASES for entry in generations(case)]


def load(case: str) -> Any:
    return SpeechEncoderDecoderModel.from_pretrained(checkpoint(case))


def audio(case: str, name: str) -> dict[str, torch.Tensor]:
    stored = arrays(case)
    mask = torch.from_numpy(attention_mask(case, name))
    return {"input_values": torch.from_numpy(stored[name]), "attention_mask": mask}


def close(found: torch.Tensor, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("case", "name"), INPUTS)
@torch.no_grad()
def test_logits_and_states(case: str, name: str) -> None:
    model, stored = load(case), arrays(case)
    for ids in ("ids", "padded_ids"):
        tokens = torch.from_numpy(stored[f"{name}.{ids}"])
        result = model(**audio(case, name), decoder_input_ids=tokens)
        close(result.logits, stored[f"{name}.{ids.removesuffix('ids')}logits"])
    for row, frames in enumerate(stored[f"{name}.frames"].tolist()):
        close(result.encoder_last_hidden_state[row, :frames], stored[f"{name}.states"][row, :frames])
    seen = tokens != model.config.decoder.pad_token_id
    seen[:, 0] = True
    masked = model(**audio(case, name), decoder_input_ids=tokens, decoder_attention_mask=seen).logits
    close(masked[seen], stored[f"{name}.padded_logits_masked"][seen.numpy()])


@pytest.mark.parametrize(("case", "name"), INPUTS)
def test_loss_and_gradients(case: str, name: str) -> None:
    model, stored = load(case), arrays(case)
    result = model(**audio(case, name), labels=torch.from_numpy(stored[f"{name}.labels"]))
    close(result.logits.detach(), stored[f"{name}.labels_logits"])
    torch.testing.assert_close(result.loss.detach(), torch.from_numpy(stored[f"{name}.loss"]), rtol=1e-5, atol=1e-5)
    if name != "batch":
        return
    result.loss.backward()
    expected = gradients(case)
    for key, parameter in model.named_parameters():
        if key not in expected:
            assert parameter.grad is None or not parameter.grad.any(), key
            continue
        reference = expected.pop(key)
        found = digest(parameter.grad.numpy())
        assert np.abs(found - reference).max() <= 1e-4 * np.abs(reference).max() + 1e-6, key
    assert not expected


@pytest.mark.parametrize(("case", "entry"), GENERATIONS)
def test_generation(case: str, entry: Generation) -> None:
    model = load(case)
    options = {name: value for name, value in entry.options.items() if name != "decoder_input_ids"}
    if not {"max_length", "max_new_tokens"} & options.keys() and model.generation_config.max_length is None:
        options["max_length"] = MAX_LENGTH
    if "decoder_input_ids" in entry.options:
        options["decoder_input_ids"] = torch.tensor(entry.options["decoder_input_ids"])
    found = model.generate(**audio(case, entry.input), **options, return_dict_in_generate=True)
    assert found.sequences.tolist() == entry.sequences
    if entry.scores is not None:
        close(found.sequences_scores, np.array(entry.scores, np.float32), 2e-4)


@pytest.mark.parametrize("case", CASES)
def test_without_a_file_of_generation_defaults(tmp_path: Path, case: str) -> None:
    """Older checkpoints say in config.json how to generate, at its top or in the decoder's part."""
    folder = tmp_path / case
    shutil.copytree(checkpoint(case), folder)
    (folder / "generation_config.json").unlink()
    derived = SpeechEncoderDecoderModel.from_pretrained(folder).generation_config
    stated = load(case).generation_config
    for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id", "bos_token_id"):
        assert getattr(derived, name) == getattr(stated, name), name
