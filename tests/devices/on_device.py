"""Runs in an environment that has the runtime and nothing else of the project: transcribe files on a device.

python on_device.py BUNDLE DEVICE WAV...   prints JSON: the text of each file, the self-check, what ran where
"""

import json
import sys

import edgespeech_runtime


def main(bundle: str, device: str, *files: str) -> None:
    """Print what the device hears."""
    with edgespeech_runtime.load(bundle, device, self_check="never") as model:
        answer = {
            "device": model.device.name,
            "texts": [transcript.text for transcript in model.transcribe(list(files), batch_size=1)],
            "difference": model.self_check(),
            "placement": model.placement(),
        }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
