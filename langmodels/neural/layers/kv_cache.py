"""The KV cache of self-attention, an immutable value that is extended without copying."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import Array, IntArray


class _Buffer:
    """Keys and values, (B, capacity, 2, C), of which each position is written once, in order."""

    def __init__(self, capacity: int, pairs: Array) -> None:
        self.pairs = np.empty((len(pairs), capacity, *pairs.shape[2:]), pairs.dtype)
        self._written = 0
        self._lock = threading.Lock()

    def write(self, begin: int, pairs: Array) -> bool:
        """Write at `begin`, (B, M, 2, C); False if `begin` is not the first free position or there
        is no room.
        """
        end = begin + pairs.shape[1]
        with self._lock:
            if begin != self._written or end > self.pairs.shape[1]:
                return False
            self._written = end
        self.pairs[:, begin:end] = pairs
        return True


@dataclass(frozen=True, eq=False)
class KVCache:
    """The keys and values of the last M positions of B sequences; `len` is M.

    Immutable: `extended` returns a longer cache. The two share a buffer, of which each is a slice
    [begin, end), if the positions after `end` are free; if they were written for another extension,
    or the buffer is full, all positions are copied to a new buffer. The amortised cost of a step
    does not depend on M.

    `position` is the position of the next token, counted from 0 at the first token of the stream.
    `first` (B,) is the position at which the current sequence of each column started; attention
    masks earlier ones.
    """

    buffer: _Buffer | None
    begin: int
    end: int
    position: int
    first: IntArray

    @classmethod
    def empty(cls, batch: int) -> "KVCache":
        """The cache before the first token, M = 0."""
        return cls(None, 0, 0, 0, np.zeros(batch, np.int32))

    @classmethod
    def of(cls, pairs: Array, position: int, first: IntArray) -> "KVCache":
        """The cache of given keys and values, (B, M, 2, C), the last of which are at
        `position` - 1.
        """
        return cls(None, 0, 0, position - pairs.shape[1], first).extended(pairs, first)

    def __reduce__(self) -> Any:
        """Pickle and copy the keys and values only, not the whole shared buffer."""
        if self.buffer is None:
            return KVCache, (None, 0, 0, self.position, self.first)
        return KVCache.of, (self.pairs.copy(), self.position, self.first)

    @property
    def pairs(self) -> Array:
        """Keys [:, :, 0] and values [:, :, 1], (B, M, 2, C), oldest first; not to be modified."""
        assert self.buffer is not None
        return self.buffer.pairs[:, self.begin : self.end]

    def __len__(self) -> int:
        return self.end - self.begin

    def extended(self, pairs: Array, first: IntArray) -> "KVCache":
        """The cache with T more positions, `pairs` (B, T, 2, C); `first` (B,) is the start of each
        column's sequence after the last of them.
        """
        steps = pairs.shape[1]
        position = self.position + steps
        if self.buffer is not None and self.buffer.write(self.end, pairs):
            return KVCache(self.buffer, self.begin, self.end + steps, position, first)
        length = len(self)
        # Double the capacity, so that few single steps copy.
        room = steps if steps > 1 else max(16, length)
        buffer = _Buffer(length + room, pairs)
        if length:
            buffer.write(0, self.pairs)
        buffer.write(length, pairs)
        return KVCache(buffer, 0, length + steps, position, first)

    def last(self, n: int) -> "KVCache":
        """The cache of the last n positions, or of all if there are fewer."""
        begin = max(self.begin, self.end - n)
        return KVCache(self.buffer, begin, self.end, self.position, self.first)
