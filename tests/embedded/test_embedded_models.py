"""The English models that come with edgespeech, as bundles in both engines: on what comes along, and on real speech."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
import torch
import transformers
from edgespeech_calib import SpeechSet, normalise, open_set, score
from edgespeech_runtime import CtcModel, EncoderDecoderModel, Transcript
from other_runtimes import RATE, onnx_asr_texts, sherpa_texts, squeezed, texts_by_contract
from places import SAMPLES, SENTENCES, embedded, real_speech

import edgespeech

Model = CtcModel | EncoderDecoderModel
Bundles = Callable[[str, str], Path]

ENGINES = ("onnx", "openvino")
# Word errors on the samples, and on real recordings that are not trained on: what the model cards say, and a margin.
MOST = {
    "ctc-en": {"samples": 0.45, "fsdd": 0.08, "keywords": 0.25, "dev-clean": 0.65, "test-other": 0.8},
    "dictation-en": {"samples": 0.1, "fsdd": 0.08, "keywords": 0.15, "dev-clean": 0.15, "test-other": 0.22},
}
HELD_OUT = 20  # of the short sets, one recording in so many is not trained on
SOUNDLESS = 20  # sounds in which nobody speaks


@pytest.fixture(scope="module")
def samples() -> SpeechSet:
    return open_set(SAMPLES)


def waveforms(data: SpeechSet) -> list[np.ndarray]:
    return [utterance.audio.read(RATE) for utterance in data]


def wer(said: Sequence[str], heard: Sequence[Transcript]) -> float:
    """Word errors, in capitals and without punctuation."""
    return score([normalise(text, "basic") for text in said], [normalise(one.text, "basic") for one in heard]).wer


def name(model: Model) -> str:
    return str(model.manifest.provenance["checkpoint"])


def test_the_samples_say_what_they_say(model: Model, samples: SpeechSet) -> None:
    heard = model.transcribe(waveforms(samples))
    assert wer([utterance.text or "" for utterance in samples], heard) <= MOST[name(model)]["samples"]
    assert [one.text for one, utterance in zip(heard, samples, strict=True) if not utterance.text] == [""]


def test_words_come_with_their_times_or_with_case_and_punctuation(model: Model, samples: SpeechSet) -> None:
    for one, utterance in zip(model.transcribe(waveforms(samples)), samples, strict=True):
        if isinstance(model, EncoderDecoderModel):
            assert not utterance.text or (one.text[0].isupper() and one.text[-1] in ".?!")
            continue
        assert one.text == one.text.upper()
        assert [word.text for word in one.words] == one.text.split()
        times = [time for word in one.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(0 <= time <= one.duration for time in times)


def test_a_padded_batch_gives_what_each_gives_alone(model: Model, samples: SpeechSet) -> None:
    audio = waveforms(samples)
    together = model.transcribe(audio, batch_size=len(audio))
    assert [one.text for one in together] == [model.transcribe(waveform).text for waveform in audio]
    if isinstance(model, EncoderDecoderModel):
        alone = [model.generate(waveform, num_beams=4) for waveform in audio]
        assert model.generate(audio, num_beams=4, batch_size=len(audio)) == alone


def test_there_is_no_text_where_nobody_speaks(model: Model) -> None:
    """Silence, noises of several colours and loudnesses, hum: 1 to 4 s of each."""
    rng, texts = np.random.default_rng(0), []
    for index in range(SOUNDLESS):
        samples = int(rng.uniform(1, 4) * RATE)
        hertz = np.fft.rfftfreq(samples, 1 / RATE)
        spectrum = np.fft.rfft(rng.standard_normal(samples)) * np.maximum(hertz, 30) ** -rng.uniform(0, 1.5)
        sound = np.fft.irfft(spectrum, samples)
        if index % 4 == 0:
            sound = np.zeros(samples)
        elif index % 4 == 1:
            sound += 4 * sound.std() * np.sin(2 * np.pi * rng.choice([50, 60, 100]) * np.arange(samples) / RATE)
        texts.append(model.transcribe((0.1 * sound / max(np.abs(sound).max(), 1e-9)).astype(np.float32)).text)
    assert len([text for text in texts if text]) <= SOUNDLESS // 20, texts


def test_transformers_hears_the_same_letters(samples: SpeechSet) -> None:
    checkpoint = embedded("ctc-en")
    ours = edgespeech.Wav2Vec2ForCTC.from_pretrained(checkpoint).float().eval()
    theirs = transformers.Wav2Vec2ForCTC.from_pretrained(checkpoint, dtype=torch.float32).eval()
    processor = edgespeech.Wav2Vec2Processor.from_pretrained(checkpoint)
    processor_there = transformers.Wav2Vec2Processor.from_pretrained(checkpoint)
    for waveform in waveforms(samples):
        values = processor(audio=waveform, sampling_rate=RATE, return_tensors="pt").input_values
        there = processor_there(waveform, sampling_rate=RATE, return_tensors="pt").input_values
        with torch.inference_mode():
            ids, ids_there = ours(values).logits.argmax(-1), theirs(there).logits.argmax(-1)
        assert ids.tolist() == ids_there.tolist()
        assert processor.batch_decode(ids) == processor_there.batch_decode(ids_there)


@pytest.mark.parametrize("beams", [1, 4])
def test_transformers_writes_the_same_tokens(samples: SpeechSet, beams: int) -> None:
    checkpoint = embedded("dictation-en")
    ours = edgespeech.SpeechEncoderDecoderModel.from_pretrained(checkpoint).float().eval()
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    extractor = edgespeech.AutoFeatureExtractor.from_pretrained(checkpoint)
    extractor_there = transformers.AutoFeatureExtractor.from_pretrained(checkpoint)
    for waveform in waveforms(samples):
        values = extractor(waveform, sampling_rate=RATE, return_tensors="pt").input_values
        there = extractor_there(waveform, sampling_rate=RATE, return_tensors="pt").input_values
        tokens = ours.generate(values, num_beams=beams)
        assert tokens.tolist() == theirs.generate(there, num_beams=beams).tolist()


@pytest.mark.parametrize("checkpoint", ["ctc-en", "dictation-en"])
def test_the_tokenizer_is_that_of_transformers(checkpoint: str) -> None:
    ours = edgespeech.AutoTokenizer.from_pretrained(embedded(checkpoint))
    theirs = transformers.AutoTokenizer.from_pretrained(embedded(checkpoint))
    texts = [utterance.text or "" for utterance in open_set(SENTENCES)]
    for text in [normalise(text, "basic") for text in texts] if checkpoint == "ctc-en" else texts:
        ids = ours(text).input_ids
        assert ids == theirs(text).input_ids
        decoded = ours.decode(ids, skip_special_tokens=True)
        assert decoded == theirs.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("engine", [pytest.param("onnx", marks=pytest.mark.slow), "openvino"])
def test_the_runtime_writes_the_tokens_of_the_reference_model(bundle: Bundles, engine: str, samples: SpeechSet) -> None:
    checkpoint = embedded("dictation-en")
    reference = edgespeech.SpeechEncoderDecoderModel.from_pretrained(checkpoint).float().eval()
    extractor = edgespeech.AutoFeatureExtractor.from_pretrained(checkpoint)
    with edgespeech_runtime.load(bundle("dictation-en", engine)) as model:
        for waveform in waveforms(samples):
            values = extractor(waveform, sampling_rate=RATE, return_tensors="pt").input_values
            assert model.generate(waveform) == reference.generate(values)[0].tolist()


def test_other_runtimes_give_the_same_text(bundle: Bundles, samples: SpeechSet) -> None:
    folder, audio = bundle("ctc-en", "onnx"), waveforms(samples)
    with edgespeech_runtime.load(folder) as model:
        expected = [squeezed(transcript.text) for transcript in model.transcribe(audio)]
    assert sherpa_texts(folder, audio) == expected
    assert texts_by_contract(folder, audio) == expected
    assert onnx_asr_texts(folder, audio) == (expected, expected)


def held_out(corpus: str) -> tuple[list[Path], list[str]]:
    """The recordings of a short set that are not trained on, and what is said in them."""
    folder = real_speech(corpus)
    with (folder / "train.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))[::HELD_OUT]
    return [folder / row["path"] for row in rows], [row["transcript"] for row in rows]


def read_aloud(corpus: str) -> tuple[list[np.ndarray], list[str]]:
    """Utterances of a set of LibriSpeech, and what is said in them."""
    data = open_set(real_speech(f"LibriSpeech/{corpus}")).transcribed()
    return waveforms(data), [utterance.text or "" for utterance in data]


@pytest.mark.parametrize("checkpoint", ["ctc-en", "dictation-en"])
@pytest.mark.parametrize("corpus", ["fsdd", "keywords"])
def test_word_errors_on_held_out_recordings(bundle: Bundles, checkpoint: str, corpus: str) -> None:
    files, texts = held_out(corpus)
    assert len(files) > 50
    with edgespeech_runtime.load(bundle(checkpoint, "onnx")) as model:
        errors = wer(texts, model.transcribe(files))
    assert errors <= MOST[checkpoint][corpus], f"{errors:.1%} of words wrong in {len(files)} recordings"


@pytest.mark.parametrize("checkpoint", ["ctc-en", "dictation-en"])
@pytest.mark.parametrize("corpus", ["dev-clean", pytest.param("test-other", marks=pytest.mark.slow)])
def test_word_errors_on_librispeech(bundle: Bundles, checkpoint: str, corpus: str) -> None:
    audio, texts = read_aloud(corpus)
    with edgespeech_runtime.load(bundle(checkpoint, "onnx")) as model:
        errors = wer(texts, [model.transcribe(waveform) for waveform in audio])
    assert errors <= MOST[checkpoint][corpus], f"{errors:.1%} of words wrong in {len(texts)} utterances"
