"""Names, choices and defaults of the runtime, for programs that need them before numpy or an engine is loaded.

A command line builds its help texts from these. This module imports nothing but the standard library.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

EngineName = Literal["onnx", "openvino", "numpy"]
Kind = Literal["cpu", "gpu", "npu"]  # of a device
FloatPrecision = Literal["float32", "float16"]  # how weights are stored; all of it computes in float32
Precision = Literal["float32", "float16", "int8"]
# The heads bear the names that the field gives to their tasks.
Task = Literal[
    "ctc",
    "audio-classification",
    "audio-frame-classification",
    "audio-xvector",
    "feature-extraction",
    "encoder-decoder",
]
Timestamps = Literal["word", "char"]
Checksums = Literal["always", "once", "never"]  # when the files of a bundle are read to check them

MANIFEST_FILE = "edgespeech.json"  # of a bundle
BATCH_SIZE = 8  # utterances that run together
THRESHOLD = 0.5  # probability above which a label is true in a frame


class EngineFacts(NamedTuple):
    """What the runtime knows of an engine without importing it.

    Attributes:
        title: what people call it.
        package: the distribution that brings it.
        module: the module in `edgespeech_runtime.engines` that loads it.
        missing: by kind of device, what brings one that is not offered.
    """

    title: str
    package: str
    module: str
    missing: Mapping[Kind, str] = {}


# To add an engine: its name in `EngineName`, a row here, the module that the row names.
ENGINES: dict[EngineName, EngineFacts] = {
    "onnx": EngineFacts(
        "ONNX Runtime",
        "onnxruntime",
        "onnx",
        {
            "gpu": "onnxruntime-gpu (NVIDIA), onnxruntime-directml (Windows) or onnxruntime-webgpu",
            "npu": "onnxruntime-qnn (Qualcomm)",
        },
    ),
    "openvino": EngineFacts(
        "OpenVINO", "openvino", "openvino", {"gpu": "Intel's graphics driver", "npu": "Intel's NPU driver"}
    ),
    "numpy": EngineFacts("numpy", "numpy", "numpy"),
}
