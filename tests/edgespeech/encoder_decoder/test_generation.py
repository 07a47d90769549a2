"""Generated tokens, against transformers' `generate`."""

import warnings
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from checkpoints import waveforms
from decoders import REFERENCED, Family
from edgespeech_runtime import generation
from encoder_decoders import END, LAYER_NORM, make_encoder_decoder
from generation_cases import largest, no_chance, random_options
from torch import Tensor

from edgespeech import GenerationConfig, SpeechEncoderDecoderModel

LENGTHS = (3000, 700, 1500)
VOCABULARY = 50
SEEDS = {"bert": 2, "gpt2": 1, "bart": 3, "mbart": 2}  # weights with which sequences end at different places
CASES_EACH = 13  # of each decoder and number of beams: 208 in all


@cache
def models(family: Family, positions: int = 40) -> tuple[Any, Any]:
    """Return our model and that of transformers with the same weights."""
    name = "n_positions" if family == "gpt2" else "max_position_embeddings"
    with TemporaryDirectory() as folder:
        make_encoder_decoder(folder, family, seed=SEEDS[family], encoder=LAYER_NORM, decoder={name: positions})
        theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager")
        return SpeechEncoderDecoderModel.from_pretrained(folder), theirs.eval()


def same(ours: Any, theirs: Any, audio: dict[str, Tensor], **options: Any) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers warns of harmless combinations
        expected = theirs.generate(**audio, **options)
    found = ours.generate(**audio, **options)
    assert found.dtype == expected.dtype == torch.long
    assert found.tolist() == expected.tolist(), options
    return found


def batch(*lengths: int, seed: int = 0) -> dict[str, Tensor]:
    audio, mask = waveforms(*lengths, seed=seed)
    return {"input_values": audio, "attention_mask": mask}


@pytest.mark.parametrize("beams", [1, 2, 4, 5])
@pytest.mark.parametrize("family", REFERENCED)
def test_random_options(family: Family, beams: int) -> None:
    ours, theirs = models(family)
    rng = np.random.default_rng([beams, REFERENCED.index(family)])
    ends = set()
    for case in range(CASES_EACH):
        options = random_options(rng, VOCABULARY, beams)
        if "exponential_decay_length_penalty" in options:  # of the lowest number it makes NaN, there as here
            options.pop("remove_invalid_values", None)
        lengths = (1200,) if case % 2 else tuple(rng.integers(300, 3000, 3).tolist())
        found = same(ours, theirs, batch(*lengths, seed=case), **options)
        ends |= {row.index(END) if END in row else len(row) for row in found[:, 1:].tolist()}
    assert len(ends) > 2, "all sequences are of one length"


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("family", REFERENCED)
def test_sampling_without_chance(family: Family, beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most probable is drawn on both sides; what it is drawn from is the matter of the loop's tests."""
    ours, theirs = models(family)
    rng = np.random.default_rng([7, beams, REFERENCED.index(family)])
    monkeypatch.setattr(generation, "generate", partial(generation.generate, draw=largest))
    with no_chance():
        for case in range(6):
            same(ours, theirs, batch(900, 2000, seed=case), **random_options(rng, VOCABULARY, beams, sampling=True))


@pytest.mark.parametrize("family", REFERENCED)
def test_defaults(family: Family) -> None:
    ours, theirs = models(family)
    assert same(ours, theirs, batch(*LENGTHS)).shape[1] <= 21
    assert same(ours, theirs, {"inputs": batch(800)["input_values"]}).shape[0] == 1


@pytest.mark.parametrize("family", ["gpt2", "bart"])
def test_a_batch_of_one_length_needs_no_mask(family: Family) -> None:
    ours, theirs = models(family)
    same(ours, theirs, {"input_values": batch(900, 900)["input_values"]}, num_beams=2, max_length=12)


@pytest.mark.parametrize("options", [{}, {"num_beams": 4, "num_return_sequences": 2}], ids=["greedy", "beams"])
@pytest.mark.parametrize("family", REFERENCED)
def test_each_utterance_of_a_batch_gets_what_it_gets_alone(family: Family, options: dict[str, Any]) -> None:
    ours, _ = models(family)
    options = {**options, "max_length": 30}
    together = ours.generate(**batch(*LENGTHS), **options).reshape(3, -1)
    audio = batch(*LENGTHS)["input_values"]
    count = options.get("num_return_sequences", 1)
    for row, length in enumerate(LENGTHS):
        alone = ours.generate(audio[row : row + 1, :length], **options)
        padded = together[row].reshape(count, -1)[:, : alone.shape[1]]
        assert torch.equal(padded, alone)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("family", ["bert", "mbart"])
def test_scores(family: Family, beams: int) -> None:
    ours, theirs = models(family)
    options = {"num_beams": beams, "num_return_sequences": min(beams, 3), "max_length": 15}
    more = {"return_dict_in_generate": True, "output_scores": True}
    expected = theirs.generate(**batch(*LENGTHS), **options, **more)
    found = ours.generate(**batch(*LENGTHS), **options, **more)
    assert torch.equal(found.sequences, expected.sequences)
    assert found[0] is found.sequences
    if beams > 1:
        torch.testing.assert_close(found.sequences_scores, expected.sequences_scores, rtol=0, atol=1e-4)
    indices = (expected.beam_indices,) if beams > 1 else ()
    reference = theirs.compute_transition_scores(expected.sequences, expected.scores, *indices, normalize_logits=True)
    for logprobs, row in zip(found.token_logprobs, reference, strict=True):
        torch.testing.assert_close(logprobs, row[: len(logprobs)], rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "gpt2", "mbart"])
