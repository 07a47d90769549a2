"""Streams over the language of tones: what is said is known exactly, and it may not depend on how samples are cut."""

import random

import edgespeech_runtime
import numpy as np
import pytest
import tone_bundles
from edgespeech_runtime.errors import ArgumentError, AudioError
from live_bundles import as_live
from tones import FRAME, RATE, spoken

SECOND = RATE // FRAME  # frames
PAUSE = "." * 20 + "|" + "." * 45
FRAMES = "." * 40 + "AAB_|..C_A" + PAUSE + "CC" + 3 * PAUSE + "BA||A__A.|" + 30 * "." + "C_CAB.|B" + "." * 20
TEXTS = ["AB CA", "C", "BA AA CCAB B"]


def run(stream, samples, sizes, **options):
    """All events of a stream that is fed so many samples at a time."""
    events, start = [], 0
    for size in sizes:
        events += stream.feed(samples[start : start + size], **options)
        start += size
    events += stream.feed(samples[start:], **options)
    return events + stream.finish()


def finals(events):
    return [event for event in events if event.is_final]


def check(events):
    """What holds of the events of any stream."""
    committed, number = "", 0
    for event in events:
        assert event.text == event.committed + event.tentative
        assert event.utterance == number
        assert event.committed.startswith(committed)
        words = [word.text for word in event.words]
        assert event.text.split() == words
        assert event.committed.split() == words[: event.committed_words]
        edges = [edge for word in event.words for edge in (word.start, word.end)]
        assert edges == sorted(edges)
        assert (event.start, event.end) == ((edges[0], edges[-1]) if edges else (event.start, event.end))
        committed, number = ("", number + 1) if event.is_final else (event.committed, number)
        assert (event.reason is not None) is event.is_final
        assert not event.is_final or event.tentative == ""


def sizes_of(seed, total):
    """Random sizes from 1 sample to 10 s, most of them like those of sound cards."""
    draw = random.Random(seed)
    kind = draw.choice([400, 1600, 8000, 160_000])
    found = []
    while sum(found) < total:
        found.append(min(160_000, max(1, int(draw.expovariate(1 / kind)))))
    return found


