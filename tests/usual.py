"""Which kinds of models the usual run of the tests takes in which engines; all other combinations are slow.

Each kind stands in one engine at least, and each engine has several: what one engine's graphs get wrong shows on any
kind with that part, and what a kind needs shows in any engine. `make test-all` runs the full product.
"""

from typing import Any

USUAL: dict[str, tuple[str, ...]] = {
    # CTC
    "wav2vec2-group": ("onnx", "openvino", "numpy"),
    "wav2vec2-adapters": ("onnx", "openvino"),
    "hubert-batch-norm": ("numpy",),
    "unispeech-stable": ("onnx",),
    "wavlm-distances": ("onnx",),
    "data2vec-stack": ("openvino",),
    # other heads
    "class-35": ("onnx", "openvino", "numpy"),
    "class-hubert": ("onnx",),
    "class-unispeech": ("onnx", "numpy"),
    "frames": ("onnx", "openvino"),
    "xvector": ("openvino",),
    "xvector-adapter": ("onnx",),
    "xvector-wavlm": ("numpy",),
    # encoder-decoders, by the decoder's family
    "bart": ("onnx", "openvino", "numpy"),
    "bert": ("onnx", "numpy"),
    "gpt2": ("onnx", "openvino"),
    "mbart": ("onnx",),
}
NAMES = ("kind", "family", "case", "name")  # of parameters that say which model


def is_usual(parameters: dict[str, Any], engine: str | None) -> bool:
    """Whether the usual run takes a test with these parameters; `engine` where they do not name one."""
    engine = parameters.get("engine", engine)
    models = [parameters[name] for name in NAMES if isinstance(parameters.get(name), str)]
    return engine is None or all(engine in USUAL.get(model, (engine,)) for model in models)
