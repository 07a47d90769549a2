"""The app, run for real: its window on a display that nobody sees, a recording as the microphone, a trained model."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import edgespeech_runtime
import pytest

APP = Path(__file__).resolve().parents[2] / "examples" / "captions" / "app.py"
WORDS = "THE TRAIN TO THE COAST LEAVES AT A"  # what the small model gets right of the sentence


def shown(window):
    return " ".join(window.view.toPlainText().split())


def start(window, wait):
    window.go.click()
    wait(lambda: window.job is not None or window.message.text())


def dim(window):
    """The text of the view that is drawn in the colour of what may change."""
    from PySide6.QtGui import QPalette

    colour = window.palette().color(QPalette.ColorRole.PlaceholderText)
    block, found = window.view.document().begin(), ""
    while block.isValid():
        for part in block:
            if part.fragment().charFormat().foreground().color() == colour:
                found += part.fragment().text()
        block = block.next()
    return found


def test_a_recording_as_the_microphone_gives_its_words(window, wait, bundle, sentence):
    app = window(bundle())
    app.controls.choose_file(str(sentence), "played")
    app.controls.latency.setCurrentText("low")
    partials = []
    app.view.textChanged.connect(lambda: partials.append((shown(app), dim(app))))
    start(app, wait)
    assert app.go.text() == "Stop"
    wait(lambda: app.job is None)
    assert app.transcript.text.startswith(WORDS)
    for word in app.transcript.words:
        assert f"{word.start:.2f}–{word.end:.2f}" in shown(app)
        assert word.text in shown(app)
    committed = [(text, tail) for text, tail in partials if tail and text != tail and text.endswith(tail.strip())]
    assert committed, "no partial text had a beginning that stays and a tail that may change"
    assert any(text.startswith("THE TRAIN") for text, _ in committed)
    assert app.go.text() == "Start"


def test_stop_ends_the_sound_and_what_was_said_is_final(window, wait, bundle, long_recording):
    app = window(bundle())
    app.controls.choose_file(str(long_recording), "played")
    start(app, wait)
    wait(lambda: "TRAIN" in shown(app))
    app.go.click()
    wait(lambda: app.job is None)
    assert "TRAIN" in app.transcript.text
    assert app.transcript.duration < 60


def test_a_file_is_transcribed_and_exported(window, wait, bundle, sentence, tmp_path):
    app = window(bundle())
    app.controls.choose_file(str(sentence))
    start(app, wait)
    wait(lambda: app.job is None)
    with edgespeech_runtime.load(bundle()) as model:
        expected = model.transcribe(sentence, beams=100)  # as there is a language model in it
    assert app.transcript == expected
    assert expected.text.startswith(WORDS)
    for ending, content in {
        "srt": edgespeech_runtime.to_srt(expected),
        "vtt": edgespeech_runtime.to_vtt(expected),
        "txt": f"{expected.text}\n",
    }.items():
        app.export_to(str(tmp_path / f"captions.{ending}"))
        assert (tmp_path / f"captions.{ending}").read_text(encoding="utf-8") == content
    app.export_to(str(tmp_path / "nowhere" / "a.srt"))
    assert app.message.text().startswith("not exported: ")
    app.times.setChecked(False)
    assert shown(app) == expected.text


def test_beams_search_with_the_language_model_of_the_bundle(window, wait, bundle, sentence):
    app = window(bundle())
    app.controls.beams.setValue(20)
    app.controls.choose_file(str(sentence))
    start(app, wait)
    wait(lambda: app.job is None)
    with edgespeech_runtime.load(bundle()) as model:
        assert app.transcript.text == model.transcribe(sentence, beams=20).text


def test_cancel_ends_a_long_file_within_a_second_and_keeps_the_text(window, wait, bundle, long_recording):
    from PySide6.QtCore import QTimer

    app = window(bundle())
    app.controls.choose_file(str(long_recording))
    ticks = []
    timer = QTimer(interval=10, timeout=lambda: ticks.append(0))
    timer.start()
    start(app, wait)
    wait(lambda: app.progress.value() > 0 and "TRAIN" in shown(app))
    assert len(ticks) > 10  # the window went on working
    assert app.progress.maximum() > 300  # seconds
    assert app.go.text() == "Cancel"
    began = time.monotonic()
    app.go.click()
    wait(lambda: app.job is None)
    assert time.monotonic() - began < 1.0
    assert "TRAIN" in shown(app)
    assert app.transcript.is_complete is False
    assert app.transcript.duration < 0.9 * app.progress.maximum()
    assert "cancelled" in app.message.text()


def test_closing_during_captions_leaves_no_thread(window, wait, bundle, long_recording):
    app = window(bundle())
    app.controls.choose_file(str(long_recording), "played")
    start(app, wait)
    wait(lambda: "TRAIN" in shown(app))
    assert "edgespeech-live" in [thread.name for thread in threading.enumerate()]
    app.close()
    assert app.isHidden()
    wait(lambda: not app._jobs)
    assert "edgespeech-live" not in [thread.name for thread in threading.enumerate()]
    assert app.model is None


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("flag", ["--microphone", "--file"])
def test_closing_during_work_leaves_no_process(display, bundle, long_recording, tmp_path, flag):
    command = [sys.executable, APP, bundle(), "--settings", tmp_path, flag, long_recording, "--start", "--log"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        said = [process.stdout.readline().split()[0] for _ in range(3)]
        assert said == ["shown", "ready", "text"]
        process.send_signal(signal.SIGTERM)  # closes the window, as a click does
        process.communicate(timeout=30)
        assert process.returncode == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        if process.poll() is None:
            process.kill()


def test_no_microphone_is_said(window, wait, bundle):
    from edgespeech_runtime.errors import MicrophoneError
    from edgespeech_runtime.live import input_devices

    try:
        if input_devices():
            pytest.skip("this machine has a microphone")
    except MicrophoneError:
        pass
    app = window(bundle())
    app.message.clear()
    app.go.click()
    wait(lambda: "microphone" in app.message.text() and app.job is None)
    assert app.go.isEnabled()  # a file can be taken instead


def test_a_bundle_that_is_none_is_said(window, wait, tmp_path):
    app = window()
    app.controls.choose_bundle(str(tmp_path / "nowhere"))
    app.open_bundle()
    wait(lambda: app.job is None)
    assert "no such bundle" in app.message.text()
    assert not app.go.isEnabled()


def test_the_device_and_its_self_check(window, wait, bundle):
    app = window(bundle())
    assert "passed its self-check" in app.controls.device_facts.text()
    wait(lambda: app.controls.device.findText("onnx:CPUExecutionProvider") >= 0)
    app.controls.check.click()
    wait(lambda: app.job is None)
    assert "self-check passed: values differ by" in app.message.text()
    app.controls.device.addItem("npu", "npu")
    app.controls.device.setCurrentText("npu")
    app.open_bundle()
    wait(lambda: app.job is None)
    assert "device 'npu' is not offered here" in app.message.text()
    assert not app.go.isEnabled()


def test_settings_are_kept(window, wait, bundle, sentence, tmp_path):
    first = window(bundle())
    first.controls.beams.setValue(7)
    first.controls.latency.setCurrentText("high")
    first.controls.choose_file(str(sentence))
    first.times.setChecked(False)
    first.close()
    wait(lambda: not first._jobs)
    assert (tmp_path / "settings" / "captions.ini").is_file()
    second = window()
    assert second.controls.bundle.currentText() == str(bundle())
    assert second.controls.beams.value() == 7
    assert second.controls.latency.currentText() == "high"
    assert second.controls.source == ("file", str(sentence))
    assert second.times.isChecked() is False


def test_an_encoder_decoder_writes_without_times(window, wait, bundle, sentence):
    app = window(bundle("dictation-en-int8"))
    assert app.controls.language.isHidden()  # it has one
    app.controls.choose_file(str(sentence))
    start(app, wait)
    wait(lambda: app.job is None)
    assert "train to the coast" in shown(app)
    assert "–" not in shown(app)


def test_a_model_of_several_languages_offers_them(window, wait):
    app = window()
    model = SimpleNamespace(manifest=SimpleNamespace(task="encoder-decoder"), languages=["de_DE", "en_XX"])
    app.controls.show_model(model, "")
    assert not app.controls.language.isHidden()
    app.controls.language.setCurrentText("en_XX")
    app.controls.beams.setValue(4)
    assert app.controls.options() == {"do_sample": False, "num_beams": 4, "language": "en_XX"}
    app.controls.beams.setValue(0)
    assert app.controls.options() == {"do_sample": False, "language": "en_XX"}  # and the bundle's own number of beams


def test_a_model_that_writes_no_text_is_refused(window, wait):
    app = window()
    facts = SimpleNamespace(task="audio-classification", engine="onnx")
    app._loaded(SimpleNamespace(manifest=facts, close=lambda: None), "")
    app._update()
    assert "writes no text" in app.message.text()
    assert not app.go.isEnabled()
