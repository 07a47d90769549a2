"""Bundles of further decoders over further encoders: what they write is what transformers writes, in every engine."""

from pathlib import Path

import edgespeech_runtime
import pytest
import transformers
from checkpoints import THEIR_MASKS, Family, waveforms
from edgespeech_export import ExportOptions, export
from further_decoders import make_further
from kinds import ENGINES

from edgespeech import AutoFeatureExtractor

PAIRS: dict[str, Family] = {
    "roberta": "wavlm",
    "xlm-roberta": "unispeech-sat",
    "trocr": "data2vec-audio",
    "marian": "wavlm",
}
FAST = (("xlm-roberta", "openvino"), ("roberta", "numpy"))
CASES = [
    pytest.param(decoder, engine, marks=[] if (decoder, engine) in FAST else [pytest.mark.slow])
    for decoder in PAIRS
    for engine in ENGINES
]


@THEIR_MASKS
@pytest.mark.parametrize(("decoder", "engine"), CASES)
def test_tokens(tmp_path: Path, decoder: str, engine: str) -> None:
    folder = make_further(tmp_path / "checkpoint", decoder, PAIRS[decoder])
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager").eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    audio, _ = waveforms(3000, 1700)
    sounds = [audio[0].numpy(), audio[1, :1700].numpy()]
    given = [extractor(sound, sampling_rate=16000, return_tensors="pt") for sound in sounds]
    export(folder, tmp_path / "bundle", ExportOptions(engine=engine))  # type: ignore[arg-type]
    with edgespeech_runtime.load(tmp_path / "bundle") as model:
        for beams in (1, 3):
            options = {"num_beams": beams, "max_length": 14, "min_length": 6}
            expected = [theirs.generate(**each, **options)[0].tolist() for each in given]
            assert len(set(expected[0])) > 4
            assert expected[0] != expected[1]
            assert [list(model.generate(sound, **options)) for sound in sounds] == expected
            assert [list(row) for row in model.generate(sounds, **options)] == expected
