"""`edgespeech transcribe` on long recordings: text while it runs, and what stays of one that is interrupted."""

import json
import os
import subprocess
import sys

import edgespeech_runtime
import numpy as np
import pytest
from tone_bundles import build
from tones import FRAME, RATE, spoken

soundfile = pytest.importorskip("soundfile")

WORDS = "_AA_BB__|__C_A_C__|_" * 20  # 8 s
ENDS = 300  # seconds, after which something hangs
STOPPED = """
import os, signal, sys
from edgespeech.cli import main
from edgespeech_runtime.tasks.batches import HeadRunner
run, calls = HeadRunner.run_windows, []
def and_signal(self, *arguments):
    calls.append(0)
    if len(calls) == 6:
        os.kill(os.getpid(), getattr(signal, os.environ.get("STOP", "SIGINT")))
    return run(self, *arguments)
HeadRunner.run_windows = and_signal
main()
"""


@pytest.fixture(scope="module")
def tone_bundle(tmp_path_factory):
    return build("onnx", tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """100 s: ten sentences of tones with pauses."""
    path = tmp_path_factory.mktemp("long") / "x.wav"
    pause = np.random.default_rng(0).normal(0, 1e-3, 100 * FRAME)
    soundfile.write(path, np.concatenate([each for _ in range(10) for each in (spoken(WORDS), pause)]), RATE)
    return path


def test_text_comes_in_pieces_that_are_the_text(run, tone_bundle, recording, tmp_path):
    with edgespeech_runtime.load(tone_bundle) as model:
        expected = model.transcribe(recording)
    assert len(expected.segments) == 10
    assert run("transcribe", tone_bundle, recording).stdout == expected.text + "\n"
    short = tmp_path / "short.wav"
    soundfile.write(short, spoken("A_B"), RATE)
    both = run("transcribe", tone_bundle, short, recording, short.with_name("nope.wav"))
    assert both.stdout == f"{short}\tAB\n{recording}\t{expected.text}\n"
    assert both.exit_code == 1
    facts = json.loads(run("transcribe", tone_bundle, recording, "--json").stdout)
    assert [each["text"] for each in facts["segments"]] == [segment.text for segment in expected.segments]
    assert len(facts["words"]) == len(expected.words)
    assert set(facts["segments"][0]) == {"text", "start", "end"}


def test_silence_can_be_run_too(run, tone_bundle, recording):
    expected = run("transcribe", tone_bundle, recording).stdout
    assert run("transcribe", tone_bundle, recording, "--run-silence").stdout == expected
    result = run("transcribe", tone_bundle, recording, "--vad", recording)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is not Silero's ONNX file" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself this signal there")
@pytest.mark.parametrize("form", ["srt", "json", "text", "stdout"])
def test_an_interruption_keeps_what_there_is(tone_bundle, recording, tmp_path, form):
    options = [] if form in ("text", "stdout") else [f"--{form}"]
    options += [] if form == "stdout" else ["--output", tmp_path]
    command = [sys.executable, "-c", STOPPED, "transcribe", tone_bundle, recording, "--threads", "1", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS, start_new_session=True)
    assert done.returncode == 130
    with edgespeech_runtime.load(tone_bundle) as model:
        whole = model.transcribe(recording)
    if form == "stdout":
        assert done.stdout.endswith("\n")
        assert whole.text.startswith(done.stdout.strip())
        assert len(done.stdout) > 50
        return
    ending = {"srt": ".srt", "json": ".json", "text": ".txt"}[form]
    (target,) = tmp_path.iterdir()
    assert target.name == f"x.incomplete{ending}"
    assert done.stderr == f"edgespeech: interrupted; the text of {recording} goes to 0:47 and is in {target}\n"
    content = target.read_text(encoding="utf-8")
    if form == "json":
        facts = json.loads(content)
        assert facts["is_complete"] is False
        assert whole.text.startswith(facts["text"])
        assert len(facts["segments"]) == 5
    elif form == "text":
        assert whole.text.startswith(content.strip())
    else:
        assert content.startswith("1\n00:00:00,")


WRITERS = {"srt": edgespeech_runtime.to_srt, "vtt": edgespeech_runtime.to_vtt}


def first(transcript, segments):
    """A transcript of the first segments of another one."""
    own = transcript.segments[:segments]
    return edgespeech_runtime.Transcript(" ".join(each.text for each in own), segments=own)


def stopped(bundle, recording, signal, *options):
    """Run until a signal comes before the sixth window."""
    command = [sys.executable, "-c", STOPPED, "transcribe", bundle, recording, "--threads", "1", "--quiet", *options]
    environment = {**os.environ, "STOP": signal}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=ENDS, start_new_session=True, env=environment
    )


@pytest.fixture(scope="module")
def whole(tone_bundle, recording):
    with edgespeech_runtime.load(tone_bundle) as model:
        return model.transcribe(recording)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself these signals there")
@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("signal", ["SIGINT", "SIGKILL"])
def test_subtitles_come_while_the_recording_runs(tone_bundle, recording, whole, form, signal):
    """On stdout; what cannot end orderly leaves out the cues that something may still change."""
    written = stopped(tone_bundle, recording, signal, f"--{form}").stdout
    if signal == "SIGINT":
        assert written == WRITERS[form](first(whole, 5))
    else:
        assert len(written) > 100
        assert WRITERS[form](whole).startswith(written)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself these signals there")
