"""Run bundles in optimum, in an environment that has nothing of edgespeech: `python run_optimum.py REQUEST`.

REQUEST is a JSON file: `package` ("optimum-onnx" or "optimum-intel"), `cases` of [class, bundle, options], `waveforms`,
which are files of float32, and `answer`, the file to write. That gets `versions`, and of each case the outputs by name.
"""

import json
import sys
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import transformers

MODULES = {"optimum-onnx": "optimum.onnxruntime", "optimum-intel": "optimum.intel"}
VERSIONS = {"optimum-onnx": ("optimum-onnx", "onnxruntime"), "optimum-intel": ("optimum-intel", "openvino")}


def main() -> None:
    """Read the request, open each bundle, run each waveform by itself."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    package = request["package"]
    module = import_module(MODULES[package])
    waveforms = [np.fromfile(file, np.float32) for file in request["waveforms"]]
    answers = []
    for name, bundle, options in request["cases"]:
        model = getattr(module, name).from_pretrained(bundle, **options)
        extractor = transformers.AutoFeatureExtractor.from_pretrained(bundle)
        outputs = []
        for waveform in waveforms:
            inputs = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
            output = model(input_values=inputs.input_values)
            outputs.append({key: np.asarray(value).tolist() for key, value in output.items()})
        answers.append(outputs)
    versions = {each: metadata.version(each) for each in (*VERSIONS[package], "transformers")}
    Path(request["answer"]).write_text(json.dumps({"versions": versions, "answers": answers}), encoding="utf-8")


if __name__ == "__main__":
    main()
