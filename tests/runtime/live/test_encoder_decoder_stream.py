"""Streams of encoder-decoders: each part is written once it is complete, and what was written stays."""

import numpy as np
import pytest
from edgespeech_runtime import load
from edgespeech_runtime.errors import ArgumentError, EngineError
from edgespeech_runtime.long.speech import SpeechOptions, speech_spans
from tone_translator import write_bundle
from tones import RATE, spoken

TAIL = round(0.2 * RATE)  # samples of silence behind a part
MANY = {"min_new_tokens": 90, "max_new_tokens": 120}  # the model would end in the silence before the first tone


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with load(write_bundle(tmp_path_factory.mktemp("live"), "onnx"), threads=1) as loaded:
        yield loaded


def pause(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.fixture(scope="module")
def recording():
    """Two parts of an utterance, and one of another."""
    texts = ["AAABBB|CCC|AAA" * 3, "CCCC|B|AAAAA|B|C" * 3, "A|C|B|BB" * 6]
    first, second, third = map(spoken, texts)
    return np.concatenate([pause(0.6), first, pause(1.0), second, pause(3.0), third, pause(0.1)])


def run(stream, samples, sizes, **options):
    events, at = [], 0
    for size in [*sizes, len(samples)]:
        events += stream.feed(samples[at : at + size], **options)
        at += size
    return events + stream.finish()


def finals(events):
    return [event for event in events if event.is_final]


def test_parts_of_an_utterance_are_one_text(model, recording):
    found = finals(run(model.stream(**MANY), recording, [1600] * 200))
    spans = speech_spans(recording, RATE, SpeechOptions(before=0.3, behind=0.5))
    texts = [model.transcribe(np.pad(recording[start:end], (0, TAIL)), **MANY).text for start, end in spans]
    assert [event.text for event in found] == [f"{texts[0]} {texts[1]}", texts[2]]
    times = [time for event in found for time in (event.start, event.end)]
    assert times == [at / RATE for at in (spans[0].start, spans[1].end, spans[2].start, spans[2].end)]
    assert times == pytest.approx([0.3, 3.9, 6.1, len(recording) / RATE], abs=0.1)
    assert [event.reason for event in found] == ["silence", "finish"]
    assert [event.utterance for event in found] == [0, 1]
    assert [event.words for event in found] == [[], []]


def test_final_events_do_not_depend_on_how_samples_are_cut(model, recording):
    expected = finals(run(model.stream(**MANY), recording, []))
    for seed in range(10):
        sizes = (10 ** np.random.default_rng(seed).uniform(0, 5, 60)).astype(int)
        events = run(model.stream(**MANY), recording, sizes, partials=seed % 2 > 0)
        assert finals(events) == expected
        if seed % 2 == 0:
            assert events == expected


def test_what_was_written_stays(model, recording):
    pieces = []
    events = run(model.stream(on_text=pieces.append, **MANY), recording, [800] * 300)
    committed, number = "", 0
    for event in events:
        assert event.text == event.committed + event.tentative
        assert event.utterance == number
        assert event.committed.startswith(committed)
        committed, number = ("", number + 1) if event.is_final else (event.committed, number)
    assert len(events) - len(finals(events)) > 5
    assert "".join(pieces) == " ".join(event.text for event in finals(events))


def test_the_longest_utterance(model):
    samples = np.concatenate([part for text in "ABC" * 3 for part in (spoken(f"{text}|" * 21), pause(0.9))])
    found = finals(run(model.stream(longest=4.0, **MANY), samples, [1600] * 200))
    assert [event.reason for event in found][:-1] == ["length"] * (len(found) - 1)
    assert len(found) > 2
    assert all(event.end - event.start <= 4.5 for event in found)


def test_silence_gives_nothing(model):
    assert run(model.stream(), pause(60), [1600] * 600) == []


def test_a_model_that_fails_goes_on_where_it_was(model, recording, monkeypatch):
    expected, pieces = run(model.stream(**MANY), recording, [4000] * 30), []
    stream, events, written = model.stream(on_text=pieces.append, **MANY), [], model._written
    count = 0

    def failing(*arguments):
        nonlocal count
        count += 1
        found = written(*arguments)
        if count % 2:
            raise EngineError("out of memory")
        return found

    monkeypatch.setattr(model, "_written", failing)
    for at in range(0, len(recording), 4000):
        try:
            events += stream.feed(recording[at : at + 4000])
        except EngineError:
            events += stream.feed(recording[:0])
    with pytest.raises(EngineError):
        stream.finish()
    events += stream.finish()
    assert events == expected
    assert "".join(pieces) == " ".join(event.text for event in finals(events))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency": "none"}, "latency: expected 'low', 'balanced', 'high', or 200 to 5000 milliseconds, got 'none'"),
        ({"latency": 10}, "latency: expected 'low', 'balanced', 'high', or 200 to 5000 milliseconds, got 10"),
        ({"longest": 0.5}, "longest: expected seconds from 2 to 300, got 0.5"),
        ({"vad": "nope.onnx"}, "vad: nope.onnx: no such file; expected Silero's ONNX file (silero_vad.onnx)"),
        ({"beams": 3}, "there is no generation option 'beams': did you mean num_beams?"),
    ],
)
def test_options_that_are_none(model, options, message):
    with pytest.raises(ArgumentError) as caught:
        model.stream(**options)
    assert str(caught.value).startswith(message)
