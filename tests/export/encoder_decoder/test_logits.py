"""Logits of exported encoder-decoders after each token: those of transformers, at the edges of length and padded."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from decoders import FAMILIES, REFERENCED, token_ids
from edgespeech_runtime import load
from edgespeech_runtime.engines.onnx_providers import CPU, PROVIDERS
from edgespeech_runtime.errors import EngineError
from exported_models import ENGINES, GOLDEN, RATE, Pair, Pairs, sounds
from speech2text2_goldens import arrays, whole

LOGITS = 1e-4
MOST_FRAMES = 1000  # in one batch: attention takes memory by their square
SPEECH2TEXT2 = "speech2text2-odd"


@torch.no_grad()
def reference(pair: Pair, waveform: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """(samples,), (tokens,) -> [tokens, vocabulary] of transformers, in one call."""
    found = pair.theirs(pair.values(waveform), decoder_input_ids=torch.from_numpy(tokens)[None], use_cache=False)
    return found.logits[0].numpy()


@torch.no_grad()
def reference_steps(pair: Pair, waveform: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The same, token by token over the cache of transformers."""
    encoded = pair.theirs.encoder(pair.values(waveform))
    cache, rows = None, []
    for token in tokens:
        step = pair.theirs(
            encoder_outputs=encoded,
            decoder_input_ids=torch.tensor([[int(token)]]),
            past_key_values=cache,
            use_cache=True,
        )
        cache = step.past_key_values
        rows.append(step.logits[0, -1].numpy())
    return np.stack(rows)


