"""Tokens of exported encoder-decoders: those of transformers' `generate`, on both engines and in torch."""

from typing import Any

import numpy as np
import pytest
from decoders import REFERENCED, Family
from edgespeech_runtime.audio import batching
from exported_models import END, ENGINES, GOLDEN, Pair, Pairs, sounds, without_padding
from generation_cases import random_options
from speech2text2_goldens import Generation, arrays, generations

CASES_EACH = 13  # of each decoder and number of beams: 208 in all
FIRST_TOKENS = 50  # random options speak of these; larger vocabularies say few of the others
MOST_SAMPLES = 8000
PLAIN, OTHERS = "speech2text2-odd", ("speech2text2-plain", "speech2text2-adapter")


def random_case(rng: np.random.Generator, pair: Pair, beams: int) -> tuple[list[np.ndarray], dict[str, Any]]:
    """One to three utterances, the shortest legal one now and then, and options."""
    options = random_options(rng, FIRST_TOKENS, beams)
    if "exponential_decay_length_penalty" in options:  # of the lowest number it makes NaN, there as here
        options.pop("remove_invalid_values", None)
    facts = pair.runtime.manifest.audio
    lengths = rng.integers(facts.shortest, MOST_SAMPLES, int(rng.choice([1, 1, 2, 3])))
    if rng.random() < 0.3:
        lengths[0] = facts.shortest + int(rng.integers(0, 2)) * facts.hop
    return sounds(*lengths.tolist(), seed=int(rng.integers(1000))), options


def in_torch(pair: Pair, waveform: np.ndarray, **options: Any) -> list[list[int]]:
    rows = pair.ours.generate(pair.values(waveform), **options).tolist()
    return [without_padding(row, options.get("eos_token_id", END)) for row in rows]


def as_rows(found: list[Any]) -> list[list[int]]:
    """What `generate` gave for one input, as a list of hypotheses."""
    return found if isinstance(found[0], list) else [found]


