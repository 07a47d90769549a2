"""`edgespeech live`: captions of files that are played, in every form, and bad input."""

import json

import edgespeech_runtime
import numpy as np
import pytest
from edgespeech_runtime import live
from edgespeech_runtime.cli.display.captions import SubtitleFile, meter
from rich.console import Console

from edgespeech.cli.display import captions

soundfile = pytest.importorskip("soundfile")

RATE = 16000
FAST = ("--speed", 1e6, "--threads", 1)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Six seconds of noise that comes and goes."""
    path = tmp_path_factory.mktemp("played") / "noise.wav"
    rng = np.random.default_rng(0)
    noise = rng.normal(size=6 * RATE) * np.repeat([0.1, 0, 0.2], 2 * RATE)
    soundfile.write(path, noise, RATE)
    return path


@pytest.fixture
def expected(bundle, played):
    """The final events by the runtime."""
    finals = []
    with edgespeech_runtime.load(bundle) as model:
        live.transcribe(model, played, on_final=finals.append)
    assert finals and all(event.words for event in finals)
    return finals


def test_a_line_for_each_utterance(run, bundle, played, expected):
    result = run("live", bundle, "--from", played, *FAST)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "".join(f"{event.text}\n" for event in expected)


def test_json_has_the_events(run, bundle, played, expected):
    result = run("live", bundle, "--from", played, "--json", *FAST)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    finals = [event for event in events if event["kind"] == "final"]
    assert [event["text"] for event in finals] == [event.text for event in expected]
    assert finals[0]["start"] == pytest.approx(expected[0].start, abs=1e-3)
    assert set(finals[0]["words"][0]) == {"text", "start", "end", "confidence"}


def test_subtitles_are_written_while_they_come(run, bundle, played, expected, tmp_path):
    srt = tmp_path / "said.srt"
    assert run("live", bundle, "--from", played, "--srt", srt, *FAST).exit_code == 0
    assert srt.read_text(encoding="utf-8") == edgespeech_runtime.to_srt(live.transcript(expected))
    before = srt.read_bytes()
    refused = run("live", bundle, "--from", played, "--srt", srt, *FAST)
    assert refused.exit_code == 2 and "exists; name another file, or replace it with --force" in refused.stderr
    assert srt.read_bytes() == before
    assert run("live", bundle, "--from", played, "--srt", srt, "--force", *FAST).exit_code == 0
    assert srt.read_bytes() == before


def test_a_subtitle_file_is_complete_after_each_utterance(expected, tmp_path):
    path = tmp_path / "new" / "said.srt"
    subtitles = SubtitleFile(path)
    assert path.read_text(encoding="utf-8") == ""
    for count, event in enumerate(expected, 1):
        subtitles.tell(event)
        assert path.read_text(encoding="utf-8") == edgespeech_runtime.to_srt(live.transcript(expected[:count]))


def test_options_reach_the_stream(run, bundle, played):
    whole = run("live", bundle, "--from", played, "--after-speech", 5, "--latency", 3000, "--beams", 4, *FAST)
    with edgespeech_runtime.load(bundle) as model:
        found = live.transcribe(model, played, after_speech=5.0, latency=3000, beams=4)
    assert whole.stdout.split() == found.text.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument 'BUNDLE'"),
        (("BUNDLE", "--speed", 2), "--speed is for --from"),
        (("BUNDLE", "--from", "PLAYED", "--device", 1), "--device and --from exclude each other"),
        (("BUNDLE", "--from", "PLAYED", "--force"), "--force is for the file of --srt"),
        (("BUNDLE", "--from", "PLAYED", "--latency", "fast"), "expected low, balanced, high or milliseconds"),
        (("BUNDLE", "--from", "PLAYED", "--latency", "7"), "or 100 to 5000 milliseconds, got 7"),
        (("BUNDLE", "--from", "PLAYED", "--longest", "1"), "longest: expected seconds from 2 to 300"),
        (("BUNDLE", "--from", "nothing.wav"), "nothing.wav: no such audio file"),
        (("BUNDLE", "--from", "PLAYED", "--lm", "x", "--no-lm"), "--lm and --no-lm exclude each other"),
        (("nothing", "--from", "PLAYED"), "nothing"),
    ],
)
def test_bad_input(run, bundle, played, arguments, message):
    named = {"BUNDLE": bundle, "PLAYED": played}
    result = run("live", *(named.get(argument, argument) for argument in arguments))
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_microphone_that_is_not_there(run, bundle):
    try:
        devices = live.input_devices()
    except edgespeech_runtime.EdgeSpeechRuntimeError as error:
        devices, message = [], str(error)
    else:
        message = "no microphone: this machine has no sound input; connect one"
    if devices:
        pytest.skip("needs a machine without a microphone")
    result = run("live", bundle)
    assert result.exit_code == 2 and result.stderr == f"edgespeech: {message}\n"


def test_the_screen():
    """Committed words are plain, the tail is dim, the level and the lag stand below."""
    screen = captions.Screen()
    with screen:
        screen.tell(live.Event("partial", "one two", 0.0, 1.0, committed="one", tentative=" two"))
        screen.sound(-30.0, 2.5)
        shown = screen._bottom()
    assert shown.plain == "one two\n[############            ]  -30 dB  2.5 s behind"
    styles = {shown.plain[span.start : span.end]: str(span.style) for span in shown.spans}
    assert styles[" two"] == "dim" and "one" not in styles
    console = Console(force_terminal=True, width=80)
    with console.capture() as capture:
        console.print(shown)
    assert "one" in capture.get()


def test_the_meter():
    assert meter(0) == "[########################]    0 dB"
    assert meter(-100) == "[                        ] -100 dB"


def test_an_encoder_decoder_writes_at_pauses(run, translator_bundle, played):
    finals = []
    with edgespeech_runtime.load(translator_bundle) as model:
        live.transcribe(model, played, on_final=finals.append, num_beams=2, max_new_tokens=8)
    flags = ("--num-beams", 2, "--max-new-tokens", 8)
    result = run("live", translator_bundle, "--from", played, *flags, *FAST)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "".join(f"{event.text}\n" for event in finals) != ""


def test_options_of_the_other_kind_of_model(run, bundle, translator_bundle, played):
    for folder, flags in ((bundle, ("--num-beams", 2)), (translator_bundle, ("--beams", 2))):
        result = run("live", folder, "--from", played, *flags)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"edgespeech: {flags[0]} is not for {folder}, which is ")
