"""Encoder-decoders on long recordings: parts with speech, each as if it were alone, and one text of them."""

import numpy as np
import pytest
from edgespeech_runtime import TextSegment, load
from edgespeech_runtime.errors import ArgumentError, AudioError
from edgespeech_runtime.long.parts import PartCutter, speech_parts
from edgespeech_runtime.long.speech import SpeechOptions, speech_spans
from tone_translator import write_bundle
from tones import RATE

OPTIONS = SpeechOptions(before=0.3, behind=0.5, longest=20.0)
TAIL = round(0.2 * RATE)  # samples of silence behind a part
MANY = {"min_new_tokens": 90, "max_new_tokens": 120}  # the model would end in the silence before the first tone


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with load(write_bundle(tmp_path_factory.mktemp("long"), "onnx"), threads=1) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def recording():
    """42 s with four utterances of a second; digital silence between them."""
    from tones import spoken

    def pause(seconds):
        return np.zeros(round(seconds * RATE), np.float32)

    texts = ["AAABBB|CCC|AAA" * 3, "CCCC|B|AAAAA|B|C" * 3, "BBBB" * 10, "A|C|B|BB" * 6]
    parts = [part for text in texts for part in (spoken(text), pause(10))]
    return np.concatenate([pause(0.5), *parts[:-1], pause(7)])


def test_each_part_gives_what_it_gives_alone(model, recording):
    found = model.transcribe(recording, **MANY)
    spans = speech_spans(recording, RATE, OPTIONS)
    alone = [model.transcribe(np.pad(recording[start:end], (0, TAIL)), **MANY).text for start, end in spans]
    assert len(spans) == 4
    assert len(set(alone)) > 2
    assert found.text == " ".join(alone)
    times = [(span.start / RATE, span.end / RATE) for span in spans]
    assert found.segments == [TextSegment(text, *each) for text, each in zip(alone, times, strict=True)]
    assert found.duration == len(recording) / RATE
    assert found.is_complete == all(
        model.transcribe(np.pad(recording[start:end], (0, TAIL)), **MANY).is_complete for start, end in spans
    )


def test_what_is_told_on_the_way(model, recording):
    pieces, segments, progress = [], [], []
    told = {"on_text": pieces.append, "on_segment": segments.append, "on_progress": lambda *at: progress.append(at)}
    found = model.transcribe(recording, **told, **MANY)
    assert "".join(pieces) == found.text
    assert segments == found.segments
    assert progress == sorted(progress)
    assert progress[-1] == (found.duration, found.duration)
    assert len(progress) > 3
    assert found == model.transcribe(recording, **MANY)


def test_long_and_short_ones_in_one_list(model, recording, say):
    short = say("ABC")
    found = model.transcribe([short, recording, short[:800]], **MANY)
    assert [each.text for each in found] == [
        model.transcribe(each, **MANY).text for each in (short, recording, short[:800])
    ]


def test_predictions_of_long_recordings_are_their_texts(model, recording, say):
    found = model.predict([recording, say("ABC")], with_logits=False, **MANY)
    assert [each.answer for each in found] == [model.transcribe(each, **MANY).text for each in (recording, say("ABC"))]


def test_an_error_in_a_recording_leaves_what_was_before(model, recording):
    damaged, segments = recording.copy(), []
    damaged[25 * RATE] = np.nan
    with pytest.raises(AudioError, match="the samples are not all finite"):
        model.transcribe(damaged, on_segment=segments.append, **MANY)
    assert segments == model.transcribe(recording, **MANY).segments[: len(segments)]
    assert len(segments) == 3


def test_silence_has_no_text(model):
    segments = []
    found = model.transcribe(np.zeros(100 * RATE, np.float32), on_segment=segments.append)
    assert (found.text, found.segments, found.duration, segments) == ("", [], 100.0, [])


def test_a_short_recording_is_one_segment(model, say):
    samples = np.concatenate([np.zeros(RATE, np.float32), say("AAABBBCCC" * 5), np.zeros(RATE, np.float32)])
    (segment,) = model.transcribe(samples, **MANY).segments
    assert segment.text == model.transcribe(samples, **MANY).text
    assert (segment.start, segment.end) == pytest.approx((0.75, 2.15), abs=0.1)


def test_no_more_is_kept_than_what_may_be_speech(recording):
    cutter = PartCutter(RATE, OPTIONS)
    parts, kept = [], 0
    for at in range(0, len(recording), 1000):
        parts += cutter.feed(recording[at : at + 1000])
        kept = max(kept, cutter.kept)
    parts += cutter.finish()
    assert kept < 4 * RATE
    for part in parts:
        np.testing.assert_array_equal(part.samples, recording[part.start : part.end])
    assert [span for part in parts for span in part.spans] == speech_spans(recording, RATE, OPTIONS)


@pytest.mark.parametrize("size", [1000, 16_000, 10**6])
@pytest.mark.parametrize(("near", "longest", "counts"), [(11, 25, [4]), (11, 3.0, [2, 2]), (11, 2.5, [1, 1, 1, 1])])
def test_neighbours_are_one_part_if_they_are_not_too_long(recording, size, near, longest, counts):
    options = SpeechOptions(longest=longest, shortest=0.5)
    blocks = [recording[at : at + size] for at in range(0, len(recording), size)]
    parts = [part for _, found in speech_parts(blocks, RATE, options, near=near) for part in found]
    assert [len(part.spans) for part in parts] == counts
    assert [span for part in parts for span in part.spans] == speech_spans(recording, RATE, options)
    for part in parts:
        assert len(part.samples) <= longest * RATE
        np.testing.assert_array_equal(part.samples, np.concatenate([recording[a:b] for a, b in part.spans]))


@pytest.mark.parametrize("method", ["generate", "hypotheses"])
def test_the_tokens_of_one_run_are_those_of_a_short_recording(model, recording, method):
    with pytest.raises(AudioError) as caught:
        getattr(model, method)(recording)
    assert str(caught.value) == (
        f"{method} runs the model once, on at most 30 s of audio, got {len(recording) / RATE:g} s: cut it at a pause, "
        "or use transcribe, which takes any length"
    )
    with pytest.raises(AudioError, match=r"^audio\[1\]: "):
        getattr(model, method)([recording[:RATE], recording])


@pytest.mark.parametrize("name", ["on_text", "on_segment", "on_progress"])
def test_callbacks_are_for_one_recording(model, say, name):
    with pytest.raises(ArgumentError, match=f"^{name} takes one input at a time, got 2$"):
        model.transcribe([say("A"), say("B")], **{name: print})


def test_a_detector_that_is_none(model, say):
    with pytest.raises(ArgumentError, match=r"^vad: nope.onnx: no such file; expected Silero's ONNX file"):
        model.transcribe(say("A"), vad="nope.onnx")
