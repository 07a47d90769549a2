"""Bad input: one clear line each, before any work where it can be known before, and nothing is written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
from edgespeech_export import ExportError, ExportOptions, export
from edgespeech_runtime.errors import ArgumentError, AudioError
from exported_models import ENGINES, Pairs, sounds

from edgespeech.errors import CheckpointError, ConfigError, EdgeSpeechError, MissingFileError

LONGEST, VOCABULARY = 40, 50
STARTS = ("decoder_start_token_id", "bos_token_id")


@pytest.fixture
def checkpoint(pairs: Pairs, tmp_path: Path) -> Path:
    """A copy of the checkpoint with a BART decoder, to damage."""
    return Path(shutil.copytree(pairs.checkpoint("bart"), tmp_path / "checkpoint"))


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Let `edit` alter a JSON file of a checkpoint."""
    content = json.loads((folder / name).read_text("utf-8"))
    edit(content)
    (folder / name).write_text(json.dumps(content), "utf-8")


def without_start(config: dict[str, Any]) -> None:
    for part in (config, config.get("decoder", {}), config.get("encoder", {})):
        for name in STARTS:
            part.pop(name, None)
            part.update({name: None} if part is not config else {})


def refused(folder: Path, kind: type[Exception] | tuple[type[Exception], ...], match: str) -> None:
    """The export raises one line and leaves no file behind."""
    before = sorted(folder.parent.iterdir())
    with pytest.raises(kind, match=match) as caught:
        export(folder, folder.parent / "bundle")
    assert "\n" not in str(caught.value)
    assert sorted(folder.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("decoder", "match"),
    [
        ({"cross_attention_hidden_size": 99}, "cross_attention_hidden_size must be .* 24, got 99"),
        ({"model_type": "t5"}, "t5"),
        ({"decoder_attention_heads": 5}, "heads"),
        ({"d_model": 28}, "enc_to_dec_proj"),
        ({"vocab_size": 51}, "51|shape"),
        ({"decoder_layers": 4}, "layers.3|missing"),
    ],
    ids=str,
)
def test_halves_that_do_not_fit(checkpoint: Path, decoder: dict[str, Any], match: str) -> None:
    change(checkpoint, "config.json", lambda config: config["decoder"].update(decoder))
    refused(checkpoint, EdgeSpeechError, match)


def test_a_decoder_without_cross_attention(pairs: Pairs, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pairs.checkpoint("gpt2"), tmp_path / "checkpoint"))
    change(folder, "config.json", lambda config: config["decoder"].update(add_cross_attention=False))
    refused(folder, EdgeSpeechError, "cross-attention|crossattention")


def test_no_tokenizer(checkpoint: Path) -> None:
    for name in ("vocab.json", "tokenizer_config.json", "special_tokens_map.json"):
        (checkpoint / name).unlink()
    refused(checkpoint, (MissingFileError, CheckpointError), "vocab|tokenizer")


def test_no_feature_extractor(checkpoint: Path) -> None:
    (checkpoint / "preprocessor_config.json").unlink()
    refused(checkpoint, MissingFileError, "preprocessor_config")


def test_no_start_token(checkpoint: Path) -> None:
    for name in ("config.json", "generation_config.json"):
        change(checkpoint, name, without_start)
    refused(checkpoint, ExportError, "decoder_start_token_id")


def test_a_start_token_outside_the_vocabulary(checkpoint: Path) -> None:
    change(checkpoint, "generation_config.json", lambda config: config.update(decoder_start_token_id=VOCABULARY))
    refused(checkpoint, (ExportError, ConfigError), f"{VOCABULARY}.* vocabulary")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_beam_groups": 2, "diversity_penalty": 0.5}, "num_beam_groups|diversity_penalty"),
        ({"penalty_alpha": 0.6, "top_k": 4}, "penalty_alpha"),
        ({"force_words_ids": [[5]]}, "force_words_ids"),
        ({"encoder_repetition_penalty": 1.5}, "encoder_repetition_penalty"),
        ({"guidance_scale": 2.0}, "guidance_scale"),
        ({"num_beams": 2, "num_return_sequences": 3}, r"num_return_sequences \(3\) is above num_beams \(2\)"),
        ({"do_sample": True, "temperature": 0.0}, "temperature"),
        ({"repetition_penalty": -1.0}, "repetition_penalty"),
        ({"num_beams": "four"}, "num_beams"),
        ({"forced_bos_token_id": VOCABULARY}, f"there is no token {VOCABULARY}"),
        ({"suppress_tokens": [3, VOCABULARY + 5]}, f"there is no token {VOCABULARY + 5}"),
    ],
    ids=str,
)
def test_generation_configs_that_cannot_be_followed(checkpoint: Path, options: dict[str, Any], match: str) -> None:
    change(checkpoint, "generation_config.json", lambda config: config.update(options))
    refused(checkpoint, (ExportError, ConfigError), match)


