"""The way from tokens to text, out of the form that the `tokenizers` library has for it, for the runtime."""

import json
from collections.abc import Mapping
from typing import Any

from edgespeech_runtime.text import Step
from tokenizers.decoders import Decoder

from edgespeech.errors import ProcessingError


def detokenizer_steps(decoder: Decoder | None) -> tuple[Step, ...]:
    """Return the runtime's steps that do what a decoder of the library does; without one, spaces separate tokens.

    Raises:
        ProcessingError: the runtime has no such step.
    """
    if decoder is None:
        return (Step("spaces"),)
    written: dict[str, Any] = json.loads(decoder.__getstate__())
    steps: list[Step] = []
    is_text = False  # tokens have been joined to running text
    for part in written["decoders"] if written["type"] == "Sequence" else [written]:
        if part["type"] != "Fuse":
            steps.append(_text_step(part) if is_text else _token_step(part))
        is_text = is_text or part["type"] in ("Fuse", "ByteLevel")
    return tuple(steps)


def _token_step(part: Mapping[str, Any]) -> Step:
    """Translate a decoder that works on tokens."""
    kind = part["type"]
    if kind == "WordPiece":
        return Step("wordpiece", {"prefix": part["prefix"], "clean_up": part["cleanup"]})
    if kind == "Metaspace":
        is_prepended = part.get("prepend_scheme", "always") != "never"
        return Step("metaspace", {"character": part["replacement"], "prepended": is_prepended})
    if kind == "BPEDecoder":
        return Step("suffix", {"suffix": part["suffix"]})
    if kind == "Replace":
        return Step("replace", _replacement(part))
    if kind == "Strip":
        return Step("strip", {name: part[name] for name in ("content", "start", "stop")})
    plain = {"ByteLevel": "byte_level", "ByteFallback": "byte_fallback"}
    if kind in plain:
        return Step(plain[kind])
    raise ProcessingError(f"the runtime cannot make text as the decoder {kind!r} of tokenizer.json does")


def _text_step(part: Mapping[str, Any]) -> Step:
    """Translate a decoder that works on running text."""
    if part["type"] == "Replace":
        return Step("text_replace", _replacement(part))
    if part["type"] == "Strip":
        return Step("text_strip", {name: part[name] for name in ("content", "start", "stop")})
    where = f"{part['type']!r} of tokenizer.json on joined tokens"
    raise ProcessingError(f"the runtime cannot make text as the decoder {where} does")


def _replacement(part: Mapping[str, Any]) -> dict[str, str]:
    pattern = part["pattern"].get("String")
    if not pattern:
        raise ProcessingError(f"the runtime cannot make text with the pattern {part['pattern']}, only with plain text")
    return {"pattern": pattern, "content": part["content"]}
