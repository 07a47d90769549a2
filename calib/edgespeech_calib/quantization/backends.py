"""Which backend quantizes the graphs of which engine. Each is imported when it is needed: it brings its tools."""

from importlib import import_module
from typing import Any

from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.bundle.manifest import EngineName

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import DecoderBackend, EncoderBackend
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.speech.sets import SpeechSet

HOME = "edgespeech_calib.quantization"
# By engine: module and class. To add one: a line here.
ENCODERS: dict[str, tuple[str, str]] = {
    "onnx": (f"{HOME}.onnx.encoder", "OnnxEncoder"),
    "openvino": (f"{HOME}.openvino.encoder", "OpenvinoEncoder"),
    "numpy": (f"{HOME}.numpy.encoder", "NumpyEncoder"),
}
DECODERS: dict[str, tuple[str, str]] = {
    "onnx": (f"{HOME}.onnx.decoder", "OnnxDecoder"),
    "openvino": (f"{HOME}.openvino.decoder", "OpenvinoDecoder"),
}
# Engines that compute in float over weights in INT8: they need no speech, and the encoder's backend does the decoder's.
WEIGHTS_ONLY = frozenset({"numpy"})
OF_INTEGERS = ("scheme", "ranges", "decoder_weights", "target")  # options that say how integers are computed with


def require(engine: EngineName) -> None:
    """Import what quantizes for an engine.

    Raises:
        QuantizationError: nothing does, or its tool is not installed.
    """
    _find(ENCODERS, engine)


def check(engine: EngineName, options: QuantizationOptions, data: SpeechSet | None) -> None:
    """Refuse what an engine cannot do.

    Raises:
        QuantizationError: it computes in integers and there is no speech to calibrate on, or it does not and an option
            says how.
    """
    if engine not in WEIGHTS_ONLY:
        if data is None:
            raise QuantizationError(f"INT8 for the engine {engine!r} is calibrated on speech; give a set of recordings")
        return
    for name in OF_INTEGERS:
        if getattr(options, name) != getattr(QuantizationOptions, name):
            raise QuantizationError(
                f"{name} is for engines that compute in integers; {engine!r} stores weights in INT8 and computes in "
                "float32: leave it out"
            )


def open_encoder(bundle: Bundle, options: QuantizationOptions, types: Types) -> EncoderBackend:
    """Return the backend for the graphs that hear. Raises QuantizationError."""
    backend: EncoderBackend = _find(ENCODERS, bundle.manifest.engine)(bundle, options, types)
    return backend


def open_decoder(bundle: Bundle, options: QuantizationOptions, types: Types) -> DecoderBackend | None:
    """Return the backend for the graph `decoder`; None where there is none, or the other backend does it.

    Raises QuantizationError.
    """
    if bundle.manifest.decoder is None or bundle.manifest.engine in WEIGHTS_ONLY:
        return None
    backend: DecoderBackend = _find(DECODERS, bundle.manifest.engine)(bundle, options, types)
    return backend


def _find(table: dict[str, tuple[str, str]], engine: str) -> Any:
    if engine not in table:
        raise QuantizationError(
            f"INT8 for the engine {engine!r} is not offered; choose one of {', '.join(map(repr, table))}"
        )
    module, name = table[engine]
    return getattr(import_module(module), name)
