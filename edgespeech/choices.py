"""Names, choices and defaults of the toolchain, for programs that need them before torch or numpy is loaded.

The command line builds its help texts from these; the packages that do the work import the same names. Those of the
runtime are in `edgespeech_runtime.choices`. This module imports nothing but the standard library.
"""

from typing import Literal

CONFIG = "config.json"  # of a checkpoint

# INT8
Scheme = Literal["static", "dynamic"]
Ranges = Literal["minmax", "percentile", "entropy"]
DecoderWeights = Literal["int8", "int4"]
Target = Literal["x86-vnni", "x86-avx2", "arm"]
NPU = "npu"  # a target that fixes shapes too, and has an INT8 of its own
SAMPLES = 128  # calibration utterances
MAX_WER_INCREASE = 0.3  # percentage points
MAX_CHANGED_WORDS = 2.0  # percent

# Graphs of fixed shapes
BUCKETS = (2.0, 5.0, 10.0, 20.0)  # seconds
BUCKET_COUNT = 4  # at most, where buckets are chosen by lengths of recordings
# Seconds. What a graph costs grows faster than its length, and longer recordings are rare in sets of utterances.
LONGEST_BUCKET = 30.0
LEAST_SLOTS, MOST_SLOTS = 32, 512  # columns of an encoder-decoder's cache; the proof reads up to 24 tokens

# Speech sets and their scores
Normalisation = Literal["none", "basic", "english"]
LIBRISPEECH = {  # subsets and their MD5 sums as published: https://www.openslr.org/resources/12/md5sum.txt
    "dev-clean": "42e2234ba48799c1f50f24a7926300a1",
    "dev-other": "c8d0bcc9cca99d4f8b62fcc847357931",
    "test-clean": "32fa31d27d2e1cad72775fee3f4849a9",
    "test-other": "fb5a50374b501bb3bac4815ee91d3135",
    "train-clean-100": "2a93770f6d5c6c964bc36631d331a522",
    "train-clean-360": "c0e676e450a7ff2f54aeade5171606fa",
    "train-other-500": "d1a0fd59409feb2c614ce4d30c387708",
}
LIBRISPEECH_MIRROR = "https://www.openslr.org/resources/12"
