"""What the documentation of transformers shows of speech encoder-decoders, line by line.

Changed are the import, the names of checkpoints to those of folders, and the sizes of fresh models; `load_dataset`
gives noise with a text.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import TINY, make_checkpoint
from decoders import TINY as TINY_DECODERS
from decoders import make_decoder_checkpoint
from encoder_decoders import LAYER_NORM, make_encoder_decoder
from text_vocabularies import write_checkpoint

SAMPLES = 16000
FRESH = r"bert-base-uncased has no weights for bert\.encoder\.layer\.0\.crossattention\.self\.query\.weight, "


def load_dataset(name: str, config: str, split: str) -> list[dict[str, Any]]:
    audio = torch.randn(SAMPLES, generator=torch.Generator().manual_seed(0)).numpy()
    return [{"audio": {"array": audio, "sampling_rate": 16000}, "text": "one two three, mister Quilter"}]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the checkpoints there under their published names, so that the snippets need not change."""
    monkeypatch.chdir(tmp_path)
    make_checkpoint("facebook/wav2vec2-base-960h", "wav2vec2")
    make_checkpoint("facebook/hubert-large-ll60k", "hubert", head="Model", **LAYER_NORM)
    bert = Path("google-bert/bert-base-uncased")
    plain = {"is_decoder": False, "add_cross_attention": False, "vocab_size": 500}
    make_decoder_checkpoint(bert, "bert", weights="transformers", kind="BertForMaskedLM", **plain)
    write_checkpoint(bert, "bert")


def make_translator(folder: str) -> None:
    """Write what facebook/wav2vec2-xls-r-300m-en-to-15 is in small: XLS-R with adapter, mBART, MBart50Tokenizer."""
    from edgespeech import AutoTokenizer

    path = Path(folder)
    path.mkdir(parents=True)
    size = len(AutoTokenizer.from_pretrained(write_checkpoint(path, "mbart50")))
    make_encoder_decoder(path, "mbart", encoder={**LAYER_NORM, "add_adapter": True}, decoder={"vocab_size": size})
    for leftover in ("vocab.json", "special_tokens_map.json", "tokenizer_config.json"):
        (path / leftover).unlink(missing_ok=True)
    write_checkpoint(path, "mbart50")


def test_configuration_docstring() -> None:
    """Of `SpeechEncoderDecoderConfig`."""
    from edgespeech import BertConfig, SpeechEncoderDecoderConfig, SpeechEncoderDecoderModel, Wav2Vec2Config

    # Initializing a Wav2Vec2 & BERT style configuration
    config_encoder = Wav2Vec2Config(**TINY)
    config_decoder = BertConfig(**{**TINY_DECODERS["bert"], "is_decoder": False, "add_cross_attention": False})

    config = SpeechEncoderDecoderConfig(encoder=config_encoder, decoder=config_decoder)

    # Initializing a Wav2Vec2Bert model from a Wav2Vec2 & google-bert/bert-base-uncased style configurations
    model = SpeechEncoderDecoderModel(config=config)

    # Accessing the model configuration
    config_encoder = model.config.encoder
    config_decoder = model.config.decoder
    # set decoder config to causal lm
    config_decoder.is_decoder = True
    config_decoder.add_cross_attention = True

    # Saving the model, including its configuration
    model.save_pretrained("my-model")

    # loading model and config from pretrained folder
    encoder_decoder_config = SpeechEncoderDecoderConfig.from_pretrained("my-model")
    again = SpeechEncoderDecoderModel.from_pretrained("my-model", config=encoder_decoder_config)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_random_initialisation_from_configurations() -> None:
    """Of the model's page."""
    from edgespeech import BertConfig, SpeechEncoderDecoderConfig, SpeechEncoderDecoderModel, Wav2Vec2Config

    config_encoder = Wav2Vec2Config(**TINY)
    config_decoder = BertConfig(**{**TINY_DECODERS["bert"], "is_decoder": False, "add_cross_attention": False})

    config = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(config_encoder, config_decoder)
    model = SpeechEncoderDecoderModel(config=config)
    assert any("crossattention" in name for name, _ in model.named_parameters())


def test_pretrained_encoder_and_pretrained_decoder() -> None:
    """Of the model's page."""
    from edgespeech import SpeechEncoderDecoderModel

    with pytest.warns(UserWarning, match=FRESH):
        model = SpeechEncoderDecoderModel.from_encoder_decoder_pretrained(
            "facebook/hubert-large-ll60k", "google-bert/bert-base-uncased"
        )
    assert type(model.encoder).__name__ == "HubertModel"


