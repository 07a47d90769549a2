"""`edgespeech transcribe --times-from`: an encoder-decoder's words with the times that a CTC model finds."""

import json

import edgespeech_runtime
import pytest

pytest.importorskip("soundfile")


@pytest.fixture
def aligned(bundle, translator_bundle, recordings):
    """The runtime's own two steps."""
    with edgespeech_runtime.load(translator_bundle) as writer, edgespeech_runtime.load(bundle) as model:
        text = writer.transcribe(recordings[0], max_new_tokens=3).text
        return model.align(recordings[0], text)


def test_json_has_the_words_with_times(run, bundle, translator_bundle, recordings, aligned):
    options = ("--times-from", bundle, "--max-new-tokens", 3)
    found = json.loads(run("transcribe", translator_bundle, recordings[0], *options, "--json").stdout)
    assert found["text"] == aligned.text
    assert [(w["text"], w["timing"]) for w in found["words"]] == [(w.text, w.timing) for w in aligned.words]
    assert [w["start"] for w in found["words"]] == pytest.approx([w.start for w in aligned.words], abs=0.0006)
    subtitles = run("transcribe", translator_bundle, recordings[0], *options, "--srt").stdout
    assert subtitles == edgespeech_runtime.to_srt(aligned)


def test_times_that_nothing_would_show_are_refused(refused, bundle, translator_bundle, recordings):
    message = refused("transcribe", translator_bundle, recordings[0], "--times-from", bundle)
    assert "--times-from is for results with times: add --timestamps, --json, --srt or --vtt" in message


def test_a_ctc_model_has_its_own(refused, bundle, recordings):
    message = refused("transcribe", bundle, recordings[0], "--times-from", bundle, "--json")
    assert "--times-from is not for" in message


def test_a_model_that_cannot_align(refused, translator_bundle, recordings):
    message = refused("transcribe", translator_bundle, recordings[0], "--times-from", translator_bundle, "--json")
    assert "is an encoder-decoder, which cannot align a text: use a bundle of a CTC model" in message
