"""The backends that quantize the graphs of an engine. Each is imported when it is needed: it brings its tools.

Which engine has which is said in `edgespeech.engines`.
"""

from typing import Any

from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.choices import EngineName

from edgespeech.engines import ENGINES, imported
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import DecoderBackend, EncoderBackend
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.speech.sets import SpeechSet

INTEGER_OPTIONS = ("scheme", "ranges", "decoder_weights", "target")  # say how integers are computed with


def require(engine: EngineName) -> None:
    """Import what quantizes for an engine.

    Raises:
        QuantizationError: nothing does, or its tool is not installed.
    """
    _encoder(engine)


def check(engine: EngineName, options: QuantizationOptions, data: SpeechSet | None) -> None:
    """Refuse what an engine cannot do.

    Raises:
        QuantizationError: it computes in integers and there is no speech to calibrate on, or it does not and an option
            says how.
    """
    if ENGINES[engine].computes_in_integers:
        if data is None:
            raise QuantizationError(
                f"INT8 for the engine {engine!r} is calibrated on speech; give a set of recordings with --calib"
            )
        return
    for name in INTEGER_OPTIONS:
        if getattr(options, name) != getattr(QuantizationOptions, name):
            raise QuantizationError(
                f"{name} is for engines that compute in integers; {engine!r} stores weights in INT8 and computes in "
                "float32: leave it out"
            )


def open_encoder(bundle: Bundle, options: QuantizationOptions, types: Types) -> EncoderBackend:
    """Return the backend for the graphs that take audio. Raises QuantizationError."""
    backend: EncoderBackend = _encoder(bundle.manifest.engine)(bundle, options, types)
    return backend


def open_decoder(bundle: Bundle, options: QuantizationOptions, types: Types) -> DecoderBackend | None:
    """Return the backend for the graph `decoder`; None where there is none, or the encoder's backend does it.

    Raises QuantizationError.
    """
    name = ENGINES[bundle.manifest.engine].decoder_quantizer
    if bundle.manifest.decoder is None or name is None:
        return None
    backend: DecoderBackend = imported(name)(bundle, options, types)
    return backend


def _encoder(engine: EngineName) -> Any:
    name = ENGINES[engine].encoder_quantizer if engine in ENGINES else None
    if name is None:
        offered = ", ".join(repr(other) for other, row in ENGINES.items() if row.encoder_quantizer is not None)
        raise QuantizationError(f"INT8 for the engine {engine!r} is not offered; choose one of {offered}")
    return imported(name)
