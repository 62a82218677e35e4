"""The keys and values of the last positions, as an immutable value that grows without copying."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import Array, IntArray


class _Tape:
    """A buffer of keys and values, (B, capacity, 2, C), each position written once, in order."""

    def __init__(self, capacity: int, pairs: Array) -> None:
        self.pairs = np.empty((len(pairs), capacity, *pairs.shape[2:]), pairs.dtype)
        self._written = 0
        self._lock = threading.Lock()

    def write(self, begin: int, pairs: Array) -> bool:
        """Write from position `begin` on; False if there is no room or it is written already."""
        end = begin + pairs.shape[1]
        with self._lock:
            if begin != self._written or end > self.pairs.shape[1]:
                return False
            self._written = end
        self.pairs[:, begin:end] = pairs
        return True


@dataclass(frozen=True, eq=False)
class Memory:
    """The keys and values of the last positions of B sequences, for attention.

    Immutable: `extended` returns a longer one. Both share one tape if there is room after the end
    of this one; if another memory was extended there already, or the tape is full, the positions
    are copied to a new tape. The amortised cost of a step does not depend on the length.

    `position` is that of the next token, counted from the first one read. `first` (B,) is the
    position at which the present sequence of each column started; earlier ones are masked.
    """

    tape: _Tape | None
    begin: int
    end: int
    position: int
    first: IntArray

    @classmethod
    def empty(cls, batch: int) -> "Memory":
        """The memory before the first token."""
        return cls(None, 0, 0, 0, np.zeros(batch, np.int32))

    @classmethod
    def of(cls, pairs: Array, position: int, first: IntArray) -> "Memory":
        """The memory of given keys and values, (B, M, 2, C), the last of which is before
        `position`.
        """
        return cls(None, 0, 0, position - pairs.shape[1], first).extended(pairs, first)

    def __reduce__(self) -> Any:
        """Pickle and copy the keys and values, not the shared tape."""
        if self.tape is None:
            return Memory, (None, 0, 0, self.position, self.first)
        return Memory.of, (self.pairs.copy(), self.position, self.first)

    @property
    def pairs(self) -> Array:
        """Keys and values, (B, M, 2, C), oldest first; read-only."""
        assert self.tape is not None
        return self.tape.pairs[:, self.begin : self.end]

    def __len__(self) -> int:
        return self.end - self.begin

    def extended(self, pairs: Array, first: IntArray) -> "Memory":
        """The memory with T more positions, (B, T, 2, C); `first` (B,) applies after the last of
        them.
        """
        steps = pairs.shape[1]
        position = self.position + steps
        if self.tape is not None and self.tape.write(self.end, pairs):
            return Memory(self.tape, self.begin, self.end + steps, position, first)
        length = len(self)
        # Double the capacity, so that few single steps copy.
        room = steps if steps > 1 else max(16, length)
        tape = _Tape(length + room, pairs)
        if length:
            tape.write(0, self.pairs)
        tape.write(length, pairs)
        return Memory(tape, 0, length + steps, position, first)

    def last(self, n: int) -> "Memory":
        """The memory of the last n positions, or of all if there are fewer."""
        begin = max(self.begin, self.end - n)
        return Memory(self.tape, begin, self.end, self.position, self.first)