def random_tokens(pair: Pair, count: int, seed: int = 0) -> np.ndarray:
    """(tokens,), the start token first."""
    tokens = token_ids(1, count, seed, pair.vocabulary)[0].numpy()
    tokens[0] = pair.runtime.manifest.decoder.generation["decoder_start_token_id"]
    return tokens


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=LOGITS, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", REFERENCED)
def test_every_step_is_that_of_transformers(pairs: Pairs, family: str, engine: str) -> None:
    """Lengths at the edges; as many tokens as the position table has, or 60."""
    pair = pairs.pair(family, engine)
    shortest, hop = pair.runtime.manifest.audio.shortest, pair.runtime.manifest.audio.hop
    edges = [shortest, shortest + 1, shortest + hop - 1, shortest + hop, shortest + hop + 1, 12345]
    for seed, waveform in enumerate(sounds(*edges)):
        tokens = random_tokens(pair, min(60, pair.runtime.manifest.decoder.longest), seed)
        (found,) = pair.runtime.step_logits([waveform], tokens[None])
        close(found, reference(pair, waveform, tokens))
        if seed in (0, len(edges) - 1):
            close(found, reference_steps(pair, waveform, tokens))
    assert pair.runtime.manifest.frames.count(shortest) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_every_step_is_that_of_the_goldens(pairs: Pairs, engine: str) -> None:
    """Speech2Text2, whose start token is its padding: with a cache that takes a position, without one it does not."""
    pair = pairs.pair(SPEECH2TEXT2, engine)
    stored = arrays(GOLDEN[SPEECH2TEXT2])
    for name in ("single", "batch"):
        lengths = stored[f"{name}.lengths"]
        waveforms = [row[:length] for row, length in zip(stored[name], lengths, strict=True)]
        for ids in ("ids", "padded_ids"):
            steps = f"{name}.{ids.removesuffix('ids')}steps"
            close(pair.runtime.step_logits(waveforms, stored[f"{name}.{ids}"]), stored[steps])
        assert not np.allclose(stored[steps], stored[whole(steps)], atol=1e-2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", REFERENCED)
def test_a_prompt_up_to_the_last_position(pairs: Pairs, family: str, engine: str) -> None:
    """The graph reads several tokens at once as well as one by one, up to the table's end and not beyond."""
    pair = pairs.pair(family, engine)
    runtime, longest = pair.runtime, pair.runtime.manifest.decoder.longest
    assert longest == pair.ours.decoder.max_length
    (waveform,) = sounds(4000)
    tokens = random_tokens(pair, longest)
    expected = reference(pair, waveform, tokens)
    values, lengths = runtime._padded([waveform])
    cross = runtime._encode(values, lengths)
    only = np.zeros((1, 1), np.int64)
    for prompt in (longest, longest - 1, longest // 2):
        decoder = runtime._cached(cross, lengths)
        rows = [decoder.start(tokens[None, :prompt])[0]]
        rows += [decoder.extend(tokens[None, i : i + 1], only)[0, 0] for i in range(prompt, longest)]
        close(np.stack(rows), expected[prompt - 1 :])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_padded_batch_gives_each_utterance_what_it_gets_alone(pairs: Pairs, family: str, engine: str) -> None:
    pair = pairs.pair(SPEECH2TEXT2 if family == "speech2text2" else family, engine)
    runtime = pair.runtime
    shortest, hop = runtime.manifest.audio.shortest, runtime.manifest.audio.hop
    longest = min(20 * RATE, MOST_FRAMES * hop)
    waveforms = sounds(longest, shortest, shortest + hop, longest // 4 + 1, shortest + hop - 1)
    tokens = np.stack([random_tokens(pair, 12, seed) for seed in range(len(waveforms))])
    together = runtime.step_logits(waveforms, tokens)
    for found, waveform, row in zip(together, waveforms, tokens, strict=True):
        close(found, runtime.step_logits([waveform], row[None])[0])
        if pair.theirs is not None:
            close(found, reference(pair, waveform, row))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", ["bert", "bart"])
def test_beams_share_a_cache_and_see_their_own_ancestors_only(pairs: Pairs, family: str, engine: str) -> None:
    """Random trees of hypotheses, several utterances of different lengths, the number of beams changing."""
    pair = pairs.pair(family, engine)
    runtime, rng = pair.runtime, np.random.default_rng(8)
    waveforms = sounds(9000, 3000)
    values, lengths = runtime._padded(waveforms)
    decoder = runtime._cached(runtime._encode(values, lengths), lengths)
    start = random_tokens(pair, 1)
    sequences = np.broadcast_to(start, (2, 1, 1))
    logits = decoder.start(sequences[:, 0])[:, None]
    for beams in (4, 5, 2, 3, 1, 4):
        parents = rng.integers(0, sequences.shape[1], (2, beams))
        tokens = rng.integers(0, pair.vocabulary, (2, beams))
        logits = decoder.extend(tokens, parents)
        kept = np.take_along_axis(sequences, parents[:, :, None], axis=1)
        sequences = np.concatenate([kept, tokens[:, :, None]], axis=2)
    for waveform, rows, several in zip(waveforms, logits, sequences, strict=True):
        for found, sequence in zip(rows, several, strict=True):
            close(found, reference(pair, waveform, sequence)[-1])


@pytest.mark.parametrize("engine", ENGINES)
def test_float16_halves_the_weights_and_stays_close(pairs: Pairs, engine: str) -> None:
    whole_, half = (pairs.pair("bart", engine, precision) for precision in ("float32", "float16"))
    waveforms = sounds(16000, 5000)
    tokens = np.stack([random_tokens(half, 20, seed) for seed in range(2)])
    expected = whole_.runtime.step_logits(waveforms, tokens)
    difference = np.abs(half.runtime.step_logits(waveforms, tokens) - expected).max()
    assert 1e-6 < difference < 5e-3 * np.abs(expected).max()
    assert half.runtime.self_check() <= half.runtime.manifest.golden.tolerance
    sizes = [size_of_weights(pair) for pair in (half, whole_)]
    assert sizes[0] < 0.7 * sizes[1]
    assert half.runtime.generate(waveforms, max_length=8) == whole_.runtime.generate(waveforms, max_length=8)


def size_of_weights(pair: Pair) -> int:
    return (pair.bundle / pair.runtime.manifest.graphs["decoder"].weights).stat().st_size


@pytest.mark.parametrize("engine", ENGINES)
def test_the_bundle_checks_itself(pairs: Pairs, engine: str) -> None:
    for name in (*REFERENCED, SPEECH2TEXT2):
        runtime = pairs.pair(name, engine).runtime
        assert runtime.self_check() <= LOGITS < 1.6 * runtime.manifest.golden.tolerance


@pytest.mark.parametrize("engine", ENGINES)
def test_logits_that_are_no_numbers_are_an_error(pairs: Pairs, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = pairs.pair("bart", engine)
    run = pair.runtime._graphs.run

    def broken(name: str, inputs: Any) -> Any:
        return {key: np.full_like(value, np.nan) for key, value in run(name, inputs).items()}

    monkeypatch.setattr(pair.runtime._graphs, "run", broken)
    for call in (pair.runtime.generate, pair.runtime.transcribe):
        with pytest.raises(EngineError, match="NaN"):
            call(sounds(3000)[0])


def test_tokens_of_a_wrong_shape(pairs: Pairs) -> None:
    pair: Any = pairs.pair("bart", "onnx")
    for tokens in ([1, 2], [[1], [2]], [[]], np.zeros((1, 2, 1))):
        with pytest.raises(ValueError, match=r"tokens: expected \[1, tokens\]"):
            pair.runtime.step_logits(sounds(3000), tokens)


@pytest.mark.parametrize("family", REFERENCED)
def test_a_cache_that_stays_on_the_device_gives_the_same(pairs: Pairs, family: str, monkeypatch: Any) -> None:
    """The CPU's provider taken for a GPU's: bit by bit what the cache in the host's memory gives, and with beams."""
    pair = pairs.pair(family, "onnx")
    waveforms = sounds(400, 4000, 12345)
    tokens = np.random.default_rng(0).integers(0, pair.vocabulary, (3, min(70, pair.runtime.manifest.decoder.longest)))
    monkeypatch.setitem(PROVIDERS, CPU, dataclasses.replace(PROVIDERS[CPU], memory="cpu"))
    with load(pair.bundle, threads=1) as apart:
        np.testing.assert_array_equal(apart.step_logits(waveforms, tokens), pair.runtime.step_logits(waveforms, tokens))
        for options in ({}, {"num_beams": 4, "num_return_sequences": 2}):
            assert apart.generate(waveforms, **options) == pair.runtime.generate(waveforms, **options)
        assert "cache" in apart.placement()  # or it would have been compared with itself
    assert "cache" not in pair.runtime.placement()
