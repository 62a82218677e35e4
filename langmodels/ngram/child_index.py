"""Finding children of trie nodes by a hash table, where very many are looked for.

Halving takes a dozen dependent steps for a frequent word. A slot of the table holds a child whole,
so that a query reads one place in memory, whatever the number of children. The table pays for being
made once there are more queries than n-grams.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, BoolArray, IndexArray, IntArray
from langmodels.ngram.lookup import find_children

_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD_BITS = np.uint64(32)
_SLOT = np.dtype([("key", np.uint64), ("node", np.int32), ("log_prob", np.float32)])
_GATHERED = np.complex128
"""NumPy gathers plain numbers of the size of a slot faster than records."""
_FREE = np.uint64(2**64 - 1)
_PROBES = 8
"""Slots that a child may be in; those for which all were taken are found by halving."""
_LOAD = 0.5
"""At most so much of the slots is taken."""

Found = tuple[BoolArray, IntArray, NDArray[np.float32]]
"""Of M queries, (M,): which have found a child. Of those, (n,): its id, and its log p."""


class ChildIndex:
    """The children of all nodes of an order, by node and last word.

    Args:
        child_start: (n + 1,) where the children of each node begin in `column`.
        column: (m,) last words, each once among the children of a node, and rising.
        log_prob: (m,) of the children.

    Beside these arrays it takes between 32 and 64 bytes a child.
    """

    def __init__(
        self, child_start: IntArray, column: IntArray, log_prob: NDArray[np.float32]
    ) -> None:
        self._child_start, self._column, self._log_prob = child_start, column, log_prob
        bits = max(int(len(column) / _LOAD - 1).bit_length(), 1)
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        key = _keys(np.repeat(np.arange(len(child_start) - 1), np.diff(child_start)), column)
        slot = self._first_slot(key)
        owner = np.full(1 << bits, -1, np.int32)
        todo = np.arange(len(column))
        for probe in range(1, _PROBES + 1):
            free = todo[owner[slot] < 0]
            owner[slot[owner[slot] < 0]] = free  # of several children for one slot, one has it
            left = owner[slot] != todo
            todo, slot = todo[left], (slot[left] + probe) & self._mask
        taken = np.flatnonzero(owner >= 0)
        slots = np.zeros(1 << bits, _SLOT)
        slots["key"] = _FREE
        slots["key"][taken] = key[owner[taken]]
        slots["node"][taken] = owner[taken]
        slots["log_prob"][taken] = log_prob[owner[taken]]
        self._slots = slots.view(_GATHERED)

    def find(self, parents: Array, words: Array) -> Found:
        """The children of nodes, (M,), by their last words, (M,)."""
        key = _keys(parents, words)
        slot = self._first_slot(key)
        gathered = self._slots.take(slot)
        there = gathered.view(_SLOT)["key"]
        hit = there == key
        todo = np.flatnonzero(~hit & (there != _FREE))
        slot, key = slot.take(todo), key.take(todo)
        for probe in range(1, _PROBES):
            if not len(todo):
                break
            slot += probe
            slot &= self._mask
            again = self._slots.take(slot)
            there = again.view(_SLOT)["key"]
            same = there == key
            gathered[todo[same]], hit[todo[same]] = again[same], True
            others = np.flatnonzero(~same & (there != _FREE))
            todo, slot, key = todo.take(others), slot.take(others), key.take(others)
        if len(todo):
            nodes = find_children(
                self._child_start, self._column, parents.take(todo), words.take(todo)
            )
            todo, nodes = todo[nodes >= 0], nodes[nodes >= 0]
            records = gathered.view(_SLOT)
            records["node"][todo], records["log_prob"][todo] = nodes, self._log_prob.take(nodes)
            hit[todo] = True
        found = gathered.take(np.flatnonzero(hit)).view(_SLOT)
        return hit, found["node"], found["log_prob"]

    def _first_slot(self, key: NDArray[np.uint64]) -> IndexArray:
        slot = key * _MIX
        slot >>= self._shift
        return slot.view(np.int64)


def _keys(parents: Array, words: Array) -> NDArray[np.uint64]:
    """One number for a node and a word."""
    keys: NDArray[np.uint64] = parents.astype(np.uint64)
    keys <<= _WORD_BITS
    keys |= words.astype(np.uint64)
    return keys


class ChildFinder:
    """Finds children by halving, and by an index once that pays, where there are at most `most`.

    It may be used by many threads.
    """

    MOST = 1 << 22
    """Children in an index: of more, the table would take more memory than it is worth."""
    OFTEN = 4
    """Queries for each child after which an index is made."""

    def __init__(
        self,
        child_start: IntArray,
        column: IntArray,
        log_prob: NDArray[np.float32],
        most: int = MOST,
    ) -> None:
        self._columns = child_start, column, log_prob
        self._most = most
        self._left = self.OFTEN * len(column)
        self._lock = threading.Lock()
        self._index: ChildIndex | None = None

    def find(self, parents: Array, words: Array) -> Found:
        """See `ChildIndex.find`."""
        if self._index is not None:
            return self._index.find(parents, words)
        child_start, column, log_prob = self._columns
        if 0 < len(column) <= self._most:
            with self._lock:
                self._left -= len(parents)
                if self._left <= 0 and self._index is None:
                    self._index = ChildIndex(*self._columns)
        nodes = find_children(child_start, column, parents, words)
        hit = nodes >= 0
        nodes = nodes[hit]
        return hit, nodes, log_prob.take(nodes)
