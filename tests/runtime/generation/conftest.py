"""Tiny random models of transformers whose generations end at different lengths."""

import warnings

import numpy as np
import pytest
import torch
import transformers
from generation_cases import END, PAD, START, WholeSequences

VOCABULARY = 40


@pytest.fixture(autouse=True)
def quiet():
    """Advice of transformers about options that it takes all the same."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="transformers")
        yield
    transformers.logging.set_verbosity(verbosity)


def enliven(model, head):
    """Weights that make some tokens likely after others, and the end token likely now and then."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.35)
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * 0.7)
        head.bias = torch.nn.Parameter(torch.randn(VOCABULARY, generator=generator) * 0.3)
        head.bias[END] = 1.6
    return model.eval()


class Reference:
    """A model of transformers and two ways to generate with it: its own, and a `Decoder` for the runtime's loop."""

    def __init__(self, model, longest=24):
        self.model, self.longest = model, longest

    def inputs(self, batch, seed):
        """Encoder states (batch, 5, 16): what the generated sequences depend on."""
        return torch.randn((batch, 5, 16), generator=torch.Generator().manual_seed(seed)) * 2

    def decoder(self, states):
        def logits(sequences, utterances):
            with torch.no_grad():
                return self._forward(torch.as_tensor(sequences), states[torch.as_tensor(utterances)])[:, -1].numpy()

        return WholeSequences(logits)

    def generate(self, states, prompt, **options):
        """transformers' own, all outputs."""
        options = {"use_cache": False, "return_dict_in_generate": True, "output_scores": True, **options}
        return self.model.generate(**self._arguments(states, torch.as_tensor(prompt)), **options)


class SpeechBert(Reference):
    """wav2vec2 and BERT in one SpeechEncoderDecoderModel."""

    def __init__(self):
        encoder = transformers.Wav2Vec2Config(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8,),
            conv_kernel=(10,),
            conv_stride=(320,),
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
        )
        decoder = transformers.BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=24,
            max_position_embeddings=24,
            tie_word_embeddings=False,
        )
        config = transformers.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
        config.decoder_start_token_id, config.pad_token_id, config.tie_word_embeddings = START, PAD, False
        model = transformers.SpeechEncoderDecoderModel(config)
        super().__init__(enliven(model, model.decoder.cls.predictions.decoder))

    def _forward(self, sequences, states):
        return self.model(encoder_outputs=(states,), decoder_input_ids=sequences, use_cache=False).logits

    def _arguments(self, states, prompt):
        outputs = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=states)
        return {"encoder_outputs": outputs, "decoder_input_ids": prompt, "decoder_start_token_id": START}


class Gpt2(Reference):
    """GPT-2 alone: prompts of several tokens; the states are not used."""

    def __init__(self):
        config = transformers.GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=16,
            n_layer=1,
            n_head=2,
            n_positions=24,
            bos_token_id=START,
            eos_token_id=END,
            tie_word_embeddings=False,
        )
        model = transformers.GPT2LMHeadModel(config)
        super().__init__(enliven(model, model.lm_head))

    def _forward(self, sequences, states):
        return self.model(sequences, use_cache=False).logits

    def _arguments(self, states, prompt):
        return {"input_ids": prompt, "attention_mask": torch.ones_like(prompt)}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small lose time to threads that wait for each other."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


@pytest.fixture(scope="session")
def references():
    """By name; made once."""
    return {"speech-bert": SpeechBert(), "gpt2": Gpt2()}


def make_prompt(kind, batch, rng):
    """START, and for GPT-2 different tokens after it: (batch, length)."""
    if kind == "gpt2":
        return np.concatenate([np.zeros((batch, 1), np.int64), rng.integers(3, VOCABULARY, (batch, 2))], axis=1)
    return np.full((batch, 1), START, np.int64)


@pytest.fixture(name="make_prompt")
def _make_prompt():
    return make_prompt
