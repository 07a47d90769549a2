"""The checkpoint that comes with the project: what its model card says of it, on recordings that it was not trained on.

Its bundles run here, in both engines, as on a device.
"""

import csv
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import edgespeech_runtime
import jiwer
import pytest
import torch
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import CtcModel, read_audio
from other_runtimes import RATE, onnx_asr_texts, sherpa_texts, squeezed
from places import EMBEDDED, FIXTURES, SPEECH
from tracing import tracing_once

from edgespeech import Wav2Vec2ForCTC, Wav2Vec2Processor

CHECKPOINT = EMBEDDED / "ctc-en-small"
ENGINES = ("onnx", "openvino")

Row = dict[str, str]


def held_out_digit(row: Row) -> bool:
    """As in training: every tenth take of each digit by each speaker."""
    return Path(row["path"]).stem.endswith("7")


def held_out_keyword(row: Row) -> bool:
    """As in training: a tenth of the files, by a checksum of the name."""
    return zlib.crc32(row["path"].encode()) % 10 == 0


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, traces: Path) -> dict[str, Path]:
    """The checkpoint's bundle for each engine."""
    folder = tmp_path_factory.mktemp("embedded")
    for engine in ENGINES:
        with tracing_once(traces, CHECKPOINT.name):
            export(CHECKPOINT, folder / engine, ExportOptions(engine=engine))  # type: ignore[arg-type]
    return {engine: folder / engine for engine in ENGINES}


@pytest.fixture(params=ENGINES)
def model(request: pytest.FixtureRequest, bundles: dict[str, Path]) -> Iterator[CtcModel]:
    """The bundle, loaded."""
    with edgespeech_runtime.load(bundles[request.param]) as loaded:
        yield loaded


def samples() -> list[Row]:
    with (FIXTURES / "samples-espeak" / "samples.tsv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_the_samples_say_what_they_say(model: CtcModel) -> None:
    rows = samples()
    assert len(rows) >= 3
    heard = [model.transcribe(FIXTURES / "samples-espeak" / row["path"]) for row in rows]
    assert jiwer.cer([row["transcript"] for row in rows], [transcript.text for transcript in heard]) < 0.2
    for transcript in heard:
        times = [time for word in transcript.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= transcript.duration


def test_the_runtime_hears_what_the_reference_model_hears(model: CtcModel) -> None:
    processor = Wav2Vec2Processor.from_pretrained(CHECKPOINT)
    reference = Wav2Vec2ForCTC.from_pretrained(CHECKPOINT)
    for row in samples():
        audio = read_audio(FIXTURES / "samples-espeak" / row["path"], RATE)
        values = processor(audio=audio, sampling_rate=RATE, return_tensors="pt").input_values
        with torch.inference_mode():
            ids = reference(values).logits.argmax(-1)
        assert model.transcribe(audio).text == processor.batch_decode(ids)[0]


def test_other_runtimes_hear_the_same(bundles: dict[str, Path]) -> None:
    waveforms = [read_audio(FIXTURES / "samples-espeak" / row["path"], RATE) for row in samples()]
    with edgespeech_runtime.load(bundles["onnx"]) as model:
        expected = [squeezed(transcript.text) for transcript in model.transcribe(waveforms)]
    assert sherpa_texts(bundles["onnx"], waveforms) == expected
    assert onnx_asr_texts(bundles["onnx"], waveforms) == (expected, expected)


@pytest.mark.parametrize(
    ("corpus", "held_out", "limit"), [("fsdd", held_out_digit, 0.03), ("keywords", held_out_keyword, 0.05)]
)
def test_word_errors_on_recordings_held_out_of_training(
    model: CtcModel, corpus: str, held_out: Callable[[Row], bool], limit: float
) -> None:
    table = SPEECH / corpus / "train.tsv"
    if not table.is_file():
        pytest.skip(f"needs the recordings of {corpus}: set EDGESPEECH_SPEECH to the folder of speech data")
    with table.open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if held_out(row)]
    heard: list[Any] = model.transcribe([SPEECH / corpus / row["path"] for row in rows])
    errors = jiwer.wer([row["transcript"] for row in rows], [transcript.text for transcript in heard])
    assert len(rows) > 100
    assert errors <= limit, f"{errors:.2%} of words wrong in {len(rows)} utterances"