@pytest.mark.parametrize("prompt", [[[1, 7, 9], [1, 30, 4]], [[7, 9], [30, 4]], [[1], [1]]])
def test_prompts(family: Family, prompt: list[list[int]]) -> None:
    """A start token is put before a prompt that has none."""
    ours, theirs = models(family)
    given = {**batch(1500, 600), "decoder_input_ids": torch.tensor(prompt)}
    for options in ({}, {"num_beams": 3}, {"min_new_tokens": 4}, {"repetition_penalty": 1.6}):
        same(ours, theirs, given, **options, max_length=14)


def test_outputs_of_the_encoder_in_place_of_audio() -> None:
    ours, _ = models("bart")
    given = batch(*LENGTHS)
    with torch.no_grad():
        encoded = ours.encoder(**given)
    expected = ours.generate(**given)
    assert torch.equal(ours.generate(encoder_outputs=encoded, attention_mask=given["attention_mask"]), expected)


@pytest.mark.parametrize("beams", [1, 4])
def test_streaming(beams: int) -> None:
    ours, _ = models("gpt2")
    parts: dict[int, list[list[int]]] = {0: [], 1: [], 2: []}

    def streamer(utterance: int, tokens: list[int]) -> None:
        parts[utterance].append(list(tokens))

    found = ours.generate(**batch(*LENGTHS), num_beams=beams, max_length=24, streamer=streamer)
    for utterance, row in enumerate(found[:, 1:].tolist()):
        tokens = [token for part in parts[utterance] for token in part]
        assert row[: len(tokens)] == tokens
        assert END in tokens or len(tokens) == len(row)
    assert any(len(each) > 1 for each in parts.values())


def test_whole_position_table_and_a_cache_that_grows() -> None:
    """More calls than the cache has room for at first, up to the last position."""
    ours, theirs = models("mbart", 150)
    for beams in (1, 2):
        found = same(ours, theirs, batch(900, 500), num_beams=beams, max_length=150, eos_token_id=None)
        assert found.shape[1] == 150


def test_training_mode_and_gradients_are_left_alone() -> None:
    ours, _ = models("bert")
    expected = ours.generate(**batch(900))
    ours.train()
    try:
        ours.config.encoder.apply_spec_augment = False
        found = ours.generate(**batch(900))
        assert ours.training
    finally:
        ours.config.encoder.apply_spec_augment = True
        ours.eval()
    assert torch.equal(found, expected), "without dropout the mode changes nothing"
    ours(**batch(900), labels=found).loss.backward()  # what was generated may be learnt from
    ours.zero_grad()


def test_generation_config(tmp_path: Path) -> None:
    with TemporaryDirectory() as folder:
        make_encoder_decoder(folder, "gpt2", seed=1, encoder=LAYER_NORM)
        ours = SpeechEncoderDecoderModel.from_pretrained(folder)
        ours.generation_config.num_beams = 3
        ours.generation_config.max_length = 9
        ours.generation_config.bad_words_ids = [[5, 6], [7]]
        ours.save_pretrained(tmp_path)
    again = SpeechEncoderDecoderModel.from_pretrained(tmp_path)
    assert again.generation_config == ours.generation_config
    assert again.generation_config.num_beams == 3
    assert again.generation_config.top_p is None
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    same(again, theirs, batch(*LENGTHS))
    same(again, theirs, batch(*LENGTHS), max_length=5)
    other = {"num_beams": 1, "max_new_tokens": 4}
    expected = theirs.generate(**batch(900), generation_config=transformers.GenerationConfig(**other))
    assert torch.equal(again.generate(**batch(900), generation_config=GenerationConfig(**other)), expected)
