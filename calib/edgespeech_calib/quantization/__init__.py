"""From a float bundle to one in INT8 whose cost is known.

`export_int8` begins with a checkpoint, `quantize` with a float32 bundle.
"""

from edgespeech_calib.quantization.options import QuantizationOptions
from edgespeech_calib.quantization.pipeline import export_int8, quantize
from edgespeech_calib.quantization.report.report import Quantized

__all__ = ["QuantizationOptions", "Quantized", "export_int8", "quantize"]
