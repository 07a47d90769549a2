"""The translator of spoken digits, a fixture: what its model card says, on recordings that it was not trained on."""

import csv
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
import pytest
import safetensors
import torch
import transformers
from edgespeech_runtime import read_audio
from places import TRANSLATED as SAMPLES
from places import TRANSLATOR as CHECKPOINT
from spoken_digits import GERMAN, held_out_takes

from edgespeech import AutoTokenizer, SpeechEncoderDecoderModel, Wav2Vec2Processor

RATE = 16000  # Hz
SLOT = 0.24  # seconds
STRINGS = 60
LARGEST = 7_200_000  # bytes: it is in git

Row = dict[str, str]


@pytest.fixture(scope="module")
def model() -> SpeechEncoderDecoderModel:
    return SpeechEncoderDecoderModel.from_pretrained(CHECKPOINT).float().eval()


@pytest.fixture(scope="module")
def processor() -> Wav2Vec2Processor:
    return Wav2Vec2Processor.from_pretrained(CHECKPOINT)


def samples() -> list[Row]:
    with (SAMPLES / "samples.tsv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def translated(model: SpeechEncoderDecoderModel, processor: Wav2Vec2Processor, audio: np.ndarray) -> str:
    values = processor(audio=audio, sampling_rate=RATE, return_tensors="pt").input_values
    return processor.batch_decode(model.generate(values), skip_special_tokens=True)[0]


def test_it_is_small_and_says_what_it_is(model: SpeechEncoderDecoderModel) -> None:
    assert (CHECKPOINT / "model.safetensors").stat().st_size <= LARGEST
    with safetensors.safe_open(CHECKPOINT / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}  # noqa: SIM118
    assert (model.encoder.config.model_type, model.decoder.config.model_type) == ("wav2vec2", "bart")
    assert model.enc_to_dec_proj is not None
    assert (CHECKPOINT / "README.md").is_file()


def test_it_translates_its_samples(model: SpeechEncoderDecoderModel, processor: Wav2Vec2Processor) -> None:
    rows = samples()
    assert len(rows) >= 3
    said = [translated(model, processor, read_audio(SAMPLES / row["path"], RATE)) for row in rows]
    assert said == [row["transcript"] for row in rows]


def test_a_padded_batch_gives_what_each_gives_alone(
    model: SpeechEncoderDecoderModel, processor: Wav2Vec2Processor
) -> None:
    audios = [read_audio(SAMPLES / row["path"], RATE) for row in samples()]
    batch = processor(audio=audios, sampling_rate=RATE, padding=True, return_attention_mask=True, return_tensors="pt")
    tokens = model.generate(batch.input_values, batch.attention_mask)
    assert processor.batch_decode(tokens, skip_special_tokens=True) == [row["transcript"] for row in samples()]


def test_it_writes_a_word_or_the_mask_for_each_slot_of_time(
    model: SpeechEncoderDecoderModel, processor: Wav2Vec2Processor
) -> None:
    for row in samples():
        audio = read_audio(SAMPLES / row["path"], RATE)
        tokens = model.generate(processor(audio=audio, sampling_rate=RATE, return_tensors="pt").input_values)[0]
        words = [token for token in tokens.tolist() if token not in processor.tokenizer.all_special_ids]
        assert len(words) == len(row["transcript"].split())
        assert tokens[-1] == model.config.eos_token_id
        assert len(tokens) == pytest.approx(len(audio) / RATE / SLOT, abs=4)


def test_training_goes_on_from_it(model: SpeechEncoderDecoderModel, processor: Wav2Vec2Processor) -> None:
    """Its labels are a token for each slot and the end; of what it writes itself it is sure."""
    row = samples()[0]
    values = processor(audio=read_audio(SAMPLES / row["path"], RATE), sampling_rate=RATE, return_tensors="pt")
    tokens = model.generate(values.input_values)
    with torch.inference_mode():
        assert model(values.input_values, labels=tokens[:, 1:]).loss < 0.2


def test_the_reference_library_loads_it_and_generates_the_same(
    model: SpeechEncoderDecoderModel, processor: Wav2Vec2Processor
) -> None:
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    processor_there = transformers.Wav2Vec2Processor.from_pretrained(CHECKPOINT)
    tokenizer_there = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    for row in samples():
        audio = read_audio(SAMPLES / row["path"], RATE)
        ours = processor(audio=audio, sampling_rate=RATE, return_tensors="pt").input_values
        there = processor_there(audio, sampling_rate=RATE, return_tensors="pt").input_values
        torch.testing.assert_close(ours, there)
        tokens = model.generate(ours)
        assert tokens.tolist() == theirs.generate(there).tolist()
        assert tokenizer.decode(tokens[0], skip_special_tokens=True) == tokenizer_there.decode(
            tokens[0], skip_special_tokens=True
        )
        assert tokenizer(row["transcript"]).input_ids == tokenizer_there(row["transcript"]).input_ids


def strings(rng: np.random.Generator) -> tuple[list[np.ndarray], list[str]]:
    """Strings of 1 to 10 held-out recordings with pauses."""
    takes = held_out_takes()
    speakers = sorted({speaker for speaker, _ in takes})
    audios, texts = list[np.ndarray](), list[str]()
    for _ in range(STRINGS):
        words = rng.choice(list(GERMAN), rng.integers(1, 11))
        speaker = rng.choice(speakers)
        parts = [_silence(rng)]
        for word in words:
            paths: Sequence[Path] = takes[str(speaker), str(word)]
            parts += [read_audio(paths[rng.integers(len(paths))], RATE), _silence(rng)]
        audios.append(np.concatenate(parts))
        texts.append(" ".join(GERMAN[str(word)] for word in words))
    return audios, texts


def _silence(rng: np.random.Generator) -> np.ndarray:
    return np.zeros(int(rng.uniform(0.05, 0.8) * RATE), np.float32)


def test_words_wrong_on_strings_of_recordings_held_out_of_training(
    model: SpeechEncoderDecoderModel, processor: Wav2Vec2Processor
) -> None:
    audios, texts = strings(np.random.default_rng(0))
    errors = jiwer.wer(texts, [translated(model, processor, audio) for audio in audios])
    assert errors <= 0.03, f"{errors:.2%} of words wrong in {len(texts)} strings"
