"""Keys and values of the last positions, as a value that grows without being copied."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import Array, IntArray


class _Tape:
    """Positions side by side, (B, capacity, 2, C), written once each, in order."""

    def __init__(self, capacity: int, pairs: Array) -> None:
        self.pairs = np.empty((len(pairs), capacity, *pairs.shape[2:]), pairs.dtype)
        self._written = 0
        self._lock = threading.Lock()

    def write(self, begin: int, pairs: Array) -> bool:
        """Write from `begin` on; False where there is no room, or something already."""
        end = begin + pairs.shape[1]
        with self._lock:
            if begin != self._written or end > self.pairs.shape[1]:
                return False
            self._written = end
        self.pairs[:, begin:end] = pairs
        return True


@dataclass(frozen=True, eq=False)
class Memory:
    """What attention can look back at: keys and values of the last positions of B sequences.

    A value: `extended` gives a longer one and leaves this one as it is. Both share one tape as long
    as there is room after this one's end; where another one has grown there already, or the tape is
    full, the last positions go to a new tape. A step costs the same, on average, however long the
    memory.

    `position`: of the next token, counted from the first one ever read. `first` (B,): where the
    sequence began that each column is in; what lies before it is not looked at.
    """

    tape: _Tape | None
    begin: int
    end: int
    position: int
    first: IntArray

    @classmethod
    def empty(cls, batch: int) -> "Memory":
        """Of sequences that have not begun."""
        return cls(None, 0, 0, 0, np.zeros(batch, np.int32))

    @classmethod
    def of(cls, pairs: Array, position: int, first: IntArray) -> "Memory":
        """Of given keys and values, (B, M, 2, C), the last of them before `position`."""
        return cls(None, 0, 0, position - pairs.shape[1], first).extended(pairs, first)

    def __reduce__(self) -> Any:
        """Pickle and copy what is looked back at, without the tape that others share."""
        if self.tape is None:
            return Memory, (None, 0, 0, self.position, self.first)
        return Memory.of, (self.pairs.copy(), self.position, self.first)

    @property
    def pairs(self) -> Array:
        """Keys and values, (B, M, 2, C), oldest first; not to be written to."""
        assert self.tape is not None
        return self.tape.pairs[:, self.begin : self.end]

    def __len__(self) -> int:
        return self.end - self.begin

    def extended(self, pairs: Array, first: IntArray) -> "Memory":
        """With T more positions, (B, T, 2, C); `first` is that after the last of them."""
        steps = pairs.shape[1]
        position = self.position + steps
        if self.tape is not None and self.tape.write(self.end, pairs):
            return Memory(self.tape, self.begin, self.end + steps, position, first)
        length = len(self)
        # Room for as much again where steps come one by one, so that few of them copy.
        room = steps if steps > 1 else max(16, length)
        tape = _Tape(length + room, pairs)
        if length:
            tape.write(0, self.pairs)
        tape.write(length, pairs)
        return Memory(tape, 0, length + steps, position, first)

    def last(self, n: int) -> "Memory":
        """The last n positions, or all where there are fewer."""
        begin = max(self.begin, self.end - n)
        return Memory(self.tape, begin, self.end, self.position, self.first)