@pytest.mark.parametrize("beams", [1, 2, 4, 5])
@pytest.mark.parametrize("family", REFERENCED)
def test_random_options(pairs: Pairs, family: Family, beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_PADDING", 1.0)  # so that long and short ones share a batch
    of_engines = [pairs.pair(family, engine) for engine in ENGINES]
    pair = of_engines[0]
    rng = np.random.default_rng([beams, REFERENCED.index(family), 3])
    ends = set()
    for _ in range(CASES_EACH):
        waveforms, options = random_case(rng, pair, beams)
        expected = [pair.expected(waveform, **options) for waveform in waveforms]
        assert [in_torch(pair, waveform, **options) for waveform in waveforms] == expected, options
        for each in of_engines:
            found = [as_rows(rows) for rows in each.runtime.generate(waveforms, **options)]
            assert found == expected, (each.bundle.name, options)
        ends |= {len(row) for rows in expected for row in rows}
    assert len(ends) > 2, "all sequences are of one length"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", REFERENCED)
@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 30},
        {"max_length": 30, "num_beams": 4, "num_return_sequences": 3},
        {"max_length": 30, "num_beams": 2, "eos_token_id": [END, 5, 11, 17, 23]},
        {"max_length": 30, "eos_token_id": [END, *range(20, 40)]},
    ],
    ids=["greedy", "beams", "beams, several ends", "several ends"],
)
def test_each_utterance_of_a_batch_gets_what_it_gets_alone(
    pairs: Pairs, family: str, engine: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_PADDING", 1.0)  # so that long and short ones share a batch
    runtime = pairs.pair(family, engine).runtime
    shortest, hop = runtime.manifest.audio.shortest, runtime.manifest.audio.hop
    waveforms = sounds(16000, shortest, 9000, shortest + hop, 7777, 5000, 16000, 3001, 8888, seed=5)
    alone = [runtime.hypotheses(waveform, **options) for waveform in waveforms]
    assert len({len(each.tokens) for found in alone for each in found}) > 1, "all sequences are of one length"
    for batch_size in (3, 9):
        together = runtime.hypotheses(waveforms, batch_size=batch_size, **options)
        for found, expected in zip(together, alone, strict=True):
            assert [h.tokens for h in found] == [h.tokens for h in expected]
            np.testing.assert_allclose([h.score for h in found], [h.score for h in expected], atol=1e-4)
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("beams", [1, 4])
def test_scores(pairs: Pairs, engine: str, beams: int) -> None:
    """Log-probabilities of tokens and scores of hypotheses, against transformers."""
    pair = pairs.pair("bart", engine)
    options = {"num_beams": beams, "num_return_sequences": min(beams, 3), "max_length": 15, "length_penalty": 0.7}
    (waveform,) = sounds(6000)
    expected = pair.theirs.generate(pair.values(waveform), **options, return_dict_in_generate=True, output_scores=True)
    found = pair.runtime.hypotheses(waveform, **options)
    indices = (expected.beam_indices,) if beams > 1 else ()
    steps = pair.theirs.compute_transition_scores(
        expected.sequences, expected.scores, *indices, normalize_logits=True
    ).numpy()
    for hypothesis, row in zip(found, steps, strict=True):
        np.testing.assert_allclose(hypothesis.logprobs, row[: len(hypothesis.logprobs)], atol=1e-4)
    if beams > 1:
        np.testing.assert_allclose([h.score for h in found], expected.sequences_scores.numpy(), atol=1e-4)


def check_golden(pair: Pair, name: str, entry: Generation) -> None:
    """Compare one entry of the goldens with what a bundle generates for the same audio, in one batch."""
    stored = arrays(GOLDEN[name])
    waveforms = [
        row[:length] for row, length in zip(stored[entry.input], stored[f"{entry.input}.lengths"], strict=True)
    ]
    options = dict(entry.options)
    if not {"max_length", "max_new_tokens"} & options.keys():
        options["max_length"] = pair.runtime.manifest.decoder.generation.get("max_length", 20)
    found = pair.runtime.generate(waveforms, **options)
    flat = [row for rows in found for row in as_rows(rows)]
    for row, expected in zip(flat, entry.sequences, strict=True):
        assert row == expected[: len(row)]
        ends = options.get("eos_token_id", END)
        assert row == without_padding(expected, ends)


def entries(*names: str) -> list[Any]:
    """Those without a prompt of several tokens, which bundles do not take."""
    return [
        pytest.param(name, entry, id=f"{name}: {entry.name}")
        for name in names
        for entry in generations(GOLDEN[name])
        if "decoder_input_ids" not in entry.options
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "entry"), entries(PLAIN))
def test_speech2text2(pairs: Pairs, name: str, entry: Generation, engine: str) -> None:
    check_golden(pairs.pair(name, engine), name, entry)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "entry"), entries(*OTHERS))
def test_more_of_speech2text2(pairs: Pairs, name: str, entry: Generation, engine: str) -> None:
    check_golden(pairs.pair(name, engine), name, entry)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_end_token_that_the_vocabulary_does_not_have(pairs: Pairs, engine: str) -> None:
    """Finished utterances wait for the others of their batch, whatever the configuration calls an end."""
    pair = pairs.pair("gpt2", engine)
    waveforms = sounds(8000, 7900, 7000, 6500, 9000, 7777, 8888, seed=5)
    alone = [pair.runtime.generate(waveform, max_length=30) for waveform in waveforms]
    assert len({len(row) for row in alone}) > 1
    decoder = pair.runtime._decoder
    stated = dict(decoder.generation)
    try:
        decoder.generation["eos_token_id"] = [pair.vocabulary + 7, END]
        assert pair.runtime.generate(waveforms, max_length=30) == alone
    finally:
        decoder.generation.clear()
        decoder.generation.update(stated)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", ["bert", "mbart"])
def test_sampling_follows_its_seed_alone(pairs: Pairs, family: str, engine: str) -> None:
    """The same seed gives the same tokens in torch and here, whatever else stands in the batch."""
    pair = pairs.pair(family, engine)
    waveforms = sounds(6000, 900, seed=4)
    for beams in (1, 3):
        options = {
            "do_sample": True,
            "seed": 11,
            "num_beams": beams,
            "max_length": 20,
            "top_p": 0.9,
            "temperature": 1.4,
        }
        found = pair.runtime.generate(waveforms, **options)
        assert found == [in_torch(pair, waveform, **options)[0] for waveform in waveforms]
        others = pair.runtime.generate(waveforms, **{**options, "seed": 12})
        assert others != found
    several = pair.runtime.generate(waveforms[0], do_sample=True, seed=3, num_return_sequences=4, max_length=20)
    assert len({tuple(row) for row in several}) > 1