@pytest.mark.parametrize("form", ["srt", "vtt", "text", "word"])
def test_a_file_of_what_there_is_is_complete_at_any_time(tone_bundle, recording, whole, tmp_path, form):
    options = {"text": (), "word": ("--timestamps", "word")}.get(form, (f"--{form}",))
    stopped(tone_bundle, recording, "SIGKILL", *options, "--output", tmp_path)
    (target,) = tmp_path.iterdir()
    content = target.read_text(encoding="utf-8")
    start = first(whole, 4)  # the fifth has not ended
    assert target.name == "x.incomplete" + {"srt": ".srt", "vtt": ".vtt"}.get(form, ".txt")
    if form == "word":
        words = [word.text for segment in start.segments for word in segment.words]
        assert [line.split()[-1] for line in content.splitlines()] == words
    else:
        assert content == {**WRITERS, "text": lambda transcript: transcript.text + "\n"}[form](start)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself these signals there")
def test_json_comes_by_segments(tone_bundle, recording, whole, tmp_path):
    """On stdout it is whole behind Ctrl-C; a file is JSON at any time, whatever ends the program."""
    printed = stopped(tone_bundle, recording, "SIGINT", "--json").stdout
    facts = json.loads(printed)
    assert printed.count("\n") == 1
    assert facts["is_complete"] is False
    assert [each["text"] for each in facts["segments"]] == [each.text for each in first(whole, 5).segments]
    assert facts["text"] == first(whole, 5).text
    assert " ".join(word["text"] for word in facts["words"]) == facts["text"]
    killed = stopped(tone_bundle, recording, "SIGKILL", "--json").stdout
    assert json.loads(killed + "]}") == {"audio": str(recording), "segments": facts["segments"][:4]}
    stopped(tone_bundle, recording, "SIGKILL", "--json", "--output", tmp_path)
    (target,) = tmp_path.iterdir()
    kept = json.loads(target.read_text(encoding="utf-8"))
    assert (target.name, kept["audio"], kept["is_complete"]) == ("x.incomplete.json", str(recording), False)
    assert [each["text"] for each in kept["segments"]] == [each["text"] for each in facts["segments"][:4]]
    words = [word for each in kept["segments"] for word in each["words"]]
    assert words == facts["words"][: len(words)]


def test_json_has_the_same_facts_in_the_end(run, tone_bundle, recording, tmp_path):
    run("transcribe", tone_bundle, recording, "--json", "--output", tmp_path)
    (target,) = tmp_path.iterdir()
    written = json.loads(target.read_text(encoding="utf-8"))
    assert target.name == "x.json"
    short = tmp_path / "short.wav"
    soundfile.write(short, spoken("A_B"), RATE)
    lines = run("transcribe", tone_bundle, recording, short, "--json", "--timestamps", "char").stdout.splitlines()
    facts, other = map(json.loads, lines)
    assert other["text"] == "AB"
    assert len(facts.pop("characters")) > 100
    assert facts == written


def test_json_says_what_ended_a_recording(run, tone_bundle, recording, whole, tmp_path):
    samples, _ = soundfile.read(recording, dtype="float32")
    samples[60 * RATE] = np.nan
    damaged = tmp_path / "damaged.wav"
    soundfile.write(damaged, samples, RATE, subtype="FLOAT")
    result = run("transcribe", tone_bundle, damaged, "--json")
    facts = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (facts["is_complete"], facts["error"]) == (False, result.stderr.strip().removeprefix("edgespeech: "))
    assert facts["text"].startswith(first(whole, 4).text)


@pytest.mark.parametrize("form", WRITERS)
def test_a_result_takes_the_place_of_what_there_was(run, tone_bundle, recording, whole, tmp_path, form):
    assert run("transcribe", tone_bundle, recording, f"--{form}").stdout == WRITERS[form](whole)
    assert run("transcribe", tone_bundle, recording, f"--{form}", "--output", tmp_path).exit_code == 0
    (target,) = tmp_path.iterdir()
    assert (target.name, target.read_text(encoding="utf-8")) == (f"x.{form}", WRITERS[form](whole))


def test_words_with_times_come_as_they_stand_in_the_end(run, tone_bundle, recording, whole, tmp_path):
    one = run("transcribe", tone_bundle, recording, "--timestamps", "word").stdout
    assert [line.split()[-1] for line in one.splitlines()] == [word.text for word in whole.words]
    short = tmp_path / "short.wav"
    soundfile.write(short, spoken("A_B"), RATE)
    both = run("transcribe", tone_bundle, recording, short, "--timestamps", "word").stdout
    alone = run("transcribe", tone_bundle, short, "--timestamps", "word").stdout
    assert both == f"{recording}\n{one}\n{short}\n{alone}\n"


def test_what_comes_before_the_damage_stays(run, tone_bundle, recording, whole, tmp_path):
    samples, _ = soundfile.read(recording, dtype="float32")
    samples[60 * RATE] = np.nan
    damaged = tmp_path / "damaged.wav"
    soundfile.write(damaged, samples, RATE, subtype="FLOAT")
    result = run("transcribe", tone_bundle, damaged, "--srt", "--output", tmp_path / "out")
    assert result.exit_code == 2
    (target,) = (tmp_path / "out").iterdir()
    assert target.name == "damaged.incomplete.srt"
    assert f"what there is of {damaged} is in {target}" in result.stderr
    begun = target.read_text(encoding="utf-8")
    assert begun.startswith(edgespeech_runtime.to_srt(first(whole, 4)))
    printed = run("transcribe", tone_bundle, damaged, "--srt")
    assert (printed.exit_code, printed.stdout) == (2, begun)
