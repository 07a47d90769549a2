"""What `generate` takes and gives beside options and sequences, against transformers."""

import threading
import time
import warnings
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
import transformers
from checkpoints import waveforms
from edgespeech_runtime.errors import ArgumentError
from encoder_decoders import LAYER_NORM, make_encoder_decoder
from torch import Tensor

from edgespeech import GenerationConfig, SpeechEncoderDecoderModel
from edgespeech.errors import ConfigError

BEAMS = ({}, {"num_beams": 3, "num_return_sequences": 2})


@cache
def models(family: Any = "bart") -> tuple[Any, Any]:
    with TemporaryDirectory() as folder:
        make_encoder_decoder(folder, family, seed=3, encoder=LAYER_NORM)
        theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager")
        return SpeechEncoderDecoderModel.from_pretrained(folder), theirs.eval()


def audio(*lengths: int) -> dict[str, Tensor]:
    values, mask = waveforms(*lengths)
    return {"inputs": values, "attention_mask": mask}


def same(options: dict[str, Any], *lengths: int) -> Tensor:
    ours, theirs = models()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.generate(**audio(*(lengths or (1500, 900))), max_length=14, **options)
    found = ours.generate(**audio(*(lengths or (1500, 900))), max_length=14, **options)
    assert found.tolist() == expected.tolist()
    return found


