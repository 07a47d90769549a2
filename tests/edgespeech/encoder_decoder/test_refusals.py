"""Bad input to encoder-decoders: one clear line each, and the model works afterwards."""

from typing import Any

import pytest
import torch
from checkpoints import TINY, waveforms
from edgespeech_runtime.errors import ArgumentError
from encoder_decoders import LAYER_NORM, SHORT, make_model

import edgespeech
from edgespeech import SpeechEncoderDecoderConfig, SpeechEncoderDecoderModel
from edgespeech.base.outputs import BaseModelOutput
from edgespeech.errors import ConfigError, InputError, UnknownModelError

LABELS = torch.tensor([[5, 6, 7, 2]])
AUDIO, MASK = waveforms(900)


@pytest.fixture(scope="module")
def model() -> Any:
    return make_model("bert", weights="edgespeech", encoder=LAYER_NORM)


def halves(**options: Any) -> tuple[Any, Any]:
    first = edgespeech.Wav2Vec2Config(**{**TINY, **SHORT, "hidden_size": 24})
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
    return first, edgespeech.BertConfig(**{"vocab_size": 20, **sizes, **options})


def whole(**options: Any) -> SpeechEncoderDecoderModel:
    return SpeechEncoderDecoderModel(SpeechEncoderDecoderConfig.from_encoder_decoder_configs(*halves(**options)))


@pytest.mark.parametrize("size", [16, 24, 20])
def test_sizes_that_do_not_fit(size: int) -> None:
    """The encoder gives 24 channels, the decoder has 16: whichever of them is stated, they are not one."""
    with pytest.raises(ConfigError, match=f"cross_attention_hidden_size .* {size}") as caught:
        whole(cross_attention_hidden_size=size)
    assert "\n" not in str(caught.value)
    assert whole().enc_to_dec_proj is not None


def test_a_decoder_without_cross_attention() -> None:
    first, second = halves(is_decoder=True)
    encoder, decoder = edgespeech.Wav2Vec2Model(first), edgespeech.BertLMHeadModel(second)
    with pytest.raises(ConfigError, match="a BertLMHeadModel, has no cross-attention to the encoder's states;"):
        SpeechEncoderDecoderModel(encoder=encoder, decoder=decoder)
    config = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(first, second)
    config.decoder.add_cross_attention = False  # type: ignore[union-attr, attr-defined]
    with pytest.raises(ConfigError, match="has no cross-attention"):
        SpeechEncoderDecoderModel(config=config)


def test_halves_that_are_none(model: Any) -> None:
    with pytest.raises(
        UnknownModelError, match="a Linear cannot be the encoder; known are: Data2VecAudioModel, HubertModel"
    ):
        SpeechEncoderDecoderModel(encoder=torch.nn.Linear(1, 1), decoder=model.decoder)  # type: ignore[arg-type]
    with pytest.raises(UnknownModelError, match="a Wav2Vec2Model cannot be the decoder; known are: BartForCausalLM, "):
        SpeechEncoderDecoderModel(encoder=model.encoder, decoder=model.encoder)
    head = edgespeech.Wav2Vec2ForCTC(halves()[0])
    with pytest.raises(UnknownModelError, match="a Wav2Vec2ForCTC cannot be the encoder"):
        SpeechEncoderDecoderModel(encoder=head, decoder=model.decoder)  # type: ignore[arg-type]
    for given in ({}, {"encoder": model.encoder}, {"config": halves()[0]}):
        with pytest.raises(ConfigError, match="give a SpeechEncoderDecoderConfig as config, or an encoder and"):
            SpeechEncoderDecoderModel(**given)


