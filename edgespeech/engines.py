"""What the toolchain does for each engine: one row an engine, over the runtime's own facts of it.

Modules and functions are given by name, "module:function", because each brings its tools; `imported` gets them. This
module imports nothing but the standard library and the runtime's names.
"""

from importlib import import_module
from typing import Any, NamedTuple

from edgespeech_runtime.choices import ENGINES as RUNTIME
from edgespeech_runtime.choices import EngineFacts, EngineName

WRITERS = "edgespeech_export.writers"
QUANTIZERS = "edgespeech_calib.quantization"


class EngineRow(NamedTuple):
    """How bundles of an engine are written, quantized and proven.

    Attributes:
        runtime: title, package and loader.
        writer: writes the graphs of a float bundle; see `edgespeech_export.writers.written`.
        channels_last: the conv stack is written as matrix products with the channels last, because the engine runs
            those faster than its convolutions.
        extra_graphs: graphs beside those of the contract: "interchange" is for other runtimes, "cache" for devices that
            keep the key-value cache in their own memory.
        disk_peak: float32 sizes of the checkpoint that lie on the disk during an export, where that is more than the
            bundle itself.
        encoder_quantizer, decoder_quantizer: backends of INT8; see `edgespeech_calib.quantization.backend`. None for
            the decoder's where the encoder's does both.
        computes_in_integers: INT8 is calibrated on speech and proven by the engine's own profile, which must show
            integer products. Otherwise weights alone are stored in 8 bits, and how many are is counted.
        signed_on_arm: INT8 takes signed activations on ARM.
        quantizes_for_npu: the form of INT8 for NPUs, in which all of a graph is integers, is written for it.
        decoder_tools: packages that quantize a text decoder, for a bundle's provenance.
    """

    runtime: EngineFacts
    writer: str
    channels_last: bool = False
    extra_graphs: tuple[str, ...] = ()
    disk_peak: int = 0
    encoder_quantizer: str | None = None
    decoder_quantizer: str | None = None
    computes_in_integers: bool = True
    signed_on_arm: bool = False
    quantizes_for_npu: bool = False
    decoder_tools: tuple[str, ...] = ()


ENGINES: dict[EngineName, EngineRow] = {
    "onnx": EngineRow(
        RUNTIME["onnx"],
        writer=f"{WRITERS}.onnx:write",
        extra_graphs=("interchange", "cache"),
        encoder_quantizer=f"{QUANTIZERS}.onnx.encoder:OnnxEncoder",
        decoder_quantizer=f"{QUANTIZERS}.onnx.decoder:OnnxDecoder",
        signed_on_arm=True,
        quantizes_for_npu=True,
    ),
    "openvino": EngineRow(
        RUNTIME["openvino"],
        writer=f"{WRITERS}.openvino:write",
        channels_last=True,
        disk_peak=3,  # the weights that graphs share, those of a graph before it does, and its ONNX file
        encoder_quantizer=f"{QUANTIZERS}.openvino.encoder:OpenvinoEncoder",
        decoder_quantizer=f"{QUANTIZERS}.openvino.decoder:OpenvinoDecoder",
        decoder_tools=("nncf",),
    ),
    "numpy": EngineRow(
        RUNTIME["numpy"],
        writer=f"{WRITERS}.numpy:write",
        encoder_quantizer=f"{QUANTIZERS}.numpy.encoder:NumpyEncoder",
        computes_in_integers=False,
    ),
}


def imported(name: str) -> Any:
    """Import what "module:function" names. Raises ImportError where a tool that it needs is not installed."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
