"""What takes time, each in a thread of its own, which tells the window by signals: nothing here touches a widget.

The runtime and its engine are imported in these threads too, so that the window is there at once.
"""

import threading
import traceback
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QThread, Signal

if TYPE_CHECKING:
    from edgespeech_runtime import TextSegment
    from edgespeech_runtime.tasks import AnyModel


class Job(QThread):
    """Work in a thread. `cancel` may be called often, from the window's thread, until `ended` is told.

    Signals must be connected to methods of widgets and other QObjects: those run in the window's thread, while a lambda
    runs in the thread that emits.
    """

    failed = Signal(str)
    ended = Signal(QThread)  # this job, whose thread has ended

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_cancelled = False
        self.finished.connect(self._tell_end)

    def work(self) -> None:
        """Do it. Errors of the runtime and of files are told to the user; CancelledError ends it without a word."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End it as soon as possible."""
        self.is_cancelled = True

    def _tell_end(self) -> None:
        self.ended.emit(self)

    def run(self) -> None:
        """See QThread.run."""
        from edgespeech_runtime.errors import CancelledError, EdgeSpeechRuntimeError

        try:
            self.work()
        except CancelledError:
            pass
        except (EdgeSpeechRuntimeError, OSError) as error:
            self.failed.emit(str(error))
        except Exception as error:  # a mistake of the app: it must be seen, and must not end the thread silently
            traceback.print_exc()
            self.failed.emit(f"unexpected error: {error!r}")


class FindMicrophones(Job):
    """Lists microphones, which may ask slow drivers."""

    listed = Signal(list)  # of InputDevice

    def work(self) -> None:
        """See Job.work."""
        from edgespeech_runtime.live import input_devices

        self.listed.emit(input_devices())


class LoadModel(Job):
    """Opens a bundle on a device, which checks once that the device computes what the build machine did."""

    loaded = Signal(object, str)  # the model, what is to be said of its device

    def __init__(self, bundle: str, device: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bundle, self._device = bundle, device

    def work(self) -> None:
        """See Job.work."""
        import edgespeech_runtime

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", edgespeech_runtime.DeviceWarning)
            # "once": files that have not changed since they were checked are not read again only to be checked.
            model = edgespeech_runtime.load(self._bundle, self._device, checksums="once")
        said = [f"runs on {model.device.name}, which passed its self-check", *(str(one.message) for one in caught)]
        self.loaded.emit(model, "; ".join(said))


class FindDevices(Job):
    """Lists the devices on which an engine runs here."""

    listed = Signal(list)  # exact names

    def __init__(self, engine: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine

    def work(self) -> None:
        """See Job.work."""
        from edgespeech_runtime import devices

        self.listed.emit([device.name for device in devices() if device.engine == self._engine])


class ModelJob(Job):
    """Work of a loaded model, which ends when the model is told to cancel."""

    def __init__(self, model: "AnyModel", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.model = model

    def cancel(self) -> None:
        """See Job.cancel. Only what runs at this moment is ended, which is why it is called again."""
        super().cancel()
        self.model.cancel()

    def require_running(self) -> None:
        """Raise CancelledError where it was cancelled."""
        from edgespeech_runtime.errors import CancelledError

        if self.is_cancelled:
            raise CancelledError


class SelfCheck(ModelJob):
    """Runs the bundle's golden input once more, and says how far the device is off."""

    done = Signal(float)

    def work(self) -> None:
        """See Job.work."""
        self.done.emit(self.model.self_check())


class TranscribeFile(ModelJob):
    """Transcribes a sound file of any length."""

    progress = Signal(float, float)  # seconds that are done, and of the whole (0: not known)
    piece = Signal(str)  # of the text, as soon as it is certain
    done = Signal(object)  # Transcript; of a cancelled one, what there was

    def __init__(self, model: "AnyModel", file: str, options: dict[str, Any], parent: QObject | None = None) -> None:
        super().__init__(model, parent)
        self._file, self._options = file, options
        self._segments: list[TextSegment] = []

    def work(self) -> None:
        """See Job.work."""
        from edgespeech_runtime import Transcript
        from edgespeech_runtime.errors import CancelledError

        try:
            self.require_running()
            transcript = self.model.transcribe(  # type: ignore[union-attr]  # the window opens no other models
                self._file,
                on_progress=self._tell,
                on_text=self.piece.emit,
                on_segment=self._segments.append,
                **self._options,
            )
        except CancelledError:
            words = [word for segment in self._segments for word in segment.words]
            text = " ".join(segment.text for segment in self._segments)
            end = self._segments[-1].end if self._segments else 0.0
            transcript = Transcript(text, words, duration=end, is_complete=False, segments=self._segments)
        self.done.emit(transcript)

    def _tell(self, done: float, whole: float | None) -> None:
        self.require_running()
        self.progress.emit(done, whole or 0.0)


class LiveCaptions(ModelJob):
    """Captions of a source of sound while it gives blocks: a microphone, or a file that is played.

    This thread reads the source; the model runs in that of `live.Session`, so that no sound is lost while it computes.
    """

    told = Signal(object)  # Event
    sound = Signal(float, float)  # the level in dB, and the seconds that the model is behind

    def __init__(
        self, model: "AnyModel", open_source: Callable[[], Any], options: dict[str, Any], parent: QObject | None = None
    ) -> None:
        super().__init__(model, parent)
        self._open_source, self._options = open_source, options
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End the sound; what was said until then becomes final."""
        self._stopping.set()

    def cancel(self) -> None:
        """See Job.cancel."""
        self._stopping.set()
        super().cancel()

    def work(self) -> None:
        """See Job.work. Raises MicrophoneError where there is none, or it gives nothing."""
        from edgespeech_runtime.live import Session, level

        source = self._open_source()
        stream = self.model.stream(sampling_rate=source.sampling_rate, **self._options)  # type: ignore[union-attr]
        session = Session(stream, self.told.emit)
        try:
            for block in source:
                if self._stopping.is_set():
                    break
                session.feed(block, time=getattr(source, "time", None))
                self.sound.emit(level(block), session.lag)
        finally:
            session.finish()
