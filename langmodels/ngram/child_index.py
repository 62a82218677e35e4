"""Finding children of trie nodes by a hash table, where very many are looked for.

Halving takes a dozen dependent steps for a frequent word. A table of slots takes three, whatever
the number of children, and pays for being made once there are more queries than n-grams.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, BoolArray, IndexArray, IntArray
from langmodels.ngram.lookup import find_children

_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD_BITS = np.uint64(32)


class ChildIndex:
    """The children of all nodes of an order, by node and last word: linear probing.

    Args:
        child_start: (n + 1,) where the children of each node begin in `column`.
        column: (m,) last words, each once among the children of a node.

    Beside these arrays it takes between 8 and 16 bytes a child.
    """

    def __init__(self, child_start: IntArray, column: IntArray) -> None:
        self._child_start, self._column = child_start, column
        n = len(column)
        bits = (2 * n + 1).bit_length()  # at least half of the slots stay free
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        self._slots = np.full(1 << bits, -1, np.int32)
        parents = np.repeat(np.arange(len(child_start) - 1), np.diff(child_start))
        slot = self._first_slot(parents, column)
        todo = np.arange(n)
        while len(todo):
            free = todo[self._slots[slot[todo]] < 0]
            self._slots[slot[free]] = free  # of several children for one slot, one has it
            todo = todo[self._slots[slot[todo]] != todo]
            slot[todo] = (slot[todo] + 1) & self._mask

    def find(self, parents: Array, words: Array) -> IntArray:
        """Ids of the children of nodes, (M,), by their last words, (M,); -1 where there is none."""
        slot = self._first_slot(parents, words)
        found = self._slots.take(slot)
        first, end = self._child_start.take(parents), self._child_start.take(parents + 1)
        todo = np.flatnonzero(self._others(found, first, end, words))
        while len(todo):
            after = (slot.take(todo) + 1) & self._mask
            slot[todo] = after
            there = self._slots.take(after)
            found[todo] = there
            others = self._others(there, first.take(todo), end.take(todo), words.take(todo))
            todo = todo[others]
        return found

    def _first_slot(self, parents: Array, words: Array) -> IndexArray:
        key: NDArray[np.uint64] = parents.astype(np.uint64)
        key <<= _WORD_BITS
        key |= words.astype(np.uint64)
        key *= _MIX
        key >>= self._shift
        return key.view(np.int64)

    def _others(self, found: IntArray, first: Array, end: Array, words: Array) -> BoolArray:
        """Whether a slot has another child than that looked for; a free one ends the search."""
        others: BoolArray = self._column.take(found, mode="clip") != words
        others |= found < first
        others |= found >= end
        others &= found >= 0
        return others


class ChildFinder:
    """Finds children by halving, and by an index once that pays, where there are at most `most`.

    It may be used by many threads.
    """

    MOST = 1 << 22
    """Children in an index: of more, the table would take more memory than it is worth."""
    OFTEN = 4
    """Queries for each child after which an index is made."""

    def __init__(self, child_start: IntArray, column: IntArray, most: int = MOST) -> None:
        self._child_start, self._column, self._most = child_start, column, most
        self._left = self.OFTEN * len(column)
        self._lock = threading.Lock()
        self._index: ChildIndex | None = None

    def find(self, parents: Array, words: Array) -> IntArray:
        """See `lookup.find_children`."""
        if self._index is not None:
            return self._index.find(parents, words)
        if 0 < len(self._column) <= self._most:
            with self._lock:
                self._left -= len(parents)
                if self._left <= 0 and self._index is None:
                    self._index = ChildIndex(self._child_start, self._column)
        return find_children(self._child_start, self._column, parents, words)
