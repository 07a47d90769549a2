"""A decoder of fixed shapes with its cache, as the decoding loop wants one: the graphs "prefill" and "step"."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...bundle.contracts import ATTENTION_MASK, CACHE_POSITION, CROSS_BIAS, NEXT_LOGITS, STATIC_TOKENS, Decoder, Static
from ...engines import Arrays, Binding
from ...errors import ArgumentError
from .columns import Ancestry, Bools, Slots, bias
from .decoder import checked

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class StaticDecoder:
    """Runs one utterance; see `generation.decoder.Decoder`.

    New tokens that are more than a graph takes are read one graph after the other: none of a step sees another of them,
    and those of a prompt find the ones before in the cache. When no slot is free, columns that no hypothesis descends
    from any more make room.
    """

    def __init__(
        self, facts: Decoder, static: Static, bindings: Mapping[int, Binding], cross: Arrays, frames: int
    ) -> None:
        """`bindings` are the graphs by the new tokens that they take; `cross` is padded to their frames."""
        self._facts, self._static, self._bindings = facts, static, bindings
        self._ancestry, self._slots = Ancestry(), Slots(facts, 1)
        self._slots.reserve(static.slots, 0)
        longest = next(array.shape[-1] for name, array in cross.items() if name.endswith("key"))
        mask = np.where(np.arange(longest) >= frames, np.float32(static.hidden), np.float32(0))[None]
        for binding in bindings.values():
            binding.set({**cross, **self._slots.arrays, CROSS_BIAS.name: mask})

    def start(self, prompt: Ids) -> Logits:
        """(1, length) -> (1, vocabulary): the logits after the prompt."""
        length = prompt.shape[1]
        self._require(length)
        return self._run(prompt, np.arange(length)[None], self._ancestry.begin(1, length))[:, -1]

    def extend(self, tokens: Ids, parents: Ids) -> Logits:
        """Tokens and the rows that they extend (1, beams) -> (1, beams, vocabulary)."""
        beams = tokens.shape[1]
        if self._ancestry.used + beams > self._static.slots:
            kept = self._ancestry.forget(parents)
            self._slots.gather(kept)
            parents = np.arange(beams)[None]
            self._require(len(kept) + beams)
        positions = np.full(tokens.shape, self._ancestry.depth)
        return self._run(tokens, positions, self._ancestry.extend(parents))

    def _require(self, columns: int) -> None:
        if columns > self._static.slots:
            raise ArgumentError(
                f"the cache of this bundle has {self._static.slots} columns, and {columns} are needed: "
                "use fewer beams or tokens, or export with more slots"
            )

    def _run(self, tokens: Ids, positions: Ids, seen: Bools) -> Logits:
        """(1, new) -> (1, new, vocabulary), in pieces that the graphs take."""
        count = tokens.shape[1]
        begin = seen.shape[2] - count  # columns before
        largest = max(self._bindings)
        logits = []
        for a in range(0, count, largest):
            b = min(a + largest, count)
            visible = seen[:, a:b, : begin + b]
            logits.append(self._piece(tokens[:, a:b], positions[:, a:b], visible, begin + a))
        return np.concatenate(logits, axis=1)

    def _piece(self, tokens: Ids, positions: Ids, seen: Bools, used: int) -> Logits:
        new = tokens.shape[1]
        room = min(size for size in self._bindings if size >= new)
        binding, slots = self._bindings[room], self._static.slots
        mask = np.full((1, room, slots + room), self._static.hidden, np.float32)
        mask[:, :new, : slots + new] = bias(seen, slots, self._static.hidden)
        given = {STATIC_TOKENS.name: tokens, CACHE_POSITION.name: positions}
        binding.set({name: np.pad(array, ((0, 0), (0, room - new))).astype(np.int32) for name, array in given.items()})
        binding.set({ATTENTION_MASK.name: mask})
        outputs = binding.run()
        self._slots.write(used, outputs, new)
        return checked(np.array(outputs[NEXT_LOGITS.name][:, :new], np.float32), self._facts)