@pytest.mark.parametrize("beams", BEAMS, ids=["greedy", "beams"])
def test_processors_are_called_where_the_reference_calls_them(beams: dict[str, Any]) -> None:
    class Less(transformers.LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            assert input_ids.dtype == torch.long
            scores = scores.clone()
            scores[:, 5:25] -= 2.0 * input_ids.shape[1]
            scores.scatter_(1, input_ids[:, -1:], -1e4)
            return scores

    plain = same(beams)
    changed = same({**beams, "logits_processor": transformers.LogitsProcessorList([Less()])})
    assert plain.tolist() != changed.tolist()
    same({**beams, "logits_processor": transformers.LogitsProcessorList([Less(), Less()]), "renormalize_logits": True})


@pytest.mark.parametrize("beams", BEAMS, ids=["greedy", "beams"])
def test_allowed_tokens(beams: dict[str, Any]) -> None:
    def allowed(utterance: int, input_ids: Tensor) -> list[int]:
        last = int(input_ids[-1])
        return [token for token in range(50) if token % 2 == utterance and token != last] or [2]

    found = same({**beams, "prefix_allowed_tokens_fn": allowed, "forced_bos_token_id": 9})
    rows = found.reshape(2, -1, found.shape[1])
    for utterance in (0, 1):
        tokens = rows[utterance][:, 2:].flatten().tolist()
        assert {token % 2 for token in tokens if token not in (0, 2)} <= {utterance}


@pytest.mark.parametrize("beams", BEAMS, ids=["greedy", "beams"])
def test_criteria(beams: dict[str, Any]) -> None:
    class Third(transformers.StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Tensor, scores: Any, **more: Any) -> Tensor:
            return (input_ids % 3 == 0).sum(1) >= 2

    plain = same(beams)
    found = same({**beams, "stopping_criteria": transformers.StoppingCriteriaList([Third()])})
    assert found.shape[1] < plain.shape[1] or found.tolist() != plain.tolist()


def test_time() -> None:
    ours, _ = models()

    def slow(input_ids: Tensor, scores: Tensor) -> Tensor:
        time.sleep(0.05)
        scores[:, 2] = -torch.inf
        return scores

    options = {"max_length": 30, "logits_processor": [slow]}
    assert ours.generate(**audio(900), **options, max_time=60.0).shape[1] == 30
    assert 2 <= ours.generate(**audio(900), **options, max_time=0.12).shape[1] < 15
    with pytest.raises(ArgumentError, match="max_time: expected seconds above 0, got 0"):
        ours.generate(**audio(900), max_time=0)


class Letters:
    """Two letters for each token."""

    def decode(self, tokens: Any) -> str:
        return "".join(f"{chr(97 + int(token) % 26)}{chr(97 + int(token) // 26)}" for token in tokens)


@pytest.mark.parametrize("beams", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_strings_that_stop(beams: dict[str, Any]) -> None:
    ours, _ = models()
    plain = ours.generate(**audio(1500), max_length=20, **beams)[0].tolist()
    text = Letters().decode(plain)
    stop = text[7:10]  # from within the fourth token to the end of the fifth
    options = {"stop_strings": [stop, "nothing"], "tokenizer": Letters(), "max_length": 20}
    found = Letters().decode(ours.generate(**audio(1500), **options, **beams)[0].tolist())
    assert stop in found
    assert stop not in found[:-2]
    with pytest.raises(ArgumentError, match="stop_strings need the model's tokenizer: pass it as tokenizer"):
        ours.generate(**audio(1500), stop_strings=stop)


@pytest.mark.parametrize("beams", [1, 3])
def test_streamers_of_the_reference(beams: int) -> None:
    class Seen:
        def __init__(self) -> None:
            self.tokens: list[int] = []
            self.ended = 0

        def put(self, value: Tensor) -> None:
            assert not self.ended
            self.tokens += value.flatten().tolist()

        def end(self) -> None:
            self.ended += 1

    ours, theirs = models()
    seen, expected = Seen(), Seen()
    found = ours.generate(**audio(1500), max_length=14, num_beams=beams, streamer=seen)[0].tolist()
    assert (seen.tokens, seen.ended) == (found, 1)
    if beams == 1:
        theirs.generate(**audio(1500), max_length=14, streamer=expected)
        assert seen.tokens == expected.tokens
    with pytest.raises(ArgumentError, match="streamer: one with put and end takes one utterance at a time, got 2"):
        ours.generate(**audio(900, 900), streamer=Seen())
    with pytest.raises(ArgumentError, match="streamer: expected a function, or an object with put and end"):
        ours.generate(**audio(900), streamer=3)


def test_a_streamer_in_a_thread() -> None:
    """As the reference's documentation iterates over text while another thread generates."""
    ours, _ = models()

    class Tokenizer:
        def decode(self, tokens: Any, **options: Any) -> str:
            return " ".join(f"t{int(token)}" for token in tokens) + " "

    streamer = transformers.TextIteratorStreamer(Tokenizer(), timeout=60)
    thread = threading.Thread(target=ours.generate, kwargs={**audio(1500), "max_length": 9, "streamer": streamer})
    thread.start()
    text = "".join(streamer)
    thread.join()
    expected = ours.generate(**audio(1500), max_length=9)[0].tolist()
    assert text.split() == [f"t{token}" for token in expected]


@pytest.mark.parametrize("beams", [*BEAMS, {"do_sample": True, "top_k": 5, "num_return_sequences": 2}])
def test_scores_and_logits(beams: dict[str, Any]) -> None:
    ours, theirs = models()
    more = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True, "max_length": 12}
    more |= {"repetition_penalty": 1.3}
    torch.manual_seed(0)
    found = ours.generate(**audio(1500), **beams, **more)
    if "do_sample" in beams:
        assert len(found.scores) == len(found.logits) == found.sequences.shape[1] - 1
        assert all(step.shape == (2, 50) for step in (*found.scores, *found.logits))
        assert all(int((step > -torch.inf).sum(1).max()) <= 5 for step in found.scores)
        return
    expected = theirs.generate(**audio(1500), **beams, **more)
    assert found.sequences.tolist() == expected.sequences.tolist()
    assert len(found.scores) == len(expected.scores)
    assert found.scores[0].shape == expected.scores[0].shape
    if not beams:
        for mine, reference in zip((*found.scores, *found.logits), (*expected.scores, *expected.logits), strict=True):
            torch.testing.assert_close(mine, reference, rtol=0, atol=1e-4)
        assert "beam_indices" not in found
        return
    assert found.beam_indices.tolist() == expected.beam_indices.tolist()
    mine, reference = (
        theirs.compute_transition_scores(one.sequences, one.scores, one.beam_indices, normalize_logits=False)
        for one in (found, expected)
    )
    torch.testing.assert_close(mine, reference, rtol=0, atol=1e-4)


@pytest.mark.parametrize("lengths", [(1500,), (1500, 900)])
def test_states_and_attentions_of_each_step(lengths: tuple[int, ...]) -> None:
    ours, theirs = models()
    more = {"output_attentions": True, "output_hidden_states": True, "return_dict_in_generate": True}
    found, expected = (model.generate(**audio(*lengths), **more, max_length=9) for model in (ours, theirs))
    for name in ("decoder_attentions", "cross_attentions", "decoder_hidden_states"):
        for steps, references in zip(found[name], expected[name], strict=True):
            for mine, reference in zip(steps, references, strict=True):
                assert mine.shape == reference.shape, name
                if len(lengths) == 1:
                    torch.testing.assert_close(mine, reference, rtol=0, atol=1e-4)
    for name in ("encoder_attentions", "encoder_hidden_states"):
        assert len(found[name]) == len(expected[name])
    assert found.past_key_values.get_seq_length() == found.sequences.shape[1] - 1
    assert "past_key_values" not in ours.generate(**audio(900), return_dict_in_generate=True, use_cache=False)
    with pytest.raises(ArgumentError, match=r"output_attentions: .* one beam and one sequence"):
        ours.generate(**audio(900), **more, num_beams=2)


def test_sampling_follows_torch() -> None:
    ours, _ = models()
    options = {**audio(900, 900), "do_sample": True, "max_length": 20, "top_k": 0}

    def drawn(state: int | None, **more: Any) -> list[list[int]]:
        if state is not None:
            torch.manual_seed(state)
        found: list[list[int]] = ours.generate(**options, **more).tolist()
        return found

    for beams in ({}, {"num_beams": 2}):
        first = drawn(7, **beams)
        assert first == drawn(7, **beams)
        assert first != drawn(None, **beams)
        assert first != drawn(8, **beams)
        assert drawn(1, seed=3, **beams) == drawn(2, seed=3, **beams)
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    ours.generate(**audio(900), max_length=5)
    assert torch.equal(torch.rand(2), expected), "greedy decoding leaves the generator alone"
    alike = {**options, "inputs": options["inputs"][:1].repeat(2, 1), "attention_mask": None}
    assert len({tuple(row) for row in ours.generate(**alike).tolist()}) == 2


def test_neutral_values() -> None:
    neutral = {
        "num_beam_groups": 1,
        "diversity_penalty": 0.0,
        "guidance_scale": None,
        "penalty_alpha": None,
        "encoder_no_repeat_ngram_size": 0,
        "encoder_repetition_penalty": 1.0,
        "use_cache": True,
        "synced_gpus": False,
        "assistant_model": None,
        "streamer": None,
        "output_scores": False,
        "logits_processor": None,
        "stopping_criteria": [],
        "prefix_allowed_tokens_fn": None,
        "max_time": None,
        "stop_strings": None,
        "token_healing": False,
        "constraints": None,
        "force_words_ids": None,
        "negative_prompt_ids": None,
        "cache_implementation": None,
        "dola_layers": None,
        "temperature": 1.0,
    }
    ours, _ = models()
    assert torch.equal(ours.generate(**audio(900), **neutral), ours.generate(**audio(900)))
    asked = {
        "num_beam_groups": 2,
        "diversity_penalty": 0.5,
        "guidance_scale": 1.5,
        "penalty_alpha": 0.6,
        "encoder_no_repeat_ngram_size": 2,
        "synced_gpus": True,
        "assistant_model": ours,
        "token_healing": True,
        "negative_prompt_ids": torch.ones(1),
        "cache_implementation": "static",
        "dola_layers": "low",
    }
    for name, value in asked.items():
        with pytest.raises(ArgumentError, match=f"{name}=.* is not implemented; leave it out"):
            ours.generate(**audio(900), **{name: value})
    with pytest.raises(ArgumentError, match="assistant_model=a SpeechEncoderDecoderModel is not implemented"):
        ours.generate(**audio(900), assistant_model=ours)
    for name in ("output_scores", "output_logits", "output_attentions", "output_hidden_states"):
        with pytest.raises(ArgumentError, match=f"{name} needs return_dict_in_generate=True"):
            ours.generate(**audio(900), **{name: True})


def test_documented_order_and_configured_rules() -> None:
    ours, _ = models()
    values, mask = waveforms(1500, 900)
    config = GenerationConfig(max_length=6)
    expected = ours.generate(inputs=values, attention_mask=mask, max_length=6)
    assert torch.equal(ours.generate(values, config, attention_mask=mask), expected)
    assert torch.equal(ours.generate(values, mask, max_length=6), expected)
    with pytest.raises(ArgumentError, match=r"an edgespeech\.GenerationConfig, got a transformers\.GenerationConfig"):
        ours.generate(values, transformers.GenerationConfig(max_length=6))
    config.stop_strings = "a"
    with pytest.raises(ArgumentError, match="stop_strings need the model's tokenizer"):
        ours.generate(values, config)
    config.stop_strings, config.watermarking_config = None, {"bias": 2.0}
    with pytest.raises(ConfigError, match="asks for watermarking_config="):
        ours.generate(values, config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"logits_processor": [3]}, r"logits_processor: expected functions of \(input_ids, scores\), got 3"),
        ({"stopping_criteria": "x"}, r"stopping_criteria: expected functions"),
        ({"logits_processor": lambda ids, scores: scores[:, :3]}, r"expected scores \[1, 50\] back, got \[1, 3\]"),
        ({"logits_processor": lambda ids, scores: None}, r"expected scores \[1, 50\] back, got NoneType"),
        ({"stopping_criteria": lambda ids, scores: torch.ones(3).bool()}, r"expected 1 answers, got \[3\]"),
        ({"prefix_allowed_tokens_fn": lambda row, ids: []}, "allows no token for utterance 0"),
    ],
)
def test_rules_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        models()[0].generate(**audio(900), **options)
    assert "\n" not in str(caught.value)