@pytest.mark.parametrize("latency", ["low", "balanced", "high", 150, 5000])
def test_utterances_and_their_times(model, latency):
    samples = spoken(FRAMES, tail=100)
    events = run(model.stream(latency=latency), samples, [800] * (len(samples) // 800))
    check(events)
    assert [event.text for event in finals(events)] == TEXTS
    assert [event.reason for event in finals(events)] == ["silence", "silence", "finish"]
    first = finals(events)[0]
    assert [(word.text, word.start, word.end) for word in first.words] == [
        ("AB", pytest.approx(40 / SECOND), pytest.approx(43 / SECOND)),
        ("CA", pytest.approx(47 / SECOND), pytest.approx(50 / SECOND)),
    ]
    words = [word for event in finals(events) for word in event.words]
    whole = model.transcribe(samples).words
    assert [word.text for word in words] == [word.text for word in whole]
    for edge in ("start", "end", "confidence"):
        assert [getattr(word, edge) for word in words] == pytest.approx([getattr(word, edge) for word in whole])


@pytest.mark.parametrize("options", [{}, {"beams": 8}])
def test_final_events_do_not_depend_on_how_samples_are_cut(model, options):
    samples = spoken(FRAMES, tail=100)
    expected = finals(run(model.stream(**options), samples, []))
    for seed in range(40):
        sizes = sizes_of(seed, len(samples))
        events = run(model.stream(**options), samples, sizes, partials=seed % 3 > 0)
        check(events)
        assert finals(events) == expected


@pytest.mark.parametrize("engine", ["openvino", "numpy"])
def test_other_engines_say_the_same(model, engine, tmp_path):
    pytest.importorskip(engine)
    samples = spoken(FRAMES, tail=100)
    expected = finals(run(model.stream(), samples, []))
    with edgespeech_runtime.load(as_live(tone_bundles.build(engine, tmp_path))) as other:
        found = finals(run(other.stream(), samples, [700] * 100))
    assert [event.text for event in found] == [event.text for event in expected]
    assert [event.start for event in found] == [event.start for event in expected]


def test_partials_come_while_words_are_said_and_grow(model):
    samples = spoken("." * 25 + "AB|" + "." * 25 + "CA|" + "." * 100)
    stream, texts = model.stream(latency=1000), []
    for start in range(0, len(samples), 320):
        for event in stream.feed(samples[start : start + 320]):
            texts.append((round(start / RATE, 1), event.kind, event.committed, event.tentative))
    assert texts[0][1:] == ("partial", "", "AB") and texts[0][0] <= 0.9
    assert ("partial", "AB", " CA") in [text[1:] for text in texts]
    assert texts[-1][1:] == ("final", "AB CA", "")


def test_the_rules_end_utterances(model):
    """After 1.2 s of silence, and at 20 s, at a gap between words; both can be set."""
    stream = model.stream()
    silence = np.zeros(RATE // 10, np.float32)
    assert stream.feed(spoken("A|B"), partials=False) == []
    came = next(tenths for tenths in range(1, 40) if stream.feed(silence, partials=False))
    assert came in (12, 13)
    quick = model.stream(after_speech=0.5)
    quick.feed(spoken("A|B"))
    assert next(tenths for tenths in range(1, 40) if finals(quick.feed(silence))) in (5, 6)
    never = model.stream(after_speech=None)
    never.feed(spoken("A|B"))
    assert next(tenths for tenths in range(1, 40) if finals(never.feed(silence))) in (24, 25)
    talk = spoken("A_B|..C__A|..." * 100)
    events = run(model.stream(), talk, [RATE] * 40)
    check(events)
    assert " ".join(event.text for event in finals(events)) == "AB CA" + 99 * " AB CA"
    assert [event.reason for event in finals(events)] == ["length", "finish"]
    assert finals(events)[0].end == pytest.approx(19, abs=1.1)


def test_a_word_without_an_end_is_cut_at_last(model):
    events = run(model.stream(longest=5, latency=1000), spoken("AB_" * 250), [RATE] * 20)
    check(events)
    assert "".join(event.text for event in finals(events)) == "AB" * 250
    assert [event.reason for event in finals(events)] == ["length"] * 3 + ["finish"]


def test_what_may_be_fed(model):
    samples = spoken(FRAMES)
    expected = [event.text for event in finals(run(model.stream(), samples, []))]
    for form in (
        samples.astype(np.float64),
        np.rint(samples * 32767).astype(np.int16),
        np.stack([samples, samples], axis=1),
        samples[:, None],
    ):
        assert [event.text for event in finals(run(model.stream(), form, [1, 1, 700, 5000]))] == expected
    stream = model.stream()
    assert stream.feed(np.zeros(0, np.float32)) == [] and stream.seconds == 0
    assert stream.finish() == [] == stream.finish()
    with pytest.raises(ArgumentError, match="finished: open another"):
        stream.feed(samples)


@pytest.mark.parametrize(
    ("block", "options", "message"),
    [
        (b"\0\0\0", {}, "got 3 bytes, half a sample at the end"),
        (np.array([0.1, np.nan, 0.2], np.float32), {}, "NaN or infinite"),
        (np.zeros(100, np.float32), {"sampling_rate": 48000}, "come at 16000 Hz, got a block at 48000 Hz"),
        (np.zeros(100, np.int64), {}, "got int64"),
        ([0.0, 0.1], {}, "expected an array of samples, got list"),
        (np.array(0.5), {}, r"got the shape \[\]"),
        (np.zeros((2, 1000), np.float32), {}, r"got the shape \[2, 1000\]"),
        (np.zeros(10, np.float32), {"time": float("nan")}, "time: expected seconds"),
    ],
)
def test_a_block_that_cannot_be_used_changes_nothing(model, block, options, message):
    samples = spoken(FRAMES)
    stream = model.stream()
    events = stream.feed(samples[: len(samples) // 2])
    with pytest.raises((AudioError, ArgumentError), match=message) as error:
        stream.feed(block, **options)
    assert "\n" not in str(error.value)
    events += stream.feed(samples[len(samples) // 2 :]) + stream.finish()
    assert [event.text for event in finals(events)] == TEXTS


def test_a_gap_ends_the_utterance_and_later_times_are_right(model):
    stream = model.stream()
    events = stream.feed(spoken("...AB|" + "." * 20), time=100.0)
    events += stream.feed(spoken("...CA|" + "." * 20), time=107.0) + stream.finish()
    check(events)
    assert [(event.text, event.reason) for event in finals(events)] == [("AB", "gap"), ("CA", "finish")]
    assert finals(events)[0].start == pytest.approx(100.06)
    assert finals(events)[1].start == pytest.approx(107.06)


def test_a_clock_that_drifts_is_followed(model):
    """The sound card's second is a thousandth longer than the source's."""
    stream, events, block = model.stream(), [], spoken("." * 48 + "A|")
    for second in range(120):
        events += stream.feed(block, time=second * 1.001)
    events += stream.feed(spoken("." * 100), time=120 * 1.001)
    said = [word.start for event in finals(events) for word in event.words]
    assert len(said) == 120
    assert [event.reason for event in finals(events)].count("gap") == 0
    last = said[-1]
    assert last == pytest.approx(119 * 1.001 + 0.96, abs=0.02)


def test_another_rate_is_resampled_in_pieces(model):
    pytest.importorskip("soxr")
    import soxr

    samples = spoken("..." + "A" * 5 + "__" + "B" * 5 + "||||" + "C" * 5 + "." * 90)
    high = soxr.resample(samples, RATE, 44100)
    expected = finals(run(model.stream(sampling_rate=44100), high, []))
    assert [event.text for event in expected] == ["AB C"]
    for seed in range(5):
        stream = model.stream()
        events = run(stream, high, sizes_of(seed, len(high)), sampling_rate=44100)
        assert finals(events) == expected
        assert stream.sampling_rate == 44100 and stream.seconds == pytest.approx(len(high) / 44100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latency": "fast"}, "latency: expected 'low', 'balanced', 'high', or 100 to 5000 milliseconds, got 'fast'"),
        ({"latency": 20}, "got 20"),
        ({"latency": True}, "got True"),
        ({"after_speech": 0}, "after_speech: expected seconds from 0.2 to 300, got 0"),
        ({"longest": float("inf")}, "longest: expected seconds from 2 to 300, got inf"),
        ({"longest": 3, "latency": "high"}, "at least twice the latency, 8 s, got 3"),
        ({"beams": 0}, "beams: expected a number from 1 on"),
        ({"alpha": 1.0}, "alpha weighs a language model"),
        ({"sampling_rate": 16}, "expected a sampling rate"),
    ],
)
def test_options_that_are_not_what_they_should_be(model, options, message):
    with pytest.raises((ArgumentError, AudioError), match=message):
        model.stream(**options)


@pytest.mark.slow
def test_ten_thousand_splits(model):
    """With short chunks and pauses, so that many seams and ends of utterances lie in three seconds."""
    options = {"latency": 300, "after_speech": 0.5}
    samples = spoken("." * 10 + "AAB_|..C_A|..BB_|A" + "." * 28 + "CC|" + "B_A|" * 10 + "." * 30)
    expected = finals(run(model.stream(**options), samples, []))
    assert [event.text for event in expected] == ["AB CA B A", "C" + " BA" * 10]
    for seed in range(10_000):
        events = run(model.stream(**options), samples, sizes_of(seed, len(samples)), partials=seed % 3 == 0)
        check(events)
        assert finals(events) == expected