def test_pretrained_docstring() -> None:
    """Of `from_encoder_decoder_pretrained`."""
    from edgespeech import SpeechEncoderDecoderModel

    # initialize a wav2vec2bert from a pretrained Wav2Vec2 and a pretrained BERT model. Note that the cross-attention
    # layers will be randomly initialized
    with pytest.warns(UserWarning, match=FRESH):
        model = SpeechEncoderDecoderModel.from_encoder_decoder_pretrained(
            "facebook/wav2vec2-base-960h", "google-bert/bert-base-uncased"
        )
    # saving model after fine-tuning
    model.save_pretrained("./wav2vec2bert")
    # load fine-tuned model
    model = SpeechEncoderDecoderModel.from_pretrained("./wav2vec2bert")
    assert model.decoder.config.add_cross_attention


def test_loading_and_inference() -> None:
    """Of the model's page."""
    from edgespeech import SpeechEncoderDecoderModel, Wav2Vec2Processor

    make_translator("facebook/wav2vec2-xls-r-300m-en-to-15")

    # load a fine-tuned speech translation model and corresponding processor
    model = SpeechEncoderDecoderModel.from_pretrained("facebook/wav2vec2-xls-r-300m-en-to-15")
    processor = Wav2Vec2Processor.from_pretrained("facebook/wav2vec2-xls-r-300m-en-to-15")

    # let's perform inference on a piece of English speech (which we'll translate to German)
    ds = load_dataset("hf-internal-testing/librispeech_asr_dummy", "clean", split="validation")
    input_values = processor(ds[0]["audio"]["array"], return_tensors="pt").input_values

    # autoregressively generate transcription (uses greedy decoding by default)
    generated_ids = model.generate(input_values)
    generated_text = processor.batch_decode(generated_ids, skip_special_tokens=True)[0]
    assert isinstance(generated_text, str)
    assert generated_text


def test_forward_docstring() -> None:
    """Of `SpeechEncoderDecoderModel.forward`."""
    from edgespeech import AutoProcessor, SpeechEncoderDecoderModel

    make_translator("facebook/wav2vec2-xls-r-300m-en-to-15")
    processor = AutoProcessor.from_pretrained("facebook/wav2vec2-xls-r-300m-en-to-15")
    model = SpeechEncoderDecoderModel.from_pretrained("facebook/wav2vec2-xls-r-300m-en-to-15")

    ds = load_dataset("hf-internal-testing/librispeech_asr_dummy", "clean", split="validation")

    input_values = processor(ds[0]["audio"]["array"], return_tensors="pt").input_values
    # Inference: Translate English speech to German
    generated = model.generate(input_values)
    decoded = processor.batch_decode(generated, skip_special_tokens=True)[0]
    assert isinstance(decoded, str)

    # Training: Train model on English transcription
    labels = processor(text=ds[0]["text"], return_tensors="pt").input_ids

    loss = model(input_values, labels=labels).loss
    loss.backward()
    assert loss.isfinite()


def test_training() -> None:
    """Of the model's page."""
    from edgespeech import AutoFeatureExtractor, AutoTokenizer, SpeechEncoderDecoderModel

    encoder_id = "facebook/wav2vec2-base-960h"  # acoustic model encoder
    decoder_id = "google-bert/bert-base-uncased"  # text decoder

    feature_extractor = AutoFeatureExtractor.from_pretrained(encoder_id)
    tokenizer = AutoTokenizer.from_pretrained(decoder_id)
    # Combine pre-trained encoder and pre-trained decoder to form a Seq2Seq model
    with pytest.warns(UserWarning, match=FRESH):
        model = SpeechEncoderDecoderModel.from_encoder_decoder_pretrained(encoder_id, decoder_id)

    model.config.decoder_start_token_id = tokenizer.cls_token_id
    model.config.pad_token_id = tokenizer.pad_token_id

    # load an audio input and pre-process (normalise mean/std to 0/1)
    ds = load_dataset("hf-internal-testing/librispeech_asr_dummy", "clean", split="validation")
    input_values = feature_extractor(ds[0]["audio"]["array"], return_tensors="pt").input_values

    # load its corresponding transcription and tokenize to generate labels
    labels = tokenizer(ds[0]["text"], return_tensors="pt").input_ids

    # the forward function automatically creates the correct decoder_input_ids
    loss = model(input_values=input_values, labels=labels).loss
    loss.backward()
    assert loss.isfinite()
    assert model.encoder.feature_projection.projection.weight.grad.any()

    # not of the page: what was set serves generation as well
    generated = model.generate(input_values, max_new_tokens=4)
    assert generated[0, 0] == tokenizer.cls_token_id