@pytest.mark.parametrize("name", ["decoder_start_token_id", "pad_token_id"])
def test_training_needs_token_ids(name: str) -> None:
    model = whole()
    model.config.decoder_start_token_id, model.config.pad_token_id = 1, 0
    for value, message in ((None, f"training with labels needs {name}; set model.config.{name}"), (20, "below")):
        setattr(model.config, name, value)
        with pytest.raises(ConfigError, match=message):
            model(AUDIO, labels=LABELS)
    setattr(model.config, name, 3)
    assert model(AUDIO, labels=LABELS).loss.isfinite()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give decoder_input_ids, or labels"),
        ({"labels": torch.tensor([[50]])}, "labels must be below vocab_size 50, or -100 for none, got 50"),
        ({"labels": torch.tensor([[-1]])}, "labels must be below vocab_size 50, or -100 for none, got -1"),
        ({"labels": torch.tensor([5])}, "labels must be whole numbers"),
        ({"labels": torch.tensor([[5.0]])}, "labels must be whole numbers"),
        ({"labels": torch.tensor([[5], [6]])}, "got 1 utterances, but 2 sequences of tokens"),
        ({"labels": LABELS, "decoder_input_ids": LABELS[:, :2]}, "labels and decoder_input_ids must have one shape"),
        ({"decoder_input_ids": torch.full((1, 2), 50)}, "input_ids must be below vocab_size 50"),
        ({"decoder_input_ids": torch.ones(1, 41, dtype=torch.long)}, "41 tokens, the position table .* has 40"),
        (
            {"decoder_input_ids": LABELS, "decoder_attention_mask": MASK},
            "attention_mask must have the shape of input_ids",
        ),
        ({"labels": LABELS, "inputs": AUDIO}, "give input_values or encoder_outputs, one of them, got 2"),
        ({"labels": LABELS, "attention_mask": MASK[:, :5]}, "attention_mask must have the shape of input_values"),
        ({"labels": LABELS, "input_values": AUDIO[0]}, r"input_values must be \(batch, samples\)"),
        ({"labels": LABELS, "input_values": AUDIO[:, :9]}, "audio must have at least"),
    ],
)
def test_bad_input(model: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        model(**{"input_values": AUDIO, **given})
    assert "\n" not in str(caught.value)


def test_bad_outputs_of_an_encoder(model: Any) -> None:
    states = torch.randn(2, 7, 32)
    with pytest.raises(InputError, match="got 2 utterances, but 1 sequences"):
        model(encoder_outputs=BaseModelOutput(states), decoder_input_ids=LABELS)
    with pytest.raises(InputError, match=r"attention_mask \[1, 900\] belongs to encoder_outputs of 21 frames, got"):
        model(encoder_outputs=(states[:1],), attention_mask=MASK, decoder_input_ids=LABELS)
    for wrong in (states[0], states[:, :, :8]):
        with pytest.raises(InputError, match=r"encoder_outputs must be \(batch, frames, 32\)"):
            model.generate(encoder_outputs=(wrong,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 41}, "max_length: .* 41 .* 40 positions"),
        ({"max_new_tokens": 40}, "max_new_tokens: .* 41 .* 40 positions"),
        ({"max_lenght": 5}, "max_lenght.*max_length"),
        ({"do_sample": True, "temperature": 0.0}, "temperature"),
        ({"num_return_sequences": 3, "num_beams": 2}, r"num_return_sequences \(3\) is above num_beams \(2\)"),
        ({"num_beams": 0}, "num_beams"),
        ({"temperature": 0.5}, "temperature is for sampling only"),
        ({"min_length": 9, "max_length": 5}, "min_length"),
        ({"forced_bos_token_id": 50}, "forced_bos_token_id: there is no token 50: the decoder's vocabulary has 50"),
        ({"forced_eos_token_id": [2, 77]}, "forced_eos_token_id: there is no token 77"),
        ({"bad_words_ids": [[3, 99]]}, "bad_words_ids: there is no token 99"),
        ({"suppress_tokens": [51]}, "suppress_tokens: there is no token 51"),
        ({"decoder_start_token_id": 60}, "60"),
    ],
)
def test_bad_options(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        model.generate(AUDIO, **options)
    assert "\n" not in str(caught.value)
    assert model.generate(AUDIO, max_length=4).shape[1] <= 4


def test_bad_prompts_and_inputs_of_generation(model: Any) -> None:
    for prompt in (torch.tensor([1, 2]), torch.tensor([[1.0]]), torch.ones(2, 1, dtype=torch.long)):
        with pytest.raises(InputError, match="decoder_input_ids must be whole numbers"):
            model.generate(AUDIO, decoder_input_ids=prompt)
    with pytest.raises(ArgumentError, match="token 99 is outside the decoder's vocabulary of 50"):
        model.generate(AUDIO, decoder_input_ids=torch.tensor([[1, 99]]))
    with pytest.raises(InputError, match="give input_values or encoder_outputs, one of them, got 0"):
        model.generate()
    with pytest.raises(InputError, match="attention_mask must be ones followed by zeros"):
        model.generate(AUDIO, MASK.flip(1) * (torch.arange(900) > 9))


def test_a_start_token_that_nobody_names() -> None:
    model = whole().eval()
    with pytest.raises(ArgumentError, match="generation needs a first token: set decoder_start_token_id"):
        model.generate(AUDIO)
    model.config.decoder_start_token_id = 4
    model.config.eos_token_id = 5
    assert model.generate(AUDIO, max_new_tokens=3)[0, 0] == 4


def test_strategies_that_are_not_implemented(model: Any) -> None:
    for name, value in {"num_beam_groups": 2, "penalty_alpha": 0.6, "guidance_scale": 1.5}.items():
        setattr(model.generation_config, name, value)
        with pytest.raises(ConfigError, match=f"the generation config asks for {name}={value}, which is not impl"):
            model.generate(AUDIO)
        setattr(model.generation_config, name, None)
    with pytest.raises(ConfigError, match="generation has no option num_beam; did you mean num_beams"):
        model.generation_config.num_beam = 2
    assert model.generate(AUDIO).shape[0] == 1


def test_dropped_layers_cannot_be_generated_with() -> None:
    model = make_model("bart", weights="edgespeech", decoder={"decoder_layerdrop": 0.5}).train()
    with pytest.raises(ConfigError, match=r"call model\.eval\(\) before generate"):
        model.generate(AUDIO)
