"""Runs in an environment that has the runtime and nothing else of the project: transcribe files on a device.

python on_device.py BUNDLE DEVICE [WAV...]   prints JSON: what was compiled for the device and, where there are files,
the text of each, the self-check, on a GPU the ids that a translator finds for the first with beams, what ran where
"""

import contextlib
import json
import sys

import edgespeech_runtime
from edgespeech_runtime.engines import compiled

BEAMS = 3


def main(bundle: str, device: str, *files: str) -> None:
    """Print what the device hears."""
    made: list[str] = []
    compiled.watch(lambda file, device: contextlib.nullcontext(made.append(file)))
    with edgespeech_runtime.load(bundle, device, self_check="never") as model:
        answer = {"device": model.device.name, "library": model.device.library, "compiled": made}
        if files:
            answer |= {
                "texts": [transcript.text for transcript in model.transcribe(list(files), batch_size=1)],
                "difference": model.self_check(),
            }
            if device == "gpu" and isinstance(model, edgespeech_runtime.EncoderDecoderModel):
                answer["beams"] = model.generate(files[0], num_beams=BEAMS)
            answer["placement"] = model.placement()
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
