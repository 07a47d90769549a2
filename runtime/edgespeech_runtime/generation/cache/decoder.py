"""A decoder graph with its cache, as the decoding loop wants one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...bundle.contracts import BIAS, CROSS_BIAS, NEXT_LOGITS, POSITIONS, TOKENS, Decoder, columns
from ...engines.graphs import Graphs
from ...errors import EngineError
from .columns import MASK_VALUE, Ancestry, Bools, Slots, bias
from .device_slots import DeviceSlots

LEAST_CALLS = 5  # for which there is room again where columns made room; else the cache grows

Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class CachedDecoder:
    """Runs the graph "decoder" for one batch of utterances; see `generation.decoder.Decoder`."""

    def __init__(self, facts: Decoder, graphs: Graphs, cross: Mapping[str, Any], frames: Sequence[int]) -> None:
        """`cross` are the outputs of the encoder's graph, `frames` the true frames of each utterance in it."""
        self._facts, self._ancestry = facts, Ancestry()
        self._slots: Slots | DeviceSlots = Slots(facts, len(frames))
        staying: list[str] = []
        if graphs.can_stay("cache"):
            kept, new = columns("kept", "kept", facts.layers), columns("new", "new", facts.layers)
            self._slots = DeviceSlots(self._slots, graphs.bind("cache", [tensor.name for tensor in kept]))
            staying = [tensor.name for tensor in new]
        self._binding = binding = graphs.bind("decoder", staying)
        self._inputs: dict[str, npt.NDArray[Any]] = {}  # that are bound, and written to in each call of the same shape
        longest = next(array.shape[-1] for name, array in cross.items() if name.endswith("key"))
        is_padding = np.arange(longest) >= np.asarray(frames)[:, None]
        mask = np.where(is_padding, np.float32(MASK_VALUE), np.float32(0))
        binding.set({**cross, CROSS_BIAS.name: mask})

    def start(self, prompt: Ids) -> Logits:
        """(batch, length) -> (batch, vocabulary): the logits after the prompt."""
        depth = np.arange(prompt.shape[1])
        return self._run(prompt, np.broadcast_to(depth, prompt.shape), self._ancestry.begin(*prompt.shape))[:, -1]

    def extend(self, tokens: Ids, parents: Ids) -> Logits:
        """Tokens and the rows that they extend (batch, beams) -> (batch, beams, vocabulary)."""
        if tokens.shape[1] > 1 and isinstance(self._slots, Slots):
            parents = self._with_room(self._slots, parents)
        positions = np.full(tokens.shape, self._ancestry.depth)
        return self._run(tokens, positions, self._ancestry.extend(parents))

    def _with_room(self, slots: Slots, parents: Ids) -> Ids:
        """Let columns that nothing descends from any more make room, so that attention runs over few slots.

        Returns the rows to extend, which are others where there was no room.
        """
        beams = parents.shape[1]
        if self._ancestry.used + beams <= slots.count:
            return parents
        before = self._ancestry.used
        kept = self._ancestry.forget(parents)
        if len(kept) < before:
            slots.gather(kept)
        if slots.reserve(len(kept) + LEAST_CALLS * beams, 1):
            self._binding.set(slots.arrays)
        return np.broadcast_to(np.arange(beams), parents.shape)

    def _run(self, tokens: Ids, positions: Ids, seen: Bools) -> Logits:
        used, new = self._ancestry.used, tokens.shape[1]
        if self._slots.reserve(used, new):
            self._binding.set(self._slots.arrays)
        self._give(TOKENS.name, tokens)
        self._give(POSITIONS.name, positions)
        scores = bias(seen, self._slots.count, into=self._inputs.get(BIAS.name))
        if scores is not self._inputs.get(BIAS.name):
            self._inputs[BIAS.name] = scores
            self._binding.set({BIAS.name: scores})
        outputs = self._binding.run()
        self._slots.write(used - new, outputs)
        return checked(np.array(outputs[NEXT_LOGITS.name]), self._facts)  # a copy: the loop may keep it

    def _give(self, name: str, values: Ids) -> None:
        """Write an input of integers where it is bound; bind an array where none of this shape is."""
        bound = self._inputs.get(name)
        if bound is not None and bound.shape == values.shape:
            bound[...] = values
            return
        self._inputs[name] = np.array(values, np.int64, order="C")
        self._binding.set({name: self._inputs[name]})


def checked(logits: Logits, facts: Decoder) -> Logits:
    """Logits (batch, new, vocabulary) that can be chosen from. Raises EngineError for any other."""
    if logits.shape[-1] != facts.vocabulary_size:
        raise EngineError(
            f"expected logits of {facts.vocabulary_size} tokens by the manifest, got {logits.shape[-1]}: "
            "export the bundle again"
        )
    if np.isnan(logits.max()):  # or the first token of the vocabulary would be said: NaN wins every argmax
        raise EngineError("the engine computed NaN logits: run self_check() to see whether this device can be trusted")
    return logits
