"""Sorting all contexts of a text by their last symbols, in array code.

The context of position ``p`` is the history read backwards from ``p`` to the start of its sequence.
Sorting every context is suffix sorting of the reversed text, done here by prefix doubling (Manber
and Myers, 1993) that re-sorts only what is still tied (Larsson and Sadakane, 2007): O(n log n)
element operations a round and O(log of the longest repeat) rounds, whatever the text repeats.
"""

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import IntArray

_KEY_BITS = 63


class _Doubling:
    """The ranks of all contexts by their last 1, 2, 4, ... symbols.

    All ranks are kept, since they give the common length of two contexts.
    """

    def __init__(self, ids: NDArray[np.integer], length: IntArray) -> None:
        self.length = length
        self.bits = max(1, int(ids.max(initial=0) + 1).bit_length())
        self.width = 1
        # Zero marks the start of a sequence, so symbols start at 1.
        key = ids.astype(np.int64) + 1
        while 2 * self.width * self.bits <= _KEY_BITS:
            before = np.zeros_like(key)
            before[self.width :] = key[: -self.width]
            before[length <= self.width] = 0
            key = (key << (self.bits * self.width)) | before
            self.width *= 2
        self.key = key
        self.levels: list[tuple[int, IntArray]] = []

    def sort(self, positions: NDArray[np.integer]) -> IntArray:
        order = positions.astype(np.int32)
        keys = self.key[order]
        by_key = np.argsort(keys)
        order, keys = order[by_key], keys[by_key]
        first = np.ones(len(order), dtype=bool)
        first[1:] = keys[1:] != keys[:-1]
        rank = np.zeros(len(self.length), dtype=np.int32)
        slots = np.arange(len(order), dtype=np.int32)
        reach = self.width
        while True:
            rank[order[slots]] = np.maximum.accumulate(np.where(first, slots, 0))
            self.levels.append((reach, rank.copy()))
            last = np.ones(len(slots), dtype=bool)
            last[:-1] = first[1:]
            tied = ~(first & last) & (self.length[order[slots]] > reach)
            slots = slots[tied]
            if not len(slots):
                return order
            at = order[slots]
            keys = (rank[at].astype(np.int64) << 32) | (rank[at - reach] + 1)
            by_key = np.argsort(keys)
            keys = keys[by_key]
            order[slots] = at[by_key]
            first = np.ones(len(slots), dtype=bool)
            first[1:] = keys[1:] != keys[:-1]
            reach *= 2

    def common_length(self, p: IntArray, q: IntArray) -> IntArray:
        """How many of their last symbols the contexts of ``p`` and ``q`` share, elementwise."""
        shared = np.zeros(len(p), dtype=np.int32)
        shortest = np.minimum(self.length[p], self.length[q])
        for reach, rank in reversed(self.levels):
            left = np.flatnonzero(shared < shortest)
            same = rank[p[left] - shared[left]] == rank[q[left] - shared[left]]
            shared[left[same]] += reach
        reach = self.width // 2
        while reach:
            left = np.flatnonzero(shared < shortest)
            differ = self.key[p[left] - shared[left]] ^ self.key[q[left] - shared[left]]
            same = differ >> (self.bits * (self.width - reach)) == 0
            shared[left[same]] += reach
            reach //= 2
        return np.minimum(shared, shortest)


def sort_contexts(
    ids: NDArray[np.integer], starts: NDArray[np.integer], positions: NDArray[np.integer]
) -> tuple[IntArray, IntArray]:
    """Sort the contexts that end at ``positions`` by their symbols, the most recent first.

    Args:
        ids: (n,) non-negative symbols of all sequences, one after the other. All sequences begin
            with the same symbol, which occurs nowhere else.
        starts: (n,) index of the first symbol of the sequence each position is in.
        positions: (m,) distinct positions; with a position, all earlier ones of its sequence.

    Returns:
        ``(order, shared)``: the positions in sorted order (m,), and for each the number of symbols
        its context shares with the one before it (m,), 0 for the first. A context ends where its
        sequence begins; equal ones may come in any order.
    """
    length = (np.arange(len(ids)) - starts + 1).astype(np.int32)
    doubling = _Doubling(ids, length)
    order = doubling.sort(positions)
    shared = np.zeros(len(order), dtype=np.int32)
    shared[1:] = doubling.common_length(order[:-1], order[1:])
    return order, shared
