"""The main window: it starts jobs, shows what they tell, and ends them when it is closed."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controls import FILE, MICROPHONE, Controls
from jobs import FindDevices, FindMicrophones, Job, LiveCaptions, LoadModel, SelfCheck, TranscribeFile
from PySide6.QtCore import QByteArray, QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from saving import FORMS, save
from settings import Settings
from view import TranscriptView

if TYPE_CHECKING:
    from edgespeech_runtime import Transcript
    from edgespeech_runtime.live import Event
    from edgespeech_runtime.tasks import AnyModel

QUIETEST = -60  # dB, at the left end of the level
LATE = 1.0  # seconds behind that are worth saying
SOON = 300  # milliseconds
AGAIN = 100  # milliseconds between two requests to cancel
PATIENCE = 10_000  # milliseconds for what cannot be cancelled, such as a device that compiles, before the process ends


class MainWindow(QWidget):
    """The app's one window."""

    ready = Signal()  # a model is loaded that can transcribe
    idle = Signal()  # captions or a file have ended, or a model could not be loaded

    def __init__(self, settings: Settings, speed: float = 1.0) -> None:
        super().__init__()
        self.setWindowTitle("Captions")
        self.settings, self._speed = settings, speed
        self.model: AnyModel | None = None
        self.job: Job | None = None  # what runs; nothing else is started then
        self.finals: list[Event] = []
        self.transcript: Transcript | None = None
        self._written, self._is_closing = "", False
        self._jobs: set[Job] = set()
        self.controls, self.view = Controls(settings), TranscriptView()
        self.go, self.export = QPushButton("Start"), QPushButton("Export…")
        self.times = QCheckBox("Word times")
        self.progress, self.level, self.message = QProgressBar(), QProgressBar(), QLabel()
        self._build()
        self._cancelling = QTimer(self, interval=AGAIN, timeout=self._cancel_again)
        self._leaving = QTimer(self, interval=PATIENCE, singleShot=True, timeout=partial(os._exit, 0))
        self._update()
        QTimer.singleShot(SOON, self._find_microphones)

    def _find_microphones(self) -> None:
        """List microphones, when nothing else is going on at the start."""
        if self._is_closing:
            return
        if isinstance(self.job, LoadModel):
            QTimer.singleShot(SOON, self._find_microphones)
        else:
            self._start(FindMicrophones(self), listed=self.controls.show_microphones)

    def open_bundle(self) -> None:
        """Load the bundle that is chosen, on the device that is chosen."""
        if self.job is not None or self._is_closing or not self.controls.bundle.currentText():
            return
        self._let_go()
        device = self.controls.device.currentData() or "cpu"
        self._say("loading the model…")
        job = LoadModel(self.controls.bundle.currentText(), device, self)
        self._run(job, loaded=self._loaded)

    def start_or_stop(self) -> None:
        """Start what is chosen; stop captions, or cancel a file, where something runs."""
        if isinstance(self.job, LiveCaptions) and not self.job.is_cancelled and self.go.text() == "Stop":
            self.job.stop()
            self.go.setText("Cancel")  # of what is still to be computed
        elif self.job is not None:
            self.cancel()
        elif self.model is not None:
            self._begin(self.model)

    def cancel(self) -> None:
        """End what runs."""
        if self.job is not None:
            self.job.cancel()
            self._cancelling.start()

    def export_to(self, file: str) -> None:
        """Write what is shown as subtitles or text, by the ending of the name."""
        if self.transcript is None:
            return
        try:
            save(self.transcript, Path(file))
        except (OSError, ValueError) as error:
            self._say(f"not exported: {error}", is_error=True)
        else:
            self._say(f"exported to {file}")

    def closeEvent(self, event: QCloseEvent) -> None:
        """Store the settings, end what runs, and leave when it has ended."""
        self._is_closing = True
        self.controls.keep()
        self.settings.put(geometry=self.saveGeometry(), times=self.times.isChecked())
        if not self._jobs:
            self._let_go()
            event.accept()
            QApplication.quit()
            return
        event.ignore()
        self.hide()
        self._cancel_again()
        self._cancelling.start()
        self._leaving.start()

    def _begin(self, model: "AnyModel") -> None:
        """Start captions of a microphone, or the transcription of a file."""
        kind, value = self.controls.source
        self.view.restart()
        self.finals, self.transcript, self._written = [], None, ""
        self._say("")
        options = self.controls.options()
        if kind == FILE:
            job = TranscribeFile(model, value, options, self)
            self._run(job, progress=self._show_progress, piece=self._show_piece, done=self._show_transcript)
            return
        options["latency"] = self.controls.latency.currentText()
        source = partial(open_source, kind, value, self._speed)
        self._run(LiveCaptions(model, source, options, self), told=self._show_event, sound=self._show_sound)

    def _loaded(self, model: "AnyModel", facts: str) -> None:
        self.model = model
        self.controls.show_model(model, facts)
        self._start(FindDevices(model.manifest.engine, self), listed=self.controls.show_devices)
        if hasattr(model, "transcribe"):
            self._say(f"{Path(self.controls.bundle.currentText()).name}: {facts}")
        else:
            self._say("this model writes no text: choose one with a CTC head, or an encoder-decoder", is_error=True)

    def _check(self) -> None:
        if self.model is not None and self.job is None:
            self._say("checking…")
            self._run(SelfCheck(self.model, self), done=self._checked)

    def _checked(self, difference: float) -> None:
        facts = f"self-check passed: values differ by {difference:.1e} at most"
        self.controls.device_facts.setText(facts)
        self._say(facts)

    def _show_event(self, event: "Event") -> None:
        if not event.is_final:
            self.view.show_partial(event.committed, event.tentative)
            return
        from edgespeech_runtime.live import transcript

        self.finals.append(event)
        self.transcript = transcript(self.finals)
        self.view.add(self.transcript.segments[-1])
        self.export.setEnabled(True)

    def _show_sound(self, level: float, lag: float) -> None:
        self.level.setValue(max(QUIETEST, round(level)))
        if lag > LATE:
            self._say(f"{lag:.0f} s behind: this device is slow for this model")
        elif "s behind" in self.message.text():
            self._say("")

    def _show_progress(self, done: float, whole: float) -> None:
        self.progress.setRange(0, round(whole))  # 0 to 0 moves without an end
        self.progress.setValue(round(done))
        self.progress.setFormat(f"{_clock(done)} of {_clock(whole)}" if whole else _clock(done))

    def _show_piece(self, piece: str) -> None:
        self._written += piece
        self.view.show_partial(self._written)

    def _show_transcript(self, transcript: "Transcript") -> None:
        from edgespeech_runtime import TextSegment

        self.transcript = transcript
        self.view.restart()
        whole = TextSegment(transcript.text, 0.0, transcript.duration, transcript.words)
        for segment in transcript.segments or [whole]:
            self.view.add(segment)
        self.export.setEnabled(True)
        if not transcript.is_complete:
            self._say(f"cancelled; the text goes to {_clock(transcript.duration)}")

    def _run(self, job: Job, **told: Any) -> None:
        """Start what nothing else may run beside."""
        self.job = job
        self._start(job, **told)
        self._update()

    def _start(self, job: Job, **told: Any) -> None:
        self._jobs.add(job)
        for name, slot in told.items():
            getattr(job, name).connect(slot)
        job.failed.connect(self._complain)
        job.ended.connect(self._ended)
        job.start()

    def _ended(self, job: Job) -> None:
        self._jobs.discard(job)
        if job is self.job:
            self.job = None
            if not self._is_closing:
                self._cancelling.stop()
            self.level.setValue(QUIETEST)
        job.deleteLater()
        if self._is_closing:
            if not self._jobs:
                self._cancelling.stop()
                self._leaving.stop()
                self._let_go()
                QApplication.quit()
            return
        self._update()
        if isinstance(job, LoadModel) and self.go.isEnabled():
            self.ready.emit()
        elif isinstance(job, LoadModel | LiveCaptions | TranscribeFile):
            self.idle.emit()

    def _cancel_again(self) -> None:
        for job in self._jobs:
            if self._is_closing or job is self.job:
                job.cancel()

    def _let_go(self) -> None:
        if self.model is not None:
            self.model.close()
            self.model = None

    def _complain(self, text: str) -> None:
        self._say(text, is_error=True)

    def _say(self, text: str, is_error: bool = False) -> None:
        self.message.setText(text)
        self.message.setStyleSheet("color: #b00020; font-weight: bold" if is_error else "")

    def _update(self) -> None:
        """Enable what may be used now."""
        is_busy = self.job is not None
        self.controls.setEnabled(not is_busy)
        self.go.setText("Stop" if isinstance(self.job, LiveCaptions) else "Cancel" if is_busy else "Start")
        can_begin = self.model is not None and hasattr(self.model, "transcribe")
        self.go.setEnabled(not isinstance(self.job, LoadModel) and (is_busy or can_begin))
        self.controls.check.setEnabled(self.model is not None)
        self.export.setEnabled(self.transcript is not None and not is_busy)
        self.progress.setVisible(isinstance(self.job, TranscribeFile))
        self.level.setVisible(isinstance(self.job, LiveCaptions))

    def _set_times(self, is_shown: bool) -> None:
        self.view.has_times = is_shown
        if self.transcript is not None and self.job is None:
            self._show_transcript(self.transcript)

    def _ask_for_export(self) -> None:
        start = self.settings.get("exported", "")
        file, form = QFileDialog.getSaveFileName(self, "Export", start, ";;".join(FORMS.values()))
        if file:
            endings = [ending for ending, name in FORMS.items() if name == form]
            named = file if Path(file).suffix.lower() in FORMS else f"{file}{endings[0] if endings else '.srt'}"
            self.settings.put(exported=str(Path(named).parent))
            self.export_to(named)

    def _build(self) -> None:
        self.progress.setVisible(False)
        self.level.setRange(QUIETEST, 0)
        self.level.setValue(QUIETEST)
        self.level.setFormat("%v dB")
        self.message.setWordWrap(True)
        self.times.setChecked(self.settings.get("times", True))
        self.view.has_times = self.times.isChecked()
        bottom = QHBoxLayout()
        for widget in (self.go, self.progress, self.level):
            bottom.addWidget(widget)
        bottom.addStretch()
        bottom.addWidget(self.times)
        bottom.addWidget(self.export)
        layout = QVBoxLayout(self)
        layout.addWidget(self.controls)
        layout.addWidget(self.view, 1)
        layout.addLayout(bottom)
        layout.addWidget(self.message)
        self.resize(760, 560)
        self.restoreGeometry(self.settings.get("geometry", QByteArray()))
        self.go.clicked.connect(self.start_or_stop)
        self.export.clicked.connect(self._ask_for_export)
        self.times.toggled.connect(self._set_times)
        self.controls.bundle_chosen.connect(self.open_bundle)
        self.controls.check_wanted.connect(self._check)


def open_source(kind: str, value: Any, speed: float) -> Any:
    """The microphone of this number, or a file that is played as if it came from one. Runs in the job's thread."""
    from edgespeech_runtime.live import Microphone, Playback

    return Microphone(value) if kind == MICROPHONE else Playback(value, speed=speed)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
