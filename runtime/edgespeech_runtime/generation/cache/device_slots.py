"""The key-value cache in a device's own memory: what `kv_cache.Slots` is in the host's.

New columns never come to the host. The graph "cache" puts them into the slots of the next cache, and only a list of
columns goes up for it. Which columns a row sees is the same, and said by the same masks.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...bundle.contracts import COLUMNS
from ...engines import Binding, DeviceTensor
from .columns import BLOCK, Slots


class DeviceSlots:
    """Keys and values of all layers, by the decoder's inputs `cache.*`. Each `write` is followed by a `reserve`."""

    def __init__(self, empty: Slots, graph: Binding) -> None:
        """`empty` gives the first arrays; `graph` is "cache", and its outputs stay on the device."""
        self._empty, self._graph = empty, graph
        self._start, self._new = 0, dict[str, DeviceTensor]()  # what was written and is not among the arrays yet
        self.arrays: Mapping[str, Any] = {}
        self.count = 0

    def reserve(self, needed: int, step: int) -> bool:
        """See `Slots.reserve`. What was written moves into the arrays only now, together with making room."""
        if not self._new:
            self._empty.reserve(needed, step)
            self.arrays, self.count = self._empty.arrays, self._empty.count
            return True
        count = self.count if needed <= self.count else needed + (BLOCK - 1) * step
        columns = np.arange(count)
        columns[self.count :] = 0  # whatever is there: no row sees slots that hold nothing yet
        written = next(value.shape[-1] for name, value in self._new.items() if name.endswith("key"))
        columns[self._start : self._start + written] = self.count + np.arange(written)
        self._graph.set({**self.arrays, **self._new, COLUMNS.name: columns})
        self.arrays = {name.replace("kept", "cache", 1): value for name, value in self._graph.run().items()}
        self.count = count
        return True

    def write(self, start: int, new: Mapping[str, Any]) -> None:
        """See `Slots.write`; the outputs `new.*` stayed on the device."""
        self._start, self._new = start, {name: value for name, value in new.items() if name.startswith("new.")}
