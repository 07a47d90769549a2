"""INT8 as people make it today: each tool's own quantizer, with its defaults, on the model as it was exported plainly.

What a tool's guide tells everyone to do first is done: onnxruntime's asks for `quant_pre_process` (shape inference and
optimization), NNCF's for `model_type=TRANSFORMER` on a transformer. Everything else is left as it comes. That is QDQ
nodes, INT8 weights by tensor, INT8 activations (S8S8) and ranges by min-max for `quantize_static`; INT8 weights by
tensor, in products and convolutions alike, for `quantize_dynamic`; the performance preset for `nncf.quantize`. Nothing
is chosen for speech, and no layer is left out.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from edgespeech_export.writers.tracing import quiet

Values = npt.NDArray[np.float32]  # (1, samples), normalised
INPUT = "input_values"


def quantize_dynamic(plain: Path, target: Path) -> None:
    """Write `target` (ONNX) with onnxruntime's `quantize_dynamic`: integer products, ranges taken from each input."""
    from onnxruntime.quantization import quantize_dynamic as quantizer

    with quiet(), _prepared(plain) as prepared:
        quantizer(prepared, target)


def quantize_static(plain: Path, target: Path, utterances: Iterable[Values]) -> None:
    """Write `target` (ONNX) with onnxruntime's `quantize_static`, calibrated on utterances."""
    from onnxruntime.quantization import CalibrationDataReader
    from onnxruntime.quantization import quantize_static as quantizer

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self, utterances: Iterable[Values]) -> None:
            self.utterances = iter(utterances)

        def get_next(self) -> dict[str, Values] | None:
            values = next(self.utterances, None)
            return None if values is None else {INPUT: values}

    with quiet(), _prepared(plain) as prepared:
        quantizer(prepared, target, Reader(utterances))


def quantize_nncf(plain: Path, target: Path, utterances: Iterable[Values]) -> None:
    """Write `target` (an OpenVINO .xml, and its .bin) with `nncf.quantize`, calibrated on utterances."""
    import nncf
    import openvino

    data = list(utterances)  # NNCF passes over them more than once
    with quiet():
        model = openvino.convert_model(plain)
        dataset = nncf.Dataset(data, lambda values: {INPUT: values})
        quantized = nncf.quantize(model, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(data))
        openvino.save_model(quantized, target, compress_to_fp16=False)


@contextmanager
def _prepared(plain: Path) -> Iterator[Path]:
    """The file after onnxruntime's pre-processing, which its guide asks for before either quantizer."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="edgespeech-bench-") as folder:
        whole, prepared = Path(folder) / "whole.onnx", Path(folder) / "prepared.onnx"
        onnx.save(onnx.load(plain), whole)  # weights in the file: the tool loses sight of those beside it
        # Symbolic shape inference gives up on the lengths that a stack of convolutions leaves.
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        yield prepared
