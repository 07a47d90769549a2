"""Sessions: sound in one thread, texts in another; asyncio; sources that are gone over."""

import asyncio
import threading

import numpy as np
import pytest
from edgespeech_runtime import live
from edgespeech_runtime.errors import ArgumentError, AudioError, CancelledError
from tones import RATE, spoken

SAMPLES = spoken("...AB_|..C_A" + "." * 40 + "|" + "." * 40 + "BA||A__A." + "." * 20)
TEXTS = ["AB CA", "BA AA"]
FIRST_WINDOW = 1.25  # seconds of sound that a window is due after at the latest, and one block


def blocks(size=800):
    return [SAMPLES[start : start + size] for start in range(0, len(SAMPLES), size)]


def texts(events):
    return [event.text for event in events if event.is_final]


class SlowModel:
    """A stream whose windows wait for `gate` before they are run."""

    def __init__(self, model, gate):
        self.stream_of = model
        self._gate = gate

    def stream(self, **options):
        stream = self.stream_of.stream(**options)
        runner = stream._machine._recipe.runner
        run = runner.run

        def slow(window):
            assert self._gate.acquire(timeout=60)
            return run(window)

        runner.run = slow
        return stream


def test_events_of_a_session(model):
    session = live.Session(model.stream())
    for block in blocks():
        session.feed(block)
    session.finish(wait=False)
    found = list(session)
    assert texts(found) == TEXTS and session.lag == 0
    assert list(session) == []
    with pytest.raises(ArgumentError, match="finished: open another"):
        session.feed(SAMPLES)


def test_a_callback_and_many_threads(model):
    found, threads = [], set()

    def tell(event):
        found.append(event)
        threads.add(threading.current_thread())

    with live.Session(model.stream(), tell) as session:
        with pytest.raises(ArgumentError, match="go to on_event"):
            next(iter(session))
        session.feed(SAMPLES)
        others = [threading.Thread(target=session.feed, args=(np.zeros(RATE, np.float32),)) for _ in range(4)]
        for other in others:
            other.start()
        for other in others:
            other.join()
    assert texts(found) == TEXTS
    assert threads and threading.current_thread() not in threads


def test_a_model_that_is_too_slow_loses_nothing_and_says_how_far_behind_it_is(model):
    gate = threading.Semaphore(0)
    session = live.Session(SlowModel(model, gate).stream())
    for block in blocks():
        session.feed(block)
    seconds = len(SAMPLES) / RATE
    assert seconds - FIRST_WINDOW <= session.lag <= seconds  # that window has not been run
    session.finish(wait=False)
    for _ in range(1000):
        gate.release()
    found = list(session)
    assert texts(found) == TEXTS and session.lag == 0
    late = [event for event in found if not event.is_final]
    assert len(late) < 5  # partial texts were left out


def test_bad_samples_are_refused_where_they_are_fed(model):
    session = live.Session(model.stream())
    half = len(SAMPLES) // 2
    session.feed(SAMPLES[:half])
    with pytest.raises(AudioError, match="NaN"):
        session.feed(np.full(100, np.nan, np.float32))
    session.feed(SAMPLES[half:])
    session.finish()
    assert texts(session) == TEXTS


def test_what_the_model_fails_with_reaches_those_who_read_and_feed(model):
    stream = model.stream()

    def fail(window):
        raise CancelledError

    stream._machine._recipe.runner.run = fail
    session = live.Session(stream)
    session.feed(SAMPLES)
    with pytest.raises(CancelledError):
        list(session)
    with pytest.raises(CancelledError):
        session.feed(SAMPLES)
    with pytest.raises(CancelledError):
        session.finish()


def test_a_window_that_could_not_be_run_is_run_later(model):
    stream = model.stream()
    runner = stream._machine._recipe.runner
    run, failures = runner.run, [True, True, False, True]

    def sometimes(window):
        if failures and failures.pop():
            raise CancelledError
        return run(window)

    runner.run, found, failed = sometimes, [], 0
    for block in blocks(8000):
        try:
            found += stream.feed(block)
        except CancelledError:
            failed += 1
    assert failed > 1
    assert texts(found + stream.finish()) == TEXTS


def test_asyncio(model):
    async def source():
        for block in blocks():
            yield block
            await asyncio.sleep(0)

    async def by_source():
        return [event async for event in live.events_of(model, source(), latency="low")]

    async def by_hand():
        async with live.AsyncSession(model.stream()) as session:
            session.feed(SAMPLES)
            await session.finish()
            assert session.lag == 0
            return [event async for event in session]

    async def broken():
        async def bad():
            yield SAMPLES
            yield np.full(100, np.nan, np.float32)

        found = []
        with pytest.raises(AudioError, match="NaN"):
            async for event in live.events_of(model, bad()):
                found.append(event)
        return found

    for run in (by_source, by_hand, broken):
        assert texts(asyncio.run(run())) == TEXTS


@pytest.mark.parametrize("kind", ["array", "pair", "blocks", "generator", "playback", "file"])
def test_sources(model, kind, tmp_path):
    import wave

    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.rint(SAMPLES * 32767).astype("<i2").tobytes())
    source = {
        "array": SAMPLES,
        "pair": (RATE, SAMPLES),
        "blocks": blocks(),
        "generator": (block for block in blocks()),
        "playback": live.Playback(SAMPLES, speed=1000),
        "file": tmp_path / "said.wav",
    }[kind]
    partials, finals = [], []
    found = live.transcribe(model, source, on_partial=partials.append, on_final=finals.append)
    assert texts(finals) == TEXTS and found.text == " ".join(TEXTS)
    assert [word.text for word in found.words] == found.text.split()
    assert not texts(partials) and (partials or kind == "playback")  # it is played faster than the model can follow


def test_what_was_said_before_a_source_failed_is_told(model):
    def source():
        yield from blocks()
        raise AudioError("the cable was pulled out")

    finals = []
    with pytest.raises(AudioError, match="cable"):
        live.transcribe(model, source(), on_final=finals.append)
    assert texts(finals) == TEXTS
    with pytest.raises(AudioError, match="one source of sound"):
        live.transcribe(model, (SAMPLES, SAMPLES))
    with pytest.raises(ArgumentError, match="a model that transcribes, got object"):
        live.transcribe(object(), SAMPLES)


def test_a_recording_is_played_in_its_own_time():
    now, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    samples = np.zeros(RATE * 2, np.float32)
    played = live.Playback(samples, speed=2, clock=lambda: now[0], sleep=sleep)
    assert played.duration == 2
    for index, block in enumerate(played):
        assert len(block) == RATE // 25
        assert now[0] == pytest.approx(100 + (index + 1) * 0.02) or index > 10
        if index == 10:
            now[0] += 0.3  # the model was slow
        if index == 11:
            assert played.lag == pytest.approx(0.56)
    assert played.lag == pytest.approx(0.0) and now[0] == pytest.approx(101)
    with pytest.raises(ArgumentError, match="speed: expected a positive number"):
        live.Playback(samples, speed=0)