def test_a_language_is_for_ctc_checkpoints(checkpoint: Path) -> None:
    with pytest.raises(ExportError, match="takes its language when it transcribes"):
        export(checkpoint, checkpoint.parent / "bundle", ExportOptions(target_lang="deu"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_length": LONGEST + 1}, "max_length: sequences of 41 tokens are above the 40 positions"),
        ({"max_new_tokens": LONGEST}, "max_new_tokens: sequences of 41 tokens are above the 40 positions"),
        ({"max_length": 1}, "no room"),
        ({"num_beems": 4}, "did you mean num_beams"),
        ({"colour": 4}, "there is no generation option 'colour': expected one of "),
        ({"do_sample": True, "temperature": 0}, "temperature: sampling needs a number above 0"),
        ({"temperature": 0.5}, "temperature is for sampling only"),
        ({"num_return_sequences": 3}, r"num_return_sequences \(3\) is above num_beams \(1\)"),
        ({"num_beams": 2, "num_return_sequences": 3}, r"num_return_sequences \(3\) is above num_beams \(2\)"),
        ({"min_length": 12, "max_length": 10}, "min_length"),
        ({"forced_bos_token_id": VOCABULARY}, "forced_bos_token_id: there is no token 50"),
        ({"forced_eos_token_id": [2, 99]}, "forced_eos_token_id: there is no token 99"),
        ({"bad_words_ids": [[5, 77]]}, "bad_words_ids: there is no token 77"),
        ({"decoder_start_token_id": VOCABULARY}, "there is no token 50"),
        ({"eos_token_id": [2, 50]}, "eos_token_id: there is no token 50"),
        ({"forced_bos_token_id": 7, "suppress_tokens": [7]}, "it cannot be both"),
        ({"num_beams": 0}, "num_beams: expected a whole number of at least 1"),
        ({"num_beams": True}, "num_beams: expected a whole number"),
        ({"timestamps": "word"}, "timestamps"),
        ({"batch_size": 0}, "batch_size"),
        ({"language": "de"}, "no tokens for languages"),
    ],
    ids=str,
)
def test_options(pairs: Pairs, engine: str, options: dict[str, Any], match: str) -> None:
    runtime = pairs.pair("bart", engine).runtime
    assert runtime.manifest.decoder.longest == LONGEST
    with pytest.raises(ArgumentError, match=match) as caught:
        runtime.transcribe(sounds(3000), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_options_are_judged_before_the_audio_is_encoded(pairs: Pairs, engine: str) -> None:
    runtime = pairs.pair("bart", engine).runtime
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime._graphs, "run", lambda name, inputs: pytest.fail("the encoder ran"))
        for options in ({"max_length": 41}, {"forced_bos_token_id": 50}, {"decoder_start_token_id": 50}):
            with pytest.raises(ArgumentError):
                runtime.transcribe(sounds(3000), **options)


@pytest.mark.parametrize("engine", ENGINES)
def test_audio(pairs: Pairs, engine: str) -> None:
    runtime = pairs.pair("bart", engine).runtime
    shortest = runtime.manifest.audio.shortest
    assert runtime.transcribe(sounds(shortest)[0]).duration == pytest.approx(shortest / 16000)
    for bad in (sounds(shortest - 1)[0], np.full(3000, np.nan, np.float32), np.zeros((3, 4, 5), np.float32)):
        with pytest.raises(AudioError):
            runtime.generate(bad)
    assert runtime.transcribe([]) == runtime.generate([]) == []


def test_a_bundle_of_one_engine_is_told_from_the_other(pairs: Pairs) -> None:
    for engine in ENGINES:
        assert isinstance(pairs.pair("bart", engine).runtime, edgespeech_runtime.EncoderDecoderModel)
