"""What can be chosen: the model, its device, the sound, and how it is decoded."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)
from settings import Settings, program_folder

if TYPE_CHECKING:
    from edgespeech_runtime.live import InputDevice
    from edgespeech_runtime.tasks import AnyModel

MANIFEST = "edgespeech.json"  # of a bundle
MODELS = "models"  # the folder beside the program whose bundles are offered
MICROPHONE, FILE, PLAYED = "microphone", "file", "played"  # kinds of sound
LATENCIES = ("low", "balanced", "high")
BEAMS, MOST_BEAMS = 100, 500


class Controls(QWidget):
    """The choices, of which those that the model has are shown."""

    bundle_chosen = Signal()  # a bundle or a device
    check_wanted = Signal()

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings, self._is_ctc = settings, True
        self.bundle, self.device, self.sound = QComboBox(), QComboBox(), QComboBox()
        self.beams, self.language, self.latency = QSpinBox(), QComboBox(), QComboBox()
        self.check = QPushButton("Self-check")
        self.device_facts = QLabel()
        self._build()
        self._restore()
        self.bundle.activated.connect(lambda index: self.bundle_chosen.emit())
        self.bundle.lineEdit().editingFinished.connect(self._typed)
        self.device.activated.connect(lambda index: self.bundle_chosen.emit())
        self.check.clicked.connect(self.check_wanted)

    @property
    def source(self) -> tuple[str, Any]:
        """The kind of sound that is chosen, and which: the number of a microphone (None: the system's), or a file."""
        chosen = self.sound.currentData()
        return (MICROPHONE, None) if chosen is None else chosen

    def options(self) -> dict[str, Any]:
        """What is chosen of the search, as `transcribe` and `stream` take it."""
        if self._is_ctc:
            return {"beams": self.beams.value()} if self.beams.value() > 1 else {}
        chosen: dict[str, Any] = {"do_sample": False}  # captions are not left to chance
        if self.beams.value() > 0:
            chosen["num_beams"] = self.beams.value()
        if self.language.currentText():
            chosen["language"] = self.language.currentText()
        return chosen

    def show_model(self, model: "AnyModel", facts: str) -> None:
        """Offer what a model has; `facts` are said of its device."""
        self._is_ctc = model.manifest.task == "ctc"
        self.beams.setMinimum(1 if self._is_ctc else 0)
        if self._is_ctc and model.manifest.language_model is not None and not self._settings.get("beams", 0):
            self.beams.setValue(BEAMS)  # which a language model is worth
        self.beams.setSpecialValueText("1 (most probable)" if self._is_ctc else "the model's own")
        names = getattr(model, "languages", [])
        self.language.clear()
        self.language.addItems(names)
        self.language.setCurrentText(self._settings.get("language", ""))
        self.language.setVisible(bool(names))
        self._form.labelForField(self.language).setVisible(bool(names))
        self.device_facts.setText(facts)
        self.device_facts.setToolTip(facts)

    def show_devices(self, names: list[str]) -> None:
        """Offer the devices of the engine that runs the model."""
        self._fill(self.device, [("automatic", "auto"), *((name, name) for name in names)])

    def show_microphones(self, microphones: "list[InputDevice]") -> None:
        """Offer microphones, in front of what is there."""
        chosen = self.sound.currentData()
        others = [self.sound.itemData(index) for index in range(self.sound.count())]
        self.sound.clear()
        self._add_sound("Microphone of the system", (MICROPHONE, None))
        for each in microphones:
            self._add_sound(f"Microphone {each.index}: {each.name}", (MICROPHONE, each.index))
        for kind, value in others:
            if kind != MICROPHONE:
                self._add_file(kind, value)
        self._choose(chosen)

    def choose_file(self, file: str, kind: str = FILE) -> None:
        """Take a sound file, or play it as if it came from a microphone."""
        self._add_file(kind, file)
        self._choose((kind, file))

    def choose_bundle(self, folder: str) -> None:
        """Take a bundle."""
        self.bundle.setCurrentText(folder)

    def keep(self) -> None:
        """Store what is chosen."""
        kind, value = self.source
        self._settings.put(
            bundle=self.bundle.currentText(),
            device=self.device.currentData() or self.device.currentText(),
            beams=self.beams.value(),
            language=self.language.currentText(),
            latency=self.latency.currentText(),
            microphone=-1 if kind != MICROPHONE or value is None else value,
            file=value if kind == FILE else "",
        )

    def _build(self) -> None:
        self.bundle.setEditable(True)
        self.bundle.lineEdit().setPlaceholderText("folder of a bundle")
        for wide in (self.bundle, self.sound, self.device_facts):
            wide.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.beams.setRange(0, MOST_BEAMS)
        self.latency.addItems(LATENCIES)
        browse, open_file = QPushButton("Browse…"), QPushButton("Open file…")
        browse.clicked.connect(self._browse)
        open_file.clicked.connect(self._open_file)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("Model", _row(self.bundle, browse))
        self._form.addRow("Device", _row(self.device, self.check, self.device_facts))
        self._form.addRow("Sound", _row(self.sound, open_file))
        self._form.addRow("Beams", _row(self.beams, QLabel("Latency"), self.latency))
        self._form.addRow("Language", self.language)
        self._form.labelForField(self.language).hide()
        self.language.hide()

    def _restore(self) -> None:
        folders = sorted(str(file.parent) for file in (program_folder() / MODELS).glob(f"*/{MANIFEST}"))
        last = self._settings.get("bundle", "")
        self.bundle.addItems([last, *(each for each in folders if each != last)] if last else folders)
        self._fill(self.device, [("cpu", "cpu"), ("automatic", "auto")], self._settings.get("device", "cpu"))
        self.beams.setValue(self._settings.get("beams", 0))
        self.latency.setCurrentText(self._settings.get("latency", "balanced"))
        self._add_sound("Microphone of the system", (MICROPHONE, None))
        if (number := self._settings.get("microphone", -1)) >= 0:
            self._add_sound(f"Microphone {number}", (MICROPHONE, number))
            self._choose((MICROPHONE, number))
        if file := self._settings.get("file", ""):
            self.choose_file(file)

    def _fill(self, box: QComboBox, items: list[tuple[str, str]], chosen: str | None = None) -> None:
        """Put items in, each a text and a value; what was chosen stays so, and is added where it is missing."""
        value = chosen or box.currentData()
        box.clear()
        for text, each in items if value is None or value in dict(items).values() else [(value, value), *items]:
            box.addItem(text, each)
        box.setCurrentIndex(max(0, box.findData(value)))

    def _add_sound(self, text: str, source: tuple[str, Any]) -> None:
        self.sound.addItem(text, source)

    def _add_file(self, kind: str, file: str) -> None:
        title = "File" if kind == FILE else "Played"
        if (kind, file) not in [self.sound.itemData(index) for index in range(self.sound.count())]:
            self._add_sound(f"{title}: {Path(file).name}", (kind, file))

    def _choose(self, source: tuple[str, Any] | None) -> None:
        for index in range(self.sound.count()):
            if self.sound.itemData(index) == source:
                self.sound.setCurrentIndex(index)

    def _typed(self) -> None:
        if self.bundle.lineEdit().isModified():
            self.bundle.lineEdit().setModified(False)
            self.bundle_chosen.emit()

    def _browse(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder of a bundle", self.bundle.currentText()):
            self.choose_bundle(folder)
            self.bundle_chosen.emit()

    def _open_file(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, "Sound file", self._settings.get("folder", ""))
        if file:
            self._settings.put(folder=str(Path(file).parent))
            self.choose_file(file)


def _row(*widgets: QWidget) -> QWidget:
    """Widgets side by side."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    policy = QSizePolicy.Policy.Expanding
    if not any(widget.sizePolicy().horizontalPolicy() == policy for widget in widgets):
        layout.addStretch()
    return row
