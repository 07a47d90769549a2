"""The beginning of a KenLM binary file: what kind of model it is and how large its parts are.

Layout, little-endian: magic text padded to 56 bytes; 0.0, 1.0, -0.5 as float32; 1, 2^32 - 1, 0 as uint32; 1 as uint64;
then order (uint8), probing multiplier (float32), model type (uint32), whether words stand at the end (uint8), version
of the search (uint32), each aligned to its size; then the number of n-grams of each order (uint64).
"""

import struct
from dataclasses import dataclass

from ....errors import LanguageModelError

PREFIX = b"mmap lm http://kheafield.com/code"
VERSION = PREFIX + b" format version "
MAGIC = VERSION + b"5\n"
SANITY = struct.pack("<56s3f3IQ", MAGIC, 0.0, 1.0, -0.5, 1, 2**32 - 1, 0, 1)
FIXED = struct.Struct("<B3xfIB3xI")
COUNT = struct.Struct("<Q")
HIGHEST_ORDER = 12
LARGEST_COUNT = 2**40

KINDS = (
    "probing",
    "rest",
    "trie",
    "quantized trie",
    "array trie",
    "quantized array trie",
)  # index = model type in the file


@dataclass(frozen=True)
class Header:
    """What the beginning of a file says; `size` is where its tables begin, in bytes."""

    kind: str
    counts: tuple[int, ...]
    multiplier: float
    has_words: bool
    size: int


def is_kenlm(beginning: bytes) -> bool:
    """Whether a file that begins so is one of KenLM's, of whatever version."""
    return beginning.startswith(PREFIX)


def read_header(data: memoryview) -> Header:
    """Read and check a header. Raises LanguageModelError, one line without the file's name."""
    _check_sanity(bytes(data[: len(SANITY)]))
    if len(data) < len(SANITY) + FIXED.size:
        raise LanguageModelError("the KenLM file ends in its header: it is cut short")
    order, multiplier, model_type, has_words, search_version = FIXED.unpack_from(data, len(SANITY))
    if model_type >= len(KINDS):
        names = ", ".join(f"{number} ({name})" for number, name in enumerate(KINDS))
        raise LanguageModelError(f"the KenLM file is of model type {model_type}; those that can be read are {names}")
    kind = KINDS[model_type]
    expected = 1 if "trie" in kind else 0
    if search_version != expected:
        message = f"its search has version {search_version}, this reads {expected}"
        raise LanguageModelError(f"the KenLM file is of type {kind}, but {message}: build it again from its ARPA file")
    is_sound = 2 <= order <= HIGHEST_ORDER and has_words in (0, 1) and 1 <= multiplier < 1000
    offset = len(SANITY) + FIXED.size
    if not is_sound or len(data) < offset + order * COUNT.size:
        raise LanguageModelError(_damaged(f"order {order}"))
    counts = tuple(COUNT.unpack_from(data, offset + i * COUNT.size)[0] for i in range(order))
    if max(counts) > LARGEST_COUNT or counts[0] < 1:
        raise LanguageModelError(_damaged(f"counts {counts}"))
    size = -(-(offset + order * COUNT.size) // 8) * 8
    return Header(kind, counts, multiplier, bool(has_words), size)


def _damaged(what: str) -> str:
    return f"the header of the KenLM file is cut short or damaged ({what}): fetch or build it again"


def _check_sanity(found: bytes) -> None:
    if found == SANITY:
        return
    if found.startswith(PREFIX + b" incomplete"):
        raise LanguageModelError("building the KenLM file was interrupted: build it again")
    if len(found) < len(SANITY):
        raise LanguageModelError("the KenLM file ends in its header: it is cut short")
    if found.startswith(VERSION) and not found.startswith(MAGIC):
        version = found[len(VERSION) :].split(b"\n")[0].decode("ascii", "replace").strip("\0")
        raise LanguageModelError(
            f"the KenLM file has format version {version}, this reads version 5: build it again from its ARPA file"
        )
    raise LanguageModelError(
        "the test values of the KenLM file are not those of a little-endian 64-bit machine: "
        "build it again from its ARPA file"
    )
