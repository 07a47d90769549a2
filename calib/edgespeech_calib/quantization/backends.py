"""Which backend quantizes the graphs of which engine. Each is imported when it is needed: it brings its tools."""

from importlib import import_module
from typing import Any

from edgespeech_runtime.bundle import Bundle
from edgespeech_runtime.manifest import EngineName

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import DecoderBackend, EncoderBackend
from edgespeech_calib.quantization.options import QuantizationOptions, Types

HOME = "edgespeech_calib.quantization"
# By engine: module and class. To add one: a line here.
ENCODERS: dict[str, tuple[str, str]] = {
    "onnx": (f"{HOME}.onnx_encoder", "OnnxEncoder"),
    "openvino": (f"{HOME}.openvino_encoder", "OpenvinoEncoder"),
}
DECODERS: dict[str, tuple[str, str]] = {
    "onnx": (f"{HOME}.decoder_onnx", "OnnxDecoder"),
    "openvino": (f"{HOME}.decoder_openvino", "OpenvinoDecoder"),
}


def require(engine: EngineName) -> None:
    """Import what quantizes for an engine.

    Raises:
        QuantizationError: nothing does, or its tool is not installed.
    """
    _find(ENCODERS, engine)


def open_encoder(bundle: Bundle, options: QuantizationOptions, types: Types) -> EncoderBackend:
    """Return the backend for the graphs that hear. Raises QuantizationError."""
    backend: EncoderBackend = _find(ENCODERS, bundle.manifest.engine)(bundle, options, types)
    return backend


def open_decoder(bundle: Bundle, options: QuantizationOptions, types: Types) -> DecoderBackend | None:
    """Return the backend for the graph `decoder`; None where a bundle has none. Raises QuantizationError."""
    if bundle.manifest.decoder is None:
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
